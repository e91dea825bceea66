//! Taking host ports, so that no two containers have one.

use std::collections::BTreeMap;

use drivers::Owner;
use drivers::ports::{Class, Mapping};
use drivers::ruleset::Ip;
use kernel::Kernel;
use netstate::nft::{Element, SetId, Value};
use netstate::{Ns, Plan};

use crate::Error;
use crate::wiring::Wiring;

/// How often others may change the ruleset between our look and our commit.
const ATTEMPTS: usize = 64;

/// The ports that an attachment is to have.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// Whose they are to be.
    pub owner: &'a Owner,
    /// The ports.
    pub mappings: &'a [Mapping],
    /// The conditions of their mappings, by protocol.
    pub classes: &'a [Class],
    /// Adds their elements, with others that are to be there at the same moment.
    pub own: &'a Plan,
    /// Of the ruleset that was seen to have our table.
    pub generation: u32,
}

/// A mapping, and the element that keeps it from being.
type Rival<'m> = (&'m Mapping, Element);

impl Claim<'_> {
    /// Adds the elements, if no port is another's. The look and the commit are made one by the
    /// ruleset's generation number: the kernel refuses a commit for an older one.
    ///
    /// # Errors
    /// [`Error::Taken`], naming who has a port; [`Error::Changed`]. No element was added then.
    pub fn commit(&self, wiring: &mut Wiring<'_>) -> Result<(), Error> {
        for class in self.classes {
            make_class(wiring, class)?;
        }
        let mut last = None;
        for attempt in 0..ATTEMPTS {
            let generation = match attempt {
                0 => self.generation,
                _ => wiring.kernel().generation(&Ns::Host)?,
            };
            if let Some(rival) = self.rival(wiring.kernel())? {
                return Err(taken(rival));
            }
            match wiring.run_at(self.own, generation) {
                Ok(()) => return Ok(()),
                Err(Error::Refused { source, .. })
                    if source.0.kind() == kernel::Kind::Interrupted =>
                {
                    last = Some(source);
                }
                Err(Error::Refused { step, source }) if source.0.kind() == kernel::Kind::Exists => {
                    let same = self.same(wiring.kernel())?;
                    return Err(same.map_or(Error::Refused { step, source }, taken));
                }
                Err(e) => return Err(e),
            }
        }
        let owner = self.owner.path();
        Err(Error::Changed { owner, attempts: ATTEMPTS, source: last })
    }

    /// A mapping, and an element of another key that translates some of its packets. Of a single address
    /// it is asked for by key; against one of any address are those of single ones: they are listed, as
    /// they are few and the addresses that a host has or will have may be many.
    fn rival(&self, kernel: &mut Kernel) -> Result<Option<Rival<'_>>, kernel::Error> {
        let (single, any): (Vec<_>, Vec<_>) =
            self.mappings.iter().partition(|mapping| mapping.host_ip.is_some());
        let at_any = |mapping: &&Mapping| mapping.claim_at(None, &self.class_of(mapping));
        let there =
            kernel.elements_at(&Ns::Host, &single.iter().map(at_any).collect::<Vec<_>>())?;
        let held = single.into_iter().zip(there).find_map(|(of, there)| Some((of, there?)));
        if held.is_some() {
            return Ok(held);
        }
        let mut listed: BTreeMap<SetId, Vec<&Mapping>> = BTreeMap::new();
        for mapping in any {
            let set = mapping.single_addresses(&self.class_of(mapping));
            listed.entry(set).or_default().push(mapping);
        }
        for (set, mappings) in listed {
            let singles = kernel.elements(&Ns::Host, &set)?;
            if singles.is_empty() {
                continue;
            }
            let keys: Vec<_> = mappings.iter().map(|of| of.claim_at(None, "").1).collect();
            for there in singles {
                let is_rival = |key: &Vec<Value>| there.key.ends_with(key);
                if let Some((of, _)) = mappings.iter().zip(&keys).find(|(_, key)| is_rival(key)) {
                    return Ok(Some((*of, there)));
                }
            }
        }
        Ok(None)
    }

    /// A mapping, and the element that has its key: the kernel has refused another.
    fn same(&self, kernel: &mut Kernel) -> Result<Option<Rival<'_>>, kernel::Error> {
        let keys = self.mappings.iter().map(|mapping| mapping.claim(&self.class_of(mapping)));
        let there = kernel.elements_at(&Ns::Host, &keys.collect::<Vec<_>>())?;
        Ok(self.mappings.iter().zip(there).find_map(|(of, there)| Some((of, there?))))
    }

    fn class_of(&self, mapping: &Mapping) -> String {
        let ip = Ip::of(mapping.container_ip);
        self.classes.iter().find(|class| class.ip == ip).map(Class::name).unwrap_or_default()
    }
}

/// The error that names a port and who has it.
fn taken((mapping, there): Rival<'_>) -> Error {
    let address = mapping.host_ip.map(|ip| format!(" of {ip}")).unwrap_or_default();
    let port = format!("{}/{}{address}", mapping.host_port, mapping.transport.name());
    Error::Taken { port, holder: there.comment }
}

/// A class that is there already was made by another attachment with the same conditions.
fn make_class(wiring: &mut Wiring<'_>, class: &Class) -> Result<(), Error> {
    let plan = class.create();
    if plan.is_empty() {
        return Ok(());
    }
    match wiring.run_shared(&plan) {
        Err(Error::Refused { source, .. }) if source.0.kind() == kernel::Kind::Exists => Ok(()),
        run => run,
    }
}
