use super::*;

const DIRECT: &str = r#"{"Type":"vxlan","DirectRouting":true}"#;
/// A way that comes is used within this time.
const SOON: Duration = Duration::from_secs(1);

fn until_soon(site: &Site, what: &str, condition: impl Fn() -> bool) {
    let begin = Instant::now();
    site.until(what, condition);
    assert!(begin.elapsed() < SOON, "{what}: {:?}", begin.elapsed());
}

#[test]
fn a_way_that_opens_late_does_not_wait_for_the_next_attempt() {
    in_new_host(|| {
        let site = Site::start(HOST_GW);
        let mut far = peer(3, "host-gw");
        far.value.public_ip = "10.9.0.3".parse().unwrap();
        site.reset(&[peer(2, "host-gw"), far]);
        // The fifth attempt was refused: the next one is more than a second away.
        let refused = || site.reconciler.counts().borrow().failed;
        let first = refused();
        site.until("more attempts", || refused() >= first + 4);
        sh("ip addr add 10.9.0.1/24 dev up0");
        until_soon(&site, "the peer in reach", || {
            sh("ip route").contains("10.5.3.0/24 via 10.9.0.3")
        });
    });
}

#[test]
fn a_peer_is_reached_directly_as_long_as_it_is_on_a_link_of_this_host() {
    in_new_host(|| {
        let site = Site::start(DIRECT);
        site.reset(&[peer(2, "vxlan")]);
        let is_direct = || sh("ip route show 10.5.2.0/24").contains("via 10.0.0.2 dev up0");
        assert!(is_direct(), "{}", sh("ip route"));
        sh("ip addr add 10.7.0.1/24 dev up0; ip addr del 10.0.0.1/24 dev up0
            ip route add default via 10.7.0.2");
        until_soon(&site, "a peer behind a gateway", || is_connected(2));
        sh("ip addr add 10.0.0.1/24 dev up0");
        until_soon(&site, "a peer on the link", is_direct);
    });
}
