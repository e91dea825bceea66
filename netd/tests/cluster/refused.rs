//! What the kernel refuses in the midst of a change.

use std::time::{Duration, Instant};

use cni::json;
use netd::backend::{Backend, Macs};
use netd::config::network::NetworkConfig;
use netd::lease::{ClusterEvent, LeaseValue, Peer};
use netd::reconcile::{Goal, Input};
use netstate::{LinkName, NetState};

use super::setup::{key, until};
use super::sim::{self, Ground};

const NETWORK: &str =
    r#"{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan","DirectRouting":true}}"#;
/// How long an entry may stay that leads nowhere: the first attempts, and a busy machine.
const SOON: Duration = Duration::from_secs(5);

#[tokio::test]
async fn what_led_to_a_peer_goes_soon_though_the_change_to_another_way_was_refused() {
    let (behind, near) = (peer([192, 168, 9, 2], 1), peer([192, 168, 0, 2], 2));
    let (host, reconciler) = Ground::settled("192.168.0.1/24", goal(), [behind]).await;
    let entries = |host: &NetState| (host.neighs.len(), host.fdb.len(), host.routes.len());
    assert_eq!(host.with(entries), (1, 1, 1));

    host.refuse_next();
    let begin = Instant::now();
    reconciler.inputs().send(Input::Cluster(ClusterEvent::Put(near))).unwrap();
    until("the route alone", async || host.with(entries) == (0, 0, 1)).await;
    assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
    let via = host.with(|host| host.routes.first().and_then(|route| route.via));
    assert_eq!(via, Some([192, 168, 0, 2].into()));
    let counts = *reconciler.counts().borrow();
    assert!(counts.failed > 0, "nothing was refused: {counts:?}");
}

fn goal() -> Goal {
    let config = NetworkConfig::parse(NETWORK.as_bytes()).unwrap();
    let backend = Backend::parse(&config.backend).unwrap();
    let macs: Macs =
        [(LinkName::new("flannel.1").unwrap(), "02:00:00:00:00:01".parse().unwrap())].into();
    sim::goal(backend, &macs)
}

/// The peer, where it is now.
fn peer(at: [u8; 4], revision: i64) -> Peer {
    let mut value = LeaseValue::new(at.into());
    "vxlan".clone_into(&mut value.backend_type);
    value.backend_data = Some(json::parse(br#"{"VNI":1,"VtepMAC":"02:00:00:00:01:02"}"#).unwrap());
    Peer { subnet: key("10.5.2.0-24"), value, revision, session: None }
}
