//! A program knows itself.

use std::fs;

use super::is_this;

#[test]
fn a_copy_is_this_program_and_a_changed_one_is_not() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let own = std::env::current_exe().expect("own path");
    let copy = dir.path().join("copy");
    fs::copy(&own, &copy).expect("copy");
    assert!(is_this(&own));
    assert!(is_this(&copy), "the linker gives no build id, or not at the beginning");
    let shorter = dir.path().join("shorter");
    let bytes = fs::read(&own).expect("read");
    fs::write(&shorter, &bytes[..bytes.len() - 1]).expect("write");
    assert!(!is_this(&shorter));
    assert!(!is_this(&dir.path().join("absent")));
}
