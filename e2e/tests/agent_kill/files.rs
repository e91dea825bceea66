//! Whether all that the agent writes is cut somewhere.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};

use crate::agent::{FILES, KEY, TRACE};
use crate::can_run;
use crate::phase::Phase;
use crate::plan::run;
use crate::point::Cut;
use crate::site::Site;

/// Calls that change the file whose descriptor comes first.
const BY_DESCRIPTOR: &str = "write,writev,pwrite64,pwritev,ftruncate,fchmod,fchown,fallocate";
/// Calls that change what is at a path.
const BY_PATH: &str = "open,openat,creat,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,\
                       rmdir,link,linkat,symlink,symlinkat,chmod,fchmodat,chown,truncate,mknod";

#[test]
fn every_file_that_the_agent_writes_is_one_that_is_cut() -> Result<()> {
    if !can_run()? {
        return Ok(());
    }
    let mut site = Site::new(&Phase::ALL)?;
    let calls = format!("--trace={BY_DESCRIPTOR},{BY_PATH}");
    let cut = Cut::Strace(["-f", "-y", &calls].map(str::to_owned).into());
    let mut written = BTreeSet::new();
    for phase in Phase::ALL {
        run(&mut site, phase, &cut)?;
        let trace = site.host.read(TRACE)?;
        written.extend(trace.lines().filter_map(changed).map(str::to_owned));
    }
    for known in ["/var/lib/netd/netd.redb", "/run/flannel/.subnet.env.new"] {
        ensure!(written.contains(known), "{known} is not among {written:?}");
    }
    let other = |path: &&String| {
        // What is written there is a place of kind `sysctl`.
        let is_known = |files: &[&str]| files.contains(&path.as_str());
        !path.starts_with("/proc/sys/net/") && !is_known(&FILES) && !is_known(&KEY)
    };
    let others: Vec<&String> = written.iter().filter(other).collect();
    ensure!(others.is_empty(), "these are cut nowhere: {others:?}");
    Ok(())
}

/// The file that a call changes, by a line of strace's: `PID CALL(ARGUMENTS) = ...`.
fn changed(line: &str) -> Option<&str> {
    // What fails changes nothing: a draft is removed that is not there.
    if line.contains(" = -1 E") {
        return None;
    }
    let (call, arguments) = line.split_once('(')?;
    let name = call.rsplit(' ').next()?;
    if BY_DESCRIPTOR.split(',').any(|other| other == name) {
        let (number, file) = arguments.split_once('<')?;
        // Its log.
        let is_log = ["1", "2"].contains(&number);
        let file = if is_log { None } else { file.split('>').next() };
        return file.filter(|file| file.starts_with('/'));
    }
    let opens = name.starts_with("open");
    let writes = ["O_WRONLY", "O_RDWR", "O_CREAT"].iter().any(|flag| arguments.contains(flag));
    // The new name is what others see; strace cuts at either.
    let which = if name.starts_with("rename") { 3 } else { 1 };
    let path = arguments.split('"').nth(which).filter(|_| !opens || writes);
    path.filter(|path| !["/dev/null", "/dev/net/tun"].contains(path))
}
