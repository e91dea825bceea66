//! Whom programs in a container ask for names.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use ipam::resolv_conf::ResolvConf;
use kernel::netns::NetnsId;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};

/// In bytes; the C library reads no more than some lines.
const LONGEST: u64 = 1 << 16;

/// The name servers in `/etc/resolv.conf` as the first process in a network namespace sees it. `None` where
/// there is no process in it, or no such file for it that can be read.
#[must_use]
pub(crate) fn name_servers(netns: NetnsId) -> Option<Vec<String>> {
    let mut pids: Vec<u32> = std::fs::read_dir("/proc")
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    pids.sort_unstable();
    let is_in_it =
        |pid: &u32| NetnsId::at(Path::new(&format!("/proc/{pid}/ns/net"))) == Some(netns);
    let pid = pids.into_iter().find(is_in_it)?;
    let text = read(&format!("/proc/{pid}/root")).ok()?;
    Some(ResolvConf::parse(&text).nameservers)
}

/// Symbolic links of the container's lead to files of its own, and nothing that it puts there is waited for.
fn read(root: &str) -> io::Result<String> {
    let root =
        openat(CWD, root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = openat2(&root, "etc/resolv.conf", flags, Mode::empty(), ResolveFlags::IN_ROOT)?;
    let mut bytes = Vec::new();
    File::from(file).take(LONGEST).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_of_a_containers_leads_to_no_file_of_the_hosts() {
        let dir = tempfile::tempdir().expect("directory");
        let (root, host) = (dir.path().join("root"), dir.path().join("host"));
        std::fs::create_dir_all(root.join("etc")).expect("directory");
        std::fs::write(&host, "nameserver 192.0.2.1\n").expect("file");
        let link = root.join("etc/resolv.conf");
        std::os::unix::fs::symlink(&host, &link).expect("link");
        let root = root.to_str().expect("text");
        read(root).expect_err("the host's file");
        std::fs::remove_file(&link).expect("remove");
        std::os::unix::fs::symlink("/etc/own", &link).expect("link");
        std::fs::write(dir.path().join("root/etc/own"), "nameserver 192.0.2.2\n").expect("file");
        assert_eq!(read(root).expect("its own"), "nameserver 192.0.2.2\n");
    }
}
