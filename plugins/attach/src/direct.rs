//! Attachments without a link on the host: what is on a parent directly is in the container alone. The
//! record says so in notes, by which it is found again in the container's namespace.

use kernel::Kernel;
use netstate::{Desired, Link, LinkKind, LinkName, Ns, Op, Plan, Route, RouteScope, Step};

use crate::record::{Namespace, Record};
use crate::wiring;

/// The key of the note that says that the container's link is the attachment's own.
const LINK: &str = "insideLink";

/// The key of the note with the host's routes to the container: `<address> <link>, ...`.
const ROUTES: &str = "hostRoutes";

/// Notes what an attachment makes beside links of the host and elements.
pub fn note(record: &mut Record, links: &Desired) {
    record.notes.insert(LINK.to_owned(), record.owner.ifname.clone());
    let routes = links.0.ns(&Ns::Host).into_iter().flat_map(|host| &host.routes);
    let text = |route: &Route| Some(format!("{} {}", route.dst, route.dev.as_ref()?));
    let routes: Vec<String> = routes.filter_map(text).collect();
    if !routes.is_empty() {
        record.notes.insert(ROUTES.to_owned(), routes.join(", "));
    }
}

/// The host's route to an address of a container, by a link beside the container's.
#[must_use]
pub fn host_route(ip: std::net::IpAddr, link: &LinkName) -> Route {
    let route = Route::new(ip.into(), link.clone());
    // As of every route without a gateway.
    let scope = if ip.is_ipv4() { RouteScope::Link } else { route.scope };
    Route { scope, ..route }
}

/// Takes away what was noted; returns the commands that failed, with reasons. In a namespace that is
/// gone nothing is left.
pub fn take_away(record: &Record) -> Vec<String> {
    if !record.notes.contains_key(LINK) {
        return Vec::new();
    }
    let netns = record.netns.as_ref().and_then(|netns| netns.open());
    let mut kernel = Kernel::open(netns.as_ref());
    let routes = record.notes.get(ROUTES).map(String::as_str).unwrap_or_default();
    let routes = routes.split(", ").filter_map(route).map(Op::DelRoute);
    let mut steps: Vec<Step> = routes.map(|op| Step::fresh(Ns::Host, op)).collect();
    if let (Some(_), Ok(name)) = (&netns, LinkName::new(record.owner.ifname.clone())) {
        match kernel.link_by_name(&Ns::Container, &name) {
            Ok(there) if there.as_ref().is_some_and(|there| is_own(record, &there.link)) => {
                steps.push(Step::fresh(Ns::Container, Op::DelLink(name)));
            }
            Ok(_) => {}
            Err(error) => return vec![cni::ErrorChain(&error).to_string()],
        }
    }
    let names = record.netns.as_ref().map(Namespace::names).unwrap_or_default();
    wiring::remove(&mut kernel, &Plan { steps }, &names)
}

/// Between its birth and its alias, with which it comes up, it has none, and a crash may come between.
fn is_own(record: &Record, link: &Link) -> bool {
    let is_direct = matches!(link.kind, LinkKind::MacVlan { .. } | LinkKind::IpVlan(_));
    let is_ours = match &link.alias {
        Some(alias) => *alias == record.owner.alias(),
        None => !link.up,
    };
    is_direct && is_ours
}

fn route(text: &str) -> Option<Route> {
    let (dst, link) = text.split_once(' ')?;
    let dst: ipnetwork::IpNetwork = dst.parse().ok()?;
    Some(host_route(dst.ip(), &LinkName::new(link).ok()?))
}
