use std::io::Write as _;
use std::process::{Command, Stdio};

use super::Archive;

#[test]
fn cpio_unpacks_what_was_put_in() {
    let mut archive = Archive::default();
    archive.file("/usr/bin/tool", 0o755, "the first");
    archive.file("usr/bin/tool", 0o750, "content");
    archive.link("bin", "usr/bin");
    archive.dir("usr/bin");
    archive.dir("var/lib/");
    let dir = tempfile::tempdir().unwrap();
    unpack(&archive, dir.path());
    assert_eq!(std::fs::read_to_string(dir.path().join("bin/tool")).unwrap(), "content");
    assert_eq!(std::fs::read_link(dir.path().join("bin")).unwrap().to_str(), Some("usr/bin"));
    assert!(dir.path().join("var/lib").is_dir());
    let mode = |path| {
        use std::os::unix::fs::MetadataExt as _;
        std::fs::metadata(dir.path().join(path)).unwrap().mode() & 0o7777
    };
    assert_eq!(mode("usr/bin/tool"), 0o750);
    assert_eq!(mode("usr"), 0o755);
}

#[test]
fn contents_of_every_length_keep_the_entries_behind_them_in_step() {
    let mut archive = Archive::default();
    for length in 0..9 {
        archive.file(&"n".repeat(length + 1), 0o644, vec![b'x'; length]);
    }
    let dir = tempfile::tempdir().unwrap();
    unpack(&archive, dir.path());
    for length in 0..9 {
        let read = std::fs::read(dir.path().join("n".repeat(length + 1))).unwrap();
        assert_eq!(read, vec![b'x'; length]);
    }
}

fn unpack(archive: &Archive, dir: &std::path::Path) {
    let mut child = Command::new("cpio")
        .args(["--extract", "--quiet"])
        .current_dir(dir)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut bytes = Vec::new();
    archive.write(&mut bytes).unwrap();
    child.stdin.take().unwrap().write_all(&bytes).unwrap();
    assert!(child.wait().unwrap().success());
}
