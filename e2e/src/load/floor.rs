//! The floor: one empty static process for each plugin of the chain, and the kernel's own work for
//! the same attachment, by netlink from inside the measuring program.
//!
//! What no set of plugins can go below. It reserves no address and keeps no record.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result};
use kernel::{Kernel, Netns};
use netstate::nft::{DataType, Element, Family, Set, SetId, Table, TableId, Value};
use netstate::{
    Addr, BridgePort, Datapath as _, Link, LinkChange, LinkKind, LinkName, LinkRef, Mac, Ns, Op,
    PeerInit, Plan, Route, Step, SysctlKey,
};

use super::child::{self, Cost};
use super::cni::PLUGINS;
use super::{Attach, namespaces};

/// Elements that the chain keeps for one attachment with two ports.
const ELEMENTS: u8 = 8;

/// The floor, and how to take back each attachment.
#[derive(Debug)]
pub struct Floor {
    empty: String,
    undo: Mutex<BTreeMap<u32, Plan>>,
}

impl Floor {
    /// Makes the bridge and the table; `empty` is the path of a program that does nothing.
    ///
    /// # Errors
    ///
    /// When they are there already.
    pub fn new(empty: &str) -> Result<Self> {
        apply(&mut Kernel::open(None), &shared()?)?;
        Ok(Self { empty: empty.to_owned(), undo: Mutex::default() })
    }

    fn processes(&self) -> Result<Vec<Cost>> {
        let once = |_| {
            let mut command = Command::new(&self.empty);
            Ok(child::run(command.env_clear(), b"{}")?.cost)
        };
        PLUGINS.iter().map(once).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<u32, Plan>> {
        self.undo.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The steps are the processes, one for each plugin, and last the kernel's work.
impl Attach for Floor {
    fn add(&self, number: u32) -> Result<Vec<Cost>> {
        let mut costs = self.processes()?;
        let plan = attachment(number)?;
        let (undo, cost) = Cost::of(|| {
            let netns = Netns::open(&namespaces::path(number))?;
            apply(&mut Kernel::open(Some(&netns)), &plan)
        })?;
        self.lock().insert(number, undo);
        costs.push(cost);
        Ok(costs)
    }

    fn del(&self, number: u32) -> Result<Vec<Cost>> {
        let mut costs = self.processes()?;
        let mut undo = self.lock().remove(&number).context("an attachment to take back")?;
        undo.steps.retain(|step| step.ns == Ns::Host);
        let (_, cost) = Cost::of(|| apply(&mut Kernel::open(None), &undo))?;
        costs.push(cost);
        Ok(costs)
    }
}

/// Applies a plan and gives the one that takes it back.
fn apply(kernel: &mut Kernel, plan: &Plan) -> Result<Plan> {
    let report = kernel.apply(plan);
    let undo = report.undo();
    match report.failed {
        None => Ok(undo),
        Some((_, error)) => Err(error.into()),
    }
}

fn shared() -> Result<Plan> {
    let link = Link {
        mac: Some(Mac([2, 0, 0, 0, 0, 1])),
        ..Link::new(bridge()?, LinkKind::Bridge { vlan_filtering: None })
    };
    let address = Addr::new(bridge()?, "10.88.0.1/16".parse()?);
    let types = vec![DataType::Ipv4Addr, DataType::Ifname];
    let set = Set { name: "elements".to_owned(), key: types, data: vec![] };
    let table = Table {
        id: table(),
        comment: "floor".to_owned(),
        sets: vec![set],
        networks: vec![],
        chains: vec![],
    };
    let ops = [Op::AddLink { link, peer: None }, Op::AddAddr(address), Op::AddTable(table)];
    Ok(Plan { steps: ops.map(|op| Step::ensure(Ns::Host, op)).to_vec() })
}

fn attachment(number: u32) -> Result<Plan> {
    let [_, _, high, low] = (number + 2).to_be_bytes();
    let address: std::net::Ipv4Addr = [10, 88, high, low].into();
    let (host_end, eth0) = (LinkName::new(format!("veth{number}"))?, LinkName::new("eth0")?);
    let peer = LinkRef { ns: Ns::Container, name: eth0.clone() };
    let link = Link {
        mtu: Some(1500),
        master: Some(bridge()?),
        alias: Some(format!("floor/{number}/eth0")),
        port: Some(BridgePort { hairpin: Some(true), isolated: None, vlans: None }),
        ..Link::new(host_end, LinkKind::Veth { peer: peer.clone() })
    };
    let mac = Some(Mac([2, 1, 0, 0, high, low]));
    let peer = PeerInit { link: peer, mac, mtu: Some(1500) };
    let up = |name| Op::SetLink { name, changes: vec![LinkChange::Up(true)] };
    let inside = |op| Step::fresh(Ns::Container, op);
    // As the reference does: neighbours may know the address by another container's MAC. The kernel
    // floods it to every port of the bridge.
    let key = SysctlKey::conf("ipv4", &eth0, "arp_notify");
    let announced = Op::SetSysctl { key, value: "1".to_owned(), optional: false };
    let route =
        Route { via: Some("10.88.0.1".parse()?), ..Route::new("0.0.0.0/0".parse()?, eth0.clone()) };
    let mut steps = vec![
        Step::fresh(Ns::Host, Op::AddLink { link, peer: Some(peer) }),
        inside(up(LinkName::lo())),
        inside(announced),
        inside(Op::AddAddr(Addr::new(eth0.clone(), format!("{address}/16").parse()?))),
        inside(up(eth0)),
        inside(Op::AddRoute(route)),
    ];
    for count in 0..ELEMENTS {
        let link = LinkName::new(format!("load{count}"))?;
        let key = vec![Value::Ipv4(address), Value::Ifname(link)];
        let element = Element { key, data: vec![], comment: format!("floor/{number}/eth0") };
        let op = Op::AddElement { set: SetId::new(&table(), "elements"), element: element.into() };
        steps.push(Step::fresh(Ns::Host, op));
    }
    Ok(Plan { steps })
}

fn table() -> TableId {
    TableId::new(Family::Inet, "floor")
}

fn bridge() -> Result<LinkName> {
    Ok(LinkName::new("load0")?)
}
