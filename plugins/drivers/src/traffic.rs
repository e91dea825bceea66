//! What happens to packets between containers, the overlay and the world: `table inet
//! netd_cluster`, the agent's own.

use ipnetwork::IpNetwork;
use netstate::nft::{Family, Table, TableId};
use netstate::{NetState, Ns, Op, Plan, Route, Step};

use crate::vxlan::{ROUTE_PROTOCOL, network};

/// Version of the table's content; one more for every change of it.
pub const SCHEMA: u32 = 1;

/// What the rules speak of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traffic {
    /// The networks of the cluster (flannel's `Network`, `IPv6Network`).
    pub networks: Vec<IpNetwork>,
    /// This host's subnets of them.
    pub subnets: Vec<IpNetwork>,
    /// Flows that leave the cluster, or enter it from outside by this host, get this host's
    /// address as their source (`--ip-masq`).
    pub masquerade: bool,
    /// Source ports are chosen at random, which avoids collisions of flows made at the same time.
    pub random_fully: bool,
}

/// `table inet netd_cluster`.
#[must_use]
pub fn id() -> TableId {
    TableId::new(Family::Inet, "netd_cluster")
}

/// The table; its comment tells it from the table of any other [`Traffic`].
#[must_use]
pub fn table(traffic: &Traffic) -> Table {
    let _ = traffic;
    Table { id: id(), comment: String::new(), sets: Vec::new(), chains: Vec::new() }
}

/// Makes the table in one transaction, in place of the one that is there.
#[must_use]
pub fn replace(traffic: &Traffic, there: bool) -> Plan {
    let mut steps = Vec::new();
    if there {
        steps.push(Step::fresh(Ns::Host, Op::DelTable(id())));
    }
    steps.push(Step::ensure(Ns::Host, Op::AddTable(table(traffic))));
    Plan { steps }
}

/// The route that ends what is sent to addresses of this host's subnet that nobody has
/// (`--ip-blackhole-route`), where the subnet is on no bridge.
#[must_use]
pub fn blackhole(subnet: IpNetwork) -> NetState {
    let mut state = NetState::default();
    state.routes.insert(Route { protocol: ROUTE_PROTOCOL, ..Route::blackhole(network(subnet)) });
    state
}
