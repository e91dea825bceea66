//! Which of a container's networks gives its default route.

use std::cmp::Ordering;
use std::net::IpAddr;

use netstate::{LinkName, Route};
use serde::{Deserialize, Serialize};

use super::way::everything;
use crate::network::text;

/// A default route that a container had by somebody else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Displaced {
    v6: bool,
    via: Option<IpAddr>,
    #[serde(with = "text")]
    dev: LinkName,
    metric: Option<u32>,
    src: Option<IpAddr>,
    /// Who made it.
    protocol: u8,
    onlink: bool,
}

impl Displaced {
    /// What is kept of a route; of one without a link nothing can be.
    #[must_use]
    pub fn of(route: &Route) -> Option<Self> {
        let dev = route.dev.clone()?;
        let Route { via, metric, src, protocol, onlink, .. } = *route;
        Some(Self { v6: route.dst.is_ipv6(), via, dev, metric, src, protocol, onlink })
    }

    /// Whether it is of IPv6.
    #[must_use]
    pub fn is_ipv6(&self) -> bool {
        self.v6
    }

    /// The route.
    #[must_use]
    pub fn route(&self) -> Option<Route> {
        let Self { via, metric, src, protocol, onlink, .. } = *self;
        let route = Route::new(everything(self.v6)?, self.dev.clone());
        Some(Route { via, metric, src, protocol, onlink, ..route })
    }
}

/// A network that could give it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contender<T> {
    /// The endpoint's priority.
    pub priority: i32,
    /// Families of which the endpoint has an address.
    pub families: usize,
    /// The network's name.
    pub network: String,
    /// What it stands for.
    pub of: T,
}

/// The one that gives it: of the highest priority, with more families, first by its name (Docker's
/// order, `ln/sandbox.go` of moby; networks from which nothing leads out are none).
#[must_use]
pub fn first<T>(all: impl IntoIterator<Item = Contender<T>>) -> Option<Contender<T>> {
    all.into_iter().min_by(order)
}

fn order<T>(one: &Contender<T>, other: &Contender<T>) -> Ordering {
    let priority = other.priority.cmp(&one.priority);
    let families = || other.families.cmp(&one.families);
    priority.then_with(families).then_with(|| one.network.cmp(&other.network))
}
