//! Which of a container's networks its published ports lead to: the one that gives its default route, of each
//! family (`ProgramExternalConnectivity()` of moby's bridge driver, 28).

use serde::{Deserialize, Serialize};

use super::state::translations;
use super::{Endpoint, Families, Published};
use crate::network::{Driver, Network};

/// A published port that leads to an endpoint, be it its own or another's of the same container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Carried {
    /// The port.
    pub port: Published,
    /// The families of the host's addresses from which it leads here.
    pub families: Families,
}

const BOTH: Families = Families { v4: true, v6: true };

impl Endpoint {
    /// The ports that lead to it.
    #[must_use]
    pub fn leading(&self) -> Vec<Carried> {
        let own = || self.ports.iter().map(|port| Carried { port: port.clone(), families: BOTH });
        self.carried.clone().unwrap_or_else(|| own().collect())
    }

    /// Leaves ports to another endpoint of the same container that has them already: runtimes ask for the
    /// same ones of every network.
    pub fn share_ports(&mut self, others: &[impl AsRef<Self>]) {
        let is_taken =
            |port: &Published| others.iter().any(|other| other.as_ref().ports.contains(port));
        let (waiting, ports) = self.ports.drain(..).partition(is_taken);
        self.ports = ports;
        self.waiting = waiting;
    }

    /// Takes up what another had that is gone; whether there was anything.
    pub fn inherit(&mut self, gone: &Self) -> bool {
        let before = self.ports.len();
        let (mine, waiting): (Vec<_>, Vec<_>) =
            self.waiting.drain(..).partition(|port| gone.ports.contains(port));
        self.waiting = waiting;
        self.ports.extend(mine);
        self.ports.len() > before
    }
}

/// The endpoints of one container, each with what leads to it; only those of which that changes.
#[must_use]
pub fn placed(all: &[(&Endpoint, &Network)]) -> Vec<Endpoint> {
    let gateway = |v6: bool| {
        let of = |v6: bool| {
            let gives = |one: &Endpoint| one.default_routes.has(v6);
            all.iter().find(|(one, network)| gives(one) && network.driver == Driver::Bridge)
        };
        // Without a way out by IPv6 what comes by it is carried to the other family's address.
        of(v6).or_else(|| of(false).filter(|_| v6)).map(|(one, _)| &one.id)
    };
    let gateways = [gateway(false), gateway(true)];
    let each = |(one, network): &(&Endpoint, &Network)| {
        let mut leading: Vec<Carried> = Vec::new();
        let translates = translations(network);
        for (of, _) in all {
            for port in &of.ports {
                let mut families = Families::default();
                for (v6, gateway) in [false, true].into_iter().zip(gateways) {
                    let is_here = match gateway {
                        Some(gateway) if *gateway == one.id => true,
                        // With addresses that are reached as they are a port is opened where it is.
                        Some(_) => of.id == one.id && !translates.has(v6),
                        None => of.id == one.id,
                    };
                    families.set(v6, is_here);
                }
                if families != Families::default() {
                    leading.push(Carried { port: port.clone(), families });
                }
            }
        }
        let own = Endpoint { carried: None, ..(*one).clone() };
        let carried = (own.leading() != leading).then_some(leading);
        (carried != one.carried).then_some(Endpoint { carried, ..own })
    };
    all.iter().filter_map(each).collect()
}
