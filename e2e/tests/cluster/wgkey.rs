//! The private keys of WireGuard, of the backend and of encrypted overlays, wherever their writing is cut. The
//! machine's kernel may lack WireGuard: keys are chosen, and their public halves published, before a device is made.

use anyhow::{Context as _, Result, ensure};
use e2e::{Etcd, Host, NETD, PATIENCE, PREFIX, Place as _, require_programs, wait_until};

use crate::site::{Site, run};

const CONFIG: &str = r#"{"Network":"10.5.0.0/16","Backend":{"Type":"wireguard"}}"#;
/// The file as flannel has it, the copy, and that of overlays, with their drafts.
const PATHS: [&str; 6] = [
    "/run/flannel/wgkey",
    "/run/flannel/.wgkey.new",
    "/var/lib/netd/wgkey",
    "/var/lib/netd/.wgkey.new",
    "/var/lib/netd/overlay-wgkey",
    "/var/lib/netd/.overlay-wgkey.new",
];
const MEMBERS: &str = "/netd/v1/global/members/";
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
/// Each of three files is opened, written, given its mode, made sure of and renamed.
const LEAST: usize = 12;

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

/// All files have the keys whose public halves are published, and nothing else is left.
fn is_one(host: &Host, etcd: &Etcd) -> Result<()> {
    let [file, draft, copy, other, overlays, third] = PATHS;
    let key = host.read(file)?;
    ensure!(key.len() == 44 && key == host.read(copy)?, "{key:?}");
    let of_overlays = host.read(overlays)?;
    ensure!(of_overlays.len() == 44 && of_overlays != key, "{of_overlays:?}");
    let modes = host.run(&["stat", "-c", "%a", file, copy, overlays])?.stdout;
    ensure!(modes == "600\n600\n600\n", "{modes}");
    let drafts = [draft, other, third].map(|path| host.path(path).exists());
    ensure!(drafts == [false; 3], "{drafts:?}");
    for (file, prefix) in [(file, format!("{PREFIX}/subnets/")), (overlays, MEMBERS.to_owned())] {
        let public = host.sh(&format!("wg pubkey <{file}"))?.stdout;
        let mut published = Vec::new();
        let waited = wait_until("the public key is published", PATIENCE, || {
            published = etcd.list(&prefix).unwrap_or_default();
            published.len() == 1 && published.iter().all(|(_, it)| it.contains(public.trim()))
        });
        waited.with_context(|| format!("{public} in {published:?}"))?;
    }
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
