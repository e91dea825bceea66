//! The lab itself: hosts are apart from each other and from the machine, and leave nothing.

use std::net::IpAddr;

use anyhow::{Context as _, Result};
use e2e::{Capture, Internet, Lab, PATIENCE, Place as _, Proto, probe, wait_until};

/// Two hosts on one wire:
///
/// ```text
/// one eth0 10.0.0.1, fd00::1  -----  eth0 10.0.0.2, fd00::2 two
/// ```
#[test]
fn a_wire_carries_both_families_and_both_transports() -> Result<()> {
    Lab::run(|lab| {
        let (one, two) = (lab.host("one")?, lab.host("two")?);
        lab.wire(
            &one.port("eth0", "10.0.0.1/24 fd00::1/64"),
            &two.port("eth0", "10.0.0.2/24 fd00::2/64"),
        )?;
        let _server = probe::serve(&two, 7, &[])?;
        for (source, destination) in [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")] {
            let (source, destination): (IpAddr, IpAddr) = (source.parse()?, destination.parse()?);
            for proto in [Proto::Tcp, Proto::Udp] {
                let seen = probe::ask(&one, proto, (destination, 7))?;
                assert_eq!(seen.source.ip(), source, "{proto:?}");
            }
            assert!(probe::pings(&one, destination)?);
        }
        let refused = probe::refusal(&one, Proto::Tcp, ("10.0.0.2".parse()?, 8))?;
        assert_eq!(refused, Err("refused".to_owned()));
        let refused = probe::refusal(&one, Proto::Udp, ("10.0.0.9".parse()?, 8))?;
        assert!(refused.is_err(), "{refused:?}");
        Ok(())
    })
}

#[test]
fn hosts_of_a_segment_reach_each_other() -> Result<()> {
    Lab::run(|lab| {
        let (one, two, three) = (lab.host("one")?, lab.host("two")?, lab.host("three")?);
        lab.segment(
            "switch",
            &[
                one.port("eth0", "10.0.0.1/24"),
                two.port("eth0", "10.0.0.2/24"),
                three.port("eth0", "10.0.0.3/24"),
            ],
        )?;
        assert!(probe::pings(&one, "10.0.0.3".parse()?)?);
        assert!(probe::pings(&three, "10.0.0.2".parse()?)?);
        Ok(())
    })
}

#[test]
fn a_capture_shows_who_speaks_to_the_internet() -> Result<()> {
    Lab::run(|lab| {
        let (internet, host) = (lab.internet()?, lab.host("host")?);
        let uplink = internet.connect(lab, &host)?;
        for (server, source) in [(Internet::V4, uplink.v4), (Internet::V6, uplink.v6)] {
            let capture = Capture::start(&host, "eth0", "tcp")?;
            let seen = probe::ask(&host, Proto::Tcp, (server, Internet::PORT))?;
            assert_eq!(seen.source.ip(), source);
            assert_eq!(
                probe::ask(&host, Proto::Udp, (server, Internet::PORT))?.source.ip(),
                source
            );
            capture.stop_when("the connection's first packet", |packets| {
                packets.iter().any(|p| p.source_is(source) && p.destination_is(server))
            })?;
        }
        Ok(())
    })
}

#[test]
fn a_container_starts_with_lo_down_and_is_not_the_host() -> Result<()> {
    Lab::run(|lab| {
        let host = lab.host("host")?;
        let container = host.add_container("c1")?;
        assert_eq!(container.interfaces()?, ["lo"]);
        let link = container.run(&["ip", "-j", "link", "show", "lo"])?.json()?;
        assert_eq!(link.pointer("/0/operstate").and_then(|state| state.as_str()), Some("DOWN"));
        host.run(&["ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1"])?;
        assert_eq!(container.interfaces()?, ["lo"]);
        assert_eq!(host.interfaces()?, ["lo", "v0", "v1"]);
        container.remove()?;
        assert_eq!(host.list("/run/netns")?, Vec::<String>::new());
        Ok(())
    })
}

#[test]
fn what_a_host_writes_is_its_own() -> Result<()> {
    Lab::run(|lab| {
        let (one, two) = (lab.host("one")?, lab.host("two")?);
        one.write_file("/etc/netd-e2e/file", "text")?;
        one.write_file("/var/lib/cni/networks/n/10.0.0.2", "c1\r\neth0")?;
        assert_eq!(one.sh("cat /etc/netd-e2e/file; hostname")?.stdout, "textone\n");
        assert_eq!(two.list("/etc/netd-e2e")?, Vec::<String>::new());
        assert_eq!(two.list("/var/lib/cni/networks")?, Vec::<String>::new());
        assert!(!std::path::Path::new("/etc/netd-e2e").exists());
        assert_ne!(one.read("/etc/machine-id")?, two.read("/etc/machine-id")?);
        Ok(())
    })
}

#[test]
fn every_process_of_a_host_ends_with_it() -> Result<()> {
    let lab = Lab::new()?;
    let host = lab.host("host")?;
    let mut daemon =
        host.spawn("daemon", &["bash", "-c", "setsid sleep 1000 & exec sleep 1001"])?;
    let seen = || host.sh("pgrep -c sleep").map_or(0, |o| o.stdout.trim().parse().unwrap_or(0));
    wait_until("both processes of the daemon", PATIENCE, || seen() == 2)?;
    let init = host.init();
    drop((lab, host));
    assert!(!std::path::Path::new(&format!("/proc/{}", init.as_raw_nonzero())).exists());
    assert_eq!(daemon.wait(PATIENCE)?, 128 + 9);
    Ok(())
}

#[test]
fn a_failed_command_shows_what_it_said() -> Result<()> {
    let lab = Lab::new()?;
    let host = lab.host("host")?;
    let error = host.sh("echo out; echo err >&2; exit 3").err().context("an error")?.to_string();
    assert!(error.contains("exit status 3\nstdout: out\n\nstderr: err\n"), "{error}");
    let late = host.command(&["sleep", "100"]).bound(std::time::Duration::from_millis(50)).run();
    assert!(late.err().context("an error")?.to_string().contains("took over 50ms"));
    Ok(())
}
