//! Whose frames are let in: the network's elements in the host's table. They are no container's, so whoever keeps
//! the network keeps them, and those of no network go at the next start.

use std::sync::Arc;

use drivers::overlay::Overlay;
use kernel::Kernel;
use netstate::nft::{Element, SetId};
use netstate::{Datapath, Ns, NsNames, Op, Plan, Scope, Step};

use super::{Work, text};
use crate::network::Device;

impl Work {
    /// Lets nobody's frames in but those of known hosts. As long as nobody has said which those are, those who
    /// were stay.
    pub(super) fn sieve(&mut self) -> Result<(), String> {
        self.members.endpoints.have_rules(&mut self.kernel)?;
        let mut wanted = self.spec.closed();
        if let Some(remotes) = &self.remotes {
            wanted.0.join(self.spec.known(remotes).0);
        }
        let mut scope = Scope::of(&wanted);
        if self.remotes.is_some() {
            let there = elements(&mut self.kernel, &self.spec.alias)?;
            let there = there.into_iter().map(|(set, element)| (Ns::Host, set, element));
            scope.elements.extend(there);
        }
        let seen = self.kernel.observe(&scope).map_err(|error| text(&error))?;
        self.apply(&Plan::between(&seen, &wanted, &scope))
    }

    /// Nothing is on the network any more that frames could reach.
    pub(super) fn unsieve(&mut self) -> Result<(), String> {
        let there = elements(&mut self.kernel, &self.spec.alias)?;
        remove(&mut self.kernel, there, &self.names)
    }
}

/// Removes what lets frames of a network in, by the short form of its id.
pub(super) fn end_sieve(short: &str) -> Result<(), String> {
    let mut kernel = Kernel::open(None);
    let there = elements(&mut kernel, &format!("{}{short}", Device::MARK))?;
    remove(&mut kernel, there, &NsNames::default())
}

/// Removes what lets frames of networks in that are none of these, by the short forms of their ids.
pub(in crate::registry::overlay) fn end_sieves(standing: &[&str]) -> Result<(), String> {
    let mut kernel = Kernel::open(None);
    let mut there = elements(&mut kernel, Device::MARK)?;
    there.retain(|(_, element)| {
        let short = element.comment.strip_prefix(Device::MARK);
        !standing.iter().any(|standing| short == Some(*standing))
    });
    remove(&mut kernel, there, &NsNames::default())
}

/// The elements whose comment begins so; none without the table.
fn elements(kernel: &mut Kernel, mark: &str) -> Result<Vec<(SetId, Arc<Element>)>, String> {
    let mut all = Vec::new();
    for set in Overlay::sieves() {
        let there = kernel.elements(&Ns::Host, &set).map_err(|error| text(&error))?;
        let ours = there.into_iter().filter(|element| element.comment.starts_with(mark));
        all.extend(ours.map(|element| (set.clone(), Arc::new(element))));
    }
    Ok(all)
}

fn remove(
    kernel: &mut Kernel,
    elements: Vec<(SetId, Arc<Element>)>,
    names: &NsNames,
) -> Result<(), String> {
    let step = |(set, element)| Step::fresh(Ns::Host, Op::DelElement { set, element });
    let steps = elements.into_iter().map(step).collect();
    let left = attach::wiring::remove(kernel, &Plan { steps }, names);
    if left.is_empty() { Ok(()) } else { Err(left.join("; ")) }
}
