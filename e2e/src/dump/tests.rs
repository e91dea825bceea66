//! What a failed test tells.

use super::*;
use crate::{Lab, PATIENCE};

#[test]
fn the_state_of_a_host_names_links_containers_rules_and_logs() {
    let lab = Lab::new().unwrap();
    let host = lab.host("host").unwrap();
    host.add_container("c1").unwrap();
    host.run(&["ip", "link", "add", "br7", "type", "bridge"]).unwrap();
    host.run(&["nft", "add", "table", "inet", "seen"]).unwrap();
    host.write_file("/var/lib/cni/networks/net/10.0.0.2", "c1").unwrap();
    let mut daemon = host.spawn("daemon", &["echo", "its last words"]).unwrap();
    daemon.wait(PATIENCE).unwrap();
    let text = state(&host);
    for part in [
        "br7: <BROADCAST",
        "table inet seen",
        "--- /run/netns/c1",
        "/var/lib/cni/networks/net/10.0.0.2:c1",
        "--- daemon.log (0 lines before)\nits last words",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}
