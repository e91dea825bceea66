//! Hardware that does not finish the checksums of packets inside VXLAN, and what helps.

use anyhow::{Context as _, Result, ensure};
use e2e::{Host, Member, Node, PATIENCE, Place as _, Process, Proto, probe, wait_until};

use crate::site::{DUAL, Site, all_reach_all, run, v6};

/// The switch of a hypervisor, or a network card, between `sys.argv[1]` and the rest: it finishes
/// checksums on the way out, but knows the outermost headers only, and takes packets for finished
/// then. The way in is as it should be. Numbers are those of `linux/if_packet.h` and
/// `linux/virtio_net.h`: `SOL_PACKET`, `PACKET_VNET_HDR`, `PACKET_IGNORE_OUTGOING`.
const CARD: &str = "import select, socket, struct, sys
def port(name):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    s.setsockopt(263, 15, 1)
    s.setsockopt(263, 23, 1)
    s.bind((name, 0))
    return s
def total(data):
    data = bytes(data) + b'\\0' * (len(data) % 2)
    n = sum(struct.unpack('>%dH' % (len(data) // 2), data))
    while n >> 16: n = (n & 0xffff) + (n >> 16)
    return n
def finish(frame):
    kind = frame[12:14]
    if kind == b'\\x08\\0':
        start, proto, ends = 14 + (frame[14] & 15) * 4, frame[23], frame[26:34]
        end = 14 + struct.unpack('>H', frame[16:18])[0]
    elif kind == b'\\x86\\xdd':
        start, proto, ends = 54, frame[20], frame[22:54]
        end = 54 + struct.unpack('>H', frame[18:20])[0]
    else: return
    at = start + {6: 16, 17: 6}.get(proto, -start)
    if not at: return
    frame[at:at + 2] = b'\\0\\0'
    n = total(bytes(ends) + struct.pack('>HH', proto, end - start) + bytes(frame[start:end]))
    frame[at:at + 2] = struct.pack('>H', 0xffff - n or 0xffff)
host, rest = port(sys.argv[1]), port(sys.argv[2])
print('plugged in', flush=True)
while True:
    for s in select.select([host, rest], [], [])[0]:
        data = bytearray(s.recv(70000))
        if s is host:
            if data[0] & 1:
                frame = data[10:]
                finish(frame)
                data[10:] = frame
            data[:10] = bytes(10)
        try: (rest if s is host else host).send(data)
        except OSError: pass";

/// Puts such a card into the first host. Cards that cut large packets cannot be had for it.
fn plug_in(site: &Site) -> Result<Process> {
    let (internet, host) = (&site.internet.host, &site.nodes.first().context("a host")?.host);
    host.run(&[
        "ethtool",
        "-K",
        "eth0",
        "tso",
        "off",
        "tx-udp_tnl-segmentation",
        "off",
        "tx-udp_tnl-csum-segmentation",
        "off",
    ])?;
    internet.sh("ip link add card0 type veth peer name card1
         for port in uplink0 card0; do
             sysctl -qw net.ipv4.conf.$port.arp_ignore=8 net.ipv6.conf.$port.disable_ipv6=1
         done
         ip link set uplink0 nomaster promisc on
         ip link set card0 up promisc on; ip link set card1 master br0 up")?;
    let mut card = internet.spawn("card", &["python3", "-c", CARD, "uplink0", "card0"])?;
    card.wait_for_log("plugged in", PATIENCE)?;
    Ok(card)
}

/// Of both devices: whether they leave checksums to hardware, and their numbers.
fn features(host: &Host) -> Result<String> {
    let script = "for link in flannel.1 flannel-v6.1; do
        ethtool -k $link | sed -n 's/.*tx-checksum-ip-generic: *//p'; ip -o link show $link | cut -d: -f1
    done";
    Ok(host.sh(script)?.stdout.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Both ways, both families, both protocols.
fn all_pass(members: &[Member]) -> Result<()> {
    all_reach_all(members)?;
    let [one, two] = members else { anyhow::bail!("two containers") };
    for (from, to) in [(one, two), (two, one)] {
        let _server = probe::serve(&to.container, 80, &[])?;
        from.wait_to_reach(v6(to)?, PATIENCE)?;
        for proto in [Proto::Tcp, Proto::Udp] {
            probe::ask(&from.container, proto, (v6(to)?, 80))?;
        }
    }
    Ok(())
}

#[test]
fn hardware_that_does_not_finish_inner_checksums_loses_all_but_pings_until_it_need_not()
-> Result<()> {
    run(|lab| {
        let mut site = Site::new(lab, DUAL, 2, &["-ip-masq"])?;
        let members = site.members()?;
        all_pass(&members)?;
        let _card = plug_in(&site)?;
        let [one, two] = members.as_slice() else { anyhow::bail!("two containers") };
        // What users see: hosts reach each other, containers can ping, and nothing else works.
        let server = probe::serve(&two.container, 80, &[])?;
        for (there, outside) in [(two.ip, site.uplinks[0].v4), (v6(two)?, site.uplinks[0].v6)] {
            probe::ping(&site.nodes[1].host, outside)?;
            one.wait_to_reach(there, PATIENCE)?;
            for proto in [Proto::Tcp, Proto::Udp] {
                let seen = probe::refusal(&one.container, proto, (there, 80))?;
                assert_eq!(seen, Err("timed out".to_owned()), "{proto:?} to {there}");
            }
        }
        drop(server);

        let host = site.nodes[0].host.clone();
        let before = features(&host)?;
        ensure!(before.starts_with("on "), "{before}");
        with_option(&mut site, "--vxlan-tx-checksum=off")?;
        let off = before.replace("on", "off");
        assert_eq!(features(&host)?, off, "changed in place");
        all_pass(&members)?;
        assert!(features(&site.nodes[1].host)?.starts_with("on "), "the other host is as it was");

        // Whoever changes it finds it put back; nothing else is done.
        host.run(&["ethtool", "-K", "flannel.1", "tx-checksum-ip-generic", "on"])?;
        host.run(&["ethtool", "-K", "flannel-v6.1", "tx-checksum-ip-generic", "on"])?;
        wait_until("it is off again", PATIENCE, || features(&host).is_ok_and(|now| now == off))?;
        host.run(&["ip", "link", "del", "flannel.1"])?;
        wait_until("so it is on a new device", PATIENCE, || {
            features(&host).is_ok_and(|now| now.matches("off").count() == 2)
        })?;
        let off = features(&host)?;
        // Without the option it stays as it is found; with the other word it is as before.
        with_option(&mut site, "-ip-masq")?;
        assert_eq!(features(&host)?, off);
        with_option(&mut site, "--vxlan-tx-checksum=on")?;
        assert_eq!(features(&host)?, off.replace("off", "on"));
        Ok(())
    })
}

/// Starts the first host's agent again, with this option only.
fn with_option(site: &mut Site, option: &str) -> Result<()> {
    let node = site.nodes.first_mut().context("a host")?;
    node.kill();
    let host = node.host.clone();
    *node = Node::start(&host, &site.etcd, &[option])?;
    node.wait_ready()
}
