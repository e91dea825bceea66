//! The end of an overlay on this host.

use drivers::overlay;
use kernel::{Kernel, Pins};
use netstate::{LinkName, Ns, NsNames, Op, Plan, Step};

use super::sieve::end_sieve;
use super::{Place, Work, text};

impl Work {
    /// Ends what a network has here, and says what is left of it.
    pub(super) fn end(&mut self) -> Result<(), String> {
        let ended = self.take_down();
        let Place { network, troubles, .. } = &self.at;
        match &ended {
            Ok(()) => troubles.clear(&network.id),
            Err(why) => {
                troubles.put(network, &format!("it stays without containers: {why}"));
            }
        }
        ended
    }

    /// Tunnel ends go by name, and then the namespace is let go. What the table has goes before: closing the
    /// socket that said so waits for nothing more then.
    fn take_down(&mut self) -> Result<(), String> {
        self.at.dns.remove_namespace(self.at.network.id.as_str());
        let tunnels =
            (0..self.spec.segments.len()).filter_map(|number| overlay::tunnel(number).ok());
        self.unsieve()?;
        remove(&mut self.kernel, tunnels.collect(), &self.names)?;
        self.end_encryption()?;
        self.at.pins.remove(&self.at.name).map_err(|error| text(&error))
    }
}

/// Ends a namespace that was left, with the tunnel ends in it and what lets frames to them in.
pub(in crate::registry::overlay) fn end_leftover(pins: &Pins, name: &str) -> Result<(), String> {
    end_sieve(name)?;
    if let Some(netns) = pins.open(name).map_err(|error| text(&error))? {
        let mut kernel = Kernel::open(None).with_overlay(&netns);
        let there = kernel.link_names(&Ns::Overlay).map_err(|error| text(&error))?;
        let tunnels = there.into_iter().filter(|link| link.as_str().starts_with("vxlan"));
        let overlay = pins.path(name).to_string_lossy().into_owned();
        let names = NsNames { overlay, ..NsNames::default() };
        remove(&mut kernel, tunnels.collect(), &names)?;
    }
    pins.remove(name).map_err(|error| text(&error))
}

fn remove(kernel: &mut Kernel, links: Vec<LinkName>, names: &NsNames) -> Result<(), String> {
    let steps = links.into_iter().map(|link| Step::fresh(Ns::Overlay, Op::DelLink(link)));
    let left = attach::wiring::remove(kernel, &Plan { steps: steps.collect() }, names);
    if left.is_empty() { Ok(()) } else { Err(left.join("; ")) }
}
