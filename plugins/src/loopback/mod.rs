//! The loopback interface of a container: up on ADD, down on DEL.

use attach::wiring::{self, Wiring};
use cni::skel::{Info, NetnsRule, Plugin};
use cni::{AddResult, Error, Interface, IpConfig, IpNet, Request, Version};
use kernel::Kernel;
use netstate::{LinkChange, LinkName, Ns, Op, Plan, Step};

use crate::attachment::{self, attach_error, kernel_error};

/// The plugin.
pub(crate) struct Loopback;

impl Plugin for Loopback {
    fn info(&self) -> Info {
        Info {
            name: "loopback",
            build: env!("CARGO_PKG_VERSION"),
            versions: Version::ALL,
            netns: NetnsRule::Container,
        }
    }

    fn add(&self, request: &Request) -> Result<AddResult, Error> {
        let (netns, _) = attachment::netns(request)?;
        let mut kernel = attachment::kernel(Some(&netns));
        let result = up(&mut kernel, request)?;
        Ok(request.prev_result.clone().unwrap_or(result))
    }

    fn del(&self, request: &Request) -> Result<(), Error> {
        let Some(netns) = attachment::netns_if_there(request) else { return Ok(()) };
        let mut kernel = attachment::kernel(Some(&netns));
        let plan = Plan { steps: vec![set(false)] };
        let left = wiring::remove(&mut kernel, &plan, &attachment::ns_names(request));
        if left.is_empty() { Ok(()) } else { Err(attach_error(&attach::Error::Left { left })) }
    }

    fn check(&self, request: &Request) -> Result<(), Error> {
        let (netns, _) = attachment::netns(request)?;
        let mut kernel = attachment::kernel(Some(&netns));
        check_up(&mut kernel)
    }
}

/// Brings `lo` up; the result names it and its addresses.
pub(crate) fn up(kernel: &mut Kernel, request: &Request) -> Result<AddResult, Error> {
    let plan = Plan { steps: vec![set(true)] };
    Wiring::new(kernel, attachment::ns_names(request)).run(&plan).map_err(|e| attach_error(&e))?;
    let lo = LinkName::lo();
    let mut ips = Vec::new();
    let addrs = kernel.addrs_of(&Ns::Container, &lo).map_err(|e| kernel_error(&e))?;
    for net in addrs.into_iter().map(|a| a.net) {
        if !net.ip().is_loopback() {
            return Err(Error::internal(format!(
                "loopback interface found with non-loopback address {:?}",
                net.to_string()
            )));
        }
        let first = !ips.iter().any(|ip: &IpConfig| ip.address.is_ipv4() == net.is_ipv4());
        if first {
            let mut ip = IpConfig::new(IpNet { addr: net.ip(), prefix: net.prefix() });
            ip.interface = Some(0);
            ips.push(ip);
        }
    }
    let interface = Interface {
        name: lo.to_string(),
        mac: "00:00:00:00:00:00".to_owned(),
        sandbox: attachment::sandbox(request),
        ..Interface::default()
    };
    Ok(AddResult { interfaces: vec![interface], ips, ..AddResult::default() })
}

/// Whether `lo` is up.
pub(crate) fn check_up(kernel: &mut Kernel) -> Result<(), Error> {
    let lo = kernel.link_by_name(&Ns::Container, &LinkName::lo()).map_err(|e| kernel_error(&e))?;
    if lo.is_some_and(|state| state.link.up) {
        return Ok(());
    }
    Err(Error::internal("loopback interface is down"))
}

fn set(up: bool) -> Step {
    let op = Op::SetLink { name: LinkName::lo(), changes: vec![LinkChange::Up(up)] };
    Step::fresh(Ns::Container, op)
}
