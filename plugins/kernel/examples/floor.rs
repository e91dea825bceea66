//! What the kernel itself takes for one attachment to a bridge: the floor that plugins are
//! measured against.
//!
//! `cargo run --release -p kernel --features testing --example floor [ROUNDS]`, as root. It works
//! in namespaces of its own. With `strace -f -c` and 1 round, the system calls of one attachment
//! are those between the two writes to standard error.

use std::io::Write;
use std::time::{Duration, Instant};

use kernel::Kernel;
use kernel::testing::{in_new_host, new_container};
use netstate::nft::{DataType, Element, Family, Set, SetId, Table, TableId, Value};
use netstate::{
    Addr, BridgePort, Datapath, Link, LinkChange, LinkKind, LinkName, LinkRef, Mac, NameError, Ns,
    Op, PeerInit, Plan, Route, Step,
};

fn main() -> Result<(), Failure> {
    let rounds = std::env::args().nth(1).map_or(Ok(200), |n| n.parse::<usize>())?;
    let times = in_new_host(|| measure(rounds))?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{rounds} rounds, microseconds: median (least)")?;
    for (name, mut values) in times {
        values.sort_unstable();
        let middle = values.get(values.len() / 2).copied().unwrap_or_default();
        let least = values.first().copied().unwrap_or_default();
        writeln!(out, "{name:<44} {:>8} ({})", middle.as_micros(), least.as_micros())?;
    }
    Ok(())
}

type Times = Vec<(&'static str, Vec<Duration>)>;
type Failure = Box<dyn std::error::Error + Send + Sync>;

fn measure(rounds: usize) -> Result<Times, Failure> {
    apply(&mut Kernel::open(None), &shared()?)?;
    let (mut add, mut del, mut close) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        let container = new_container();
        let plan = attachment(u8::try_from(round % 200)? + 2)?;
        mark("ADD begins\n")?;
        let start = Instant::now();
        let mut kernel = Kernel::open(Some(&container));
        let undo = apply(&mut kernel, &plan)?;
        add.push(start.elapsed());
        mark("ADD ends\n")?;
        drop(kernel);
        let removals =
            Plan { steps: undo.steps.into_iter().filter(|s| s.ns == Ns::Host).collect() };
        let start = Instant::now();
        let mut kernel = Kernel::open(None);
        apply(&mut kernel, &removals)?;
        del.push(start.elapsed());
        let start = Instant::now();
        drop(kernel);
        close.push(start.elapsed());
    }
    Ok(vec![
        ("ADD: veth, container, 2 elements", add),
        ("DEL: 2 elements, veth", del),
        ("closing the sockets after DEL", close),
    ])
}

fn mark(text: &str) -> std::io::Result<()> {
    std::io::stderr().write_all(text.as_bytes())
}

/// Applies a plan and gives the one that takes it back.
fn apply(kernel: &mut Kernel, plan: &Plan) -> Result<Plan, Failure> {
    let report = kernel.apply(plan);
    let undo = report.undo();
    match report.failed {
        None => Ok(undo),
        Some((_, error)) => Err(Box::new(error)),
    }
}

fn shared() -> Result<Plan, Failure> {
    let link = Link {
        mac: Some(Mac([2, 0, 0, 0, 0, 1])),
        ..Link::new(bridge()?, LinkKind::Bridge { vlan_filtering: None })
    };
    let address = Addr::new(bridge()?, "10.1.0.1/16".parse()?);
    let types = vec![DataType::Ipv4Addr, DataType::Ifname];
    let masquerade = Set { name: "masq".to_owned(), key: types, data: vec![] };
    let table = Table {
        id: table(),
        comment: "floor".to_owned(),
        sets: vec![masquerade],
        networks: vec![],
        chains: vec![],
    };
    let ops = [Op::AddLink { link, peer: None }, Op::AddAddr(address), Op::AddTable(table)];
    Ok(Plan { steps: ops.map(|op| Step::ensure(Ns::Host, op)).to_vec() })
}

fn attachment(last: u8) -> Result<Plan, Failure> {
    let (host_end, eth0) = (LinkName::new("veth0")?, LinkName::new("eth0")?);
    let peer = LinkRef { ns: Ns::Container, name: eth0.clone() };
    let link = Link {
        mtu: Some(1500),
        master: Some(bridge()?),
        alias: Some("netd:floor/c1/eth0".to_owned()),
        port: Some(BridgePort { hairpin: Some(true), isolated: None, vlans: None }),
        ..Link::new(host_end, LinkKind::Veth { peer: peer.clone() })
    };
    let peer = PeerInit { link: peer, mac: Some(Mac([2, 1, 0, 0, 0, last])), mtu: Some(1500) };
    let up = |name| Op::SetLink { name, changes: vec![LinkChange::Up(true)] };
    let address = Addr::new(eth0.clone(), format!("10.1.0.{last}/16").parse()?);
    let via = Some("10.1.0.1".parse()?);
    let route = Route { via, ..Route::new("0.0.0.0/0".parse()?, eth0.clone()) };
    let host = |op| Step::fresh(Ns::Host, op);
    let inside = |op| Step::fresh(Ns::Container, op);
    Ok(Plan {
        steps: vec![
            host(Op::AddLink { link, peer: Some(peer) }),
            inside(up(LinkName::lo())),
            inside(up(eth0)),
            inside(Op::AddAddr(address)),
            inside(Op::AddRoute(route)),
            host(element(last, "br0")?),
            host(element(last, "br1")?),
        ],
    })
}

fn element(last: u8, link: &str) -> Result<Op, Failure> {
    let key = vec![Value::Ipv4([10, 1, 0, last].into()), Value::Ifname(LinkName::new(link)?)];
    let element = Element { key, data: vec![], comment: "floor/c1/eth0".to_owned() };
    Ok(Op::AddElement { set: SetId::new(&table(), "masq"), element: element.into() })
}

fn table() -> TableId {
    TableId::new(Family::Inet, "floor")
}

fn bridge() -> Result<LinkName, NameError> {
    LinkName::new("br0")
}
