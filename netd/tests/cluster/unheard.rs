//! What no event of the kernel's tells of.

use std::time::{Duration, Instant};

use cni::json;
use netd::backend::{Backend, Macs};
use netd::config::network::NetworkConfig;
use netd::lease::{LeaseValue, Peer};
use netd::reconcile::Goal;
use netstate::{NetState, Secret};

use super::setup::{key, until};
use super::sim::{self, Ground};

const NETWORK: &str = r#"{"Network":"10.5.0.0/16","Backend":{"Type":"wireguard"}}"#;
/// How long a change stays that nobody tells of: the look every 5 s, and a busy machine.
const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_peer_of_wireguard_that_somebody_removes_or_changes_is_right_again_soon() {
    let (host, _reconciler) = Ground::settled("192.168.0.1/16", goal(), [peer()]).await;
    let whole = host.with(NetState::clone);
    assert_eq!((whole.wg_peers.len(), whole.routes.len()), (1, 1));
    let damages: [fn(&mut NetState); 3] = [
        |host| host.wg_peers.clear(),
        |host| host.wg_peers.values_mut().for_each(|peer| peer.allowed.clear()),
        |host| host.wg_peers.values_mut().for_each(|peer| peer.keepalive = 7),
    ];
    for damage in damages {
        host.change(damage);
        let begin = Instant::now();
        until("all as it was", async || host.with(|now| *now == whole)).await;
        assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
    }
}

fn goal() -> Goal {
    let config = NetworkConfig::parse(NETWORK.as_bytes()).unwrap();
    let Backend::WireGuard(conf) = Backend::parse(&config.backend).unwrap() else { panic!() };
    let backend = Backend::WireGuard(conf.with_key(Secret([1; 32])));
    sim::goal(backend, &Macs::new())
}

fn peer() -> Peer {
    let mut value = LeaseValue::new([192, 168, 0, 2].into());
    "wireguard".clone_into(&mut value.backend_type);
    let data = format!(r#"{{"PublicKey":"{}","Port":51820}}"#, netstate::PublicKey([2; 32]));
    value.backend_data = Some(json::parse(data.as_bytes()).unwrap());
    Peer { subnet: key("10.5.2.0-24"), value, revision: 1, session: None }
}
