//! The private key of WireGuard, wherever its writing is cut. The machine's kernel may lack WireGuard: the
//! key is chosen, and its public half published, before a device is made.

use anyhow::{Context as _, Result, ensure};
use e2e::{Etcd, Host, NETD, PATIENCE, PREFIX, Place as _, require_programs};

use crate::site::{Site, run};

const CONFIG: &str = r#"{"Network":"10.5.0.0/16","Backend":{"Type":"wireguard"}}"#;
/// The file as flannel has it, and the copy, with their drafts.
const PATHS: [&str; 4] = [
    "/run/flannel/wgkey",
    "/run/flannel/.wgkey.new",
    "/var/lib/netd/wgkey",
    "/var/lib/netd/.wgkey.new",
];
/// What may change a file, by the calls that netd uses.
const CALLS: [&str; 11] = [
    "open",
    "openat",
    "write",
    "fchmod",
    "fsync",
    "fdatasync",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
];
/// Each of two files is opened, written, given its mode, made sure of and renamed.
const LEAST: usize = 8;

#[test]
fn a_key_whose_writing_is_cut_anywhere_is_whole_and_one_after_the_next_start() -> Result<()> {
    if !require_programs(&["strace", "wg"])? {
        return Ok(());
    }
    run(|lab| {
        let mut site = Site::without_nodes(lab)?;
        site.etcd.configure(CONFIG)?;
        site.add(lab, "cut", &[])?;
        let node = &mut site.nodes[0];
        let flags = site.etcd.flags(&node.host)?;
        node.agent()?.wait_for_log(" leased ", PATIENCE)?;
        let mut cuts = 0;
        for call in CALLS {
            for nth in 1.. {
                node.kill();
                node.host.sh(&format!("rm -f {}", PATHS.join(" ")))?;
                if !is_cut(&node.host, &flags, call, nth)? {
                    break;
                }
                cuts += 1;
                node.resume()?;
                node.agent()?.wait_for_log(" leased ", PATIENCE)?;
                is_one(&node.host, &site.etcd).with_context(|| format!("{call} {nth}"))?;
            }
        }
        ensure!(cuts >= LEAST, "{cuts} cuts");
        Ok(())
    })
}

/// Both files have the key whose public half is published, and nothing else is left.
fn is_one(host: &Host, etcd: &Etcd) -> Result<()> {
    let [file, draft, copy, other] = PATHS;
    let key = host.read(file)?;
    ensure!(key.len() == 44 && key == host.read(copy)?, "{key:?}");
    let modes = host.run(&["stat", "-c", "%a", file, copy])?.stdout;
    ensure!(modes == "600\n600\n", "{modes}");
    let drafts = [draft, other].map(|path| host.path(path).exists());
    ensure!(drafts == [false; 2], "{drafts:?}");
    let public = host.sh(&format!("wg pubkey <{file}"))?.stdout;
    let leases = etcd.list(&format!("{PREFIX}/subnets/"))?;
    let is_published = leases.iter().all(|(_, value)| value.contains(public.trim()));
    ensure!(leases.len() == 1 && is_published, "{public} in {leases:?}");
    Ok(())
}

/// Starts an agent that is killed at the nth call of a name about these files. Gives whether it was.
fn is_cut(host: &Host, flags: &[String], call: &str, nth: usize) -> Result<bool> {
    let paths = PATHS.iter().flat_map(|path| ["-P", path]);
    let (trace, inject) =
        (format!("--trace={call}"), format!("--inject={call}:signal=KILL:when={nth}"));
    let mut agent = host
        .command(&["strace", "-D", "-f", "-o", "/run/trace"])
        .args(paths)
        .args([&trace, &inject])
        .args([NETD, "run", "-log=info"])
        .args(flags)
        .spawn("cut")?;
    e2e::wait_until("it is killed, or has leased", PATIENCE, || {
        !agent.is_alive() || agent.log().contains(" leased ")
    })?;
    Ok(!agent.is_alive())
}
