//! `ctr run -d`: a runtime that forgets its containers.

use anyhow::{Context as _, Result, ensure};
use e2e::runtimes::Containerd;
use e2e::{Lab, PATIENCE, Place as _, record, require_programs, wait_until};

use super::{NETD, host, nothing_is_left};

const CONFLIST: &str = r#"{"cniVersion": "1.0.0", "name": "net", "plugins": [
    {"type": "bridge", "bridge": "net", "isGateway": true, "ipMasq": true,
     "ipam": {"type": "host-local", "subnet": "10.1.0.0/24"}},
    {"type": "firewall"}, {"type": "record"}]}"#;

#[test]
fn ctr_run_in_the_background_never_calls_del_so_gc_is_real() -> Result<()> {
    if !require_programs(&["containerd", "ctr", "runc"])? {
        return Ok(());
    }
    Lab::run(|lab| {
        let host = host(lab)?;
        record::install(&host)?;
        host.write_file("/etc/cni/net.d/10-net.conflist", CONFLIST)?;
        let containerd = Containerd::start(&host)?;
        containerd.run_in_background("c1", &["/bin/sleep", "1000"]).run()?;
        containerd.ctr(&["task", "kill", "--signal", "SIGKILL", "c1"]).run()?;
        wait_until("the task has ended", PATIENCE, || {
            containerd.ctr(&["task", "delete", "c1"]).run().is_ok()
        })?;
        containerd.ctr(&["container", "delete", "c1"]).run()?;
        let verbs: Vec<String> = record::calls(&host)?.into_iter().map(|call| call.verb).collect();
        ensure!(verbs == ["ADD"], "ctr called {verbs:?}");
        let reserved = host.list("/var/lib/cni/networks/net")?;
        ensure!(reserved.contains(&"10.1.0.2".to_owned()), "released already: {reserved:?}");
        host.run(&[NETD, "cni", "gc", "--stale"]).context("collect what is left")?;
        nothing_is_left(&host, &["lo", "net"])
    })
}
