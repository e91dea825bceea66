//! Taking host ports, so that no two containers have one.

use attach::wiring::Wiring;
use cni::Error;
use drivers::Owner;
use drivers::ports::{Class, Mapping};
use drivers::ruleset::Ip;
use kernel::Kernel;
use netstate::{Desired, Ns, Plan};

use super::conf::Conf;
use crate::attachment::{attach_error, kernel_error};

/// How often others may change the ruleset between our look and our commit.
const ATTEMPTS: usize = 64;

/// Adds the elements, if no port is another's. The look and the commit are made one by the
/// ruleset's generation number: the kernel refuses a commit for an older one.
pub(super) fn commit(
    wiring: &mut Wiring<'_>,
    own: &Desired,
    mappings: &[Mapping],
    conf: &Conf,
    owner: &Owner,
) -> Result<(), Error> {
    for class in &conf.classes {
        make_class(wiring, class)?;
    }
    let mut last = None;
    for _ in 0..ATTEMPTS {
        let generation = wiring.kernel().generation(&Ns::Host).map_err(|e| kernel_error(&e))?;
        if let Some(taken) = holder(wiring.kernel(), mappings, conf)? {
            return Err(taken);
        }
        match wiring.run_at(&Plan::create(own), generation) {
            Ok(()) => return Ok(()),
            Err(attach::Error::Refused { source, .. })
                if source.0.kind() == kernel::Kind::Interrupted =>
            {
                last = Some(source);
            }
            Err(e) => return Err(attach_error(&e)),
        }
    }
    let why = last.map(|e| e.to_string()).unwrap_or_default();
    Err(Error::try_again(format!(
        "host ports of {}: others changed the ruleset {ATTEMPTS} times meanwhile: {why}",
        owner.path()
    )))
}

/// A class that is there already was made by another attachment with the same conditions.
fn make_class(wiring: &mut Wiring<'_>, class: &Class) -> Result<(), Error> {
    let plan = class.create();
    if plan.is_empty() {
        return Ok(());
    }
    match wiring.run_shared(&plan) {
        Ok(()) => Ok(()),
        Err(attach::Error::Refused { source, .. }) if source.0.kind() == kernel::Kind::Exists => {
            Ok(())
        }
        Err(e) => Err(attach_error(&e)),
    }
}

/// The error that names a port and who has it, if any of them is another's.
fn holder(kernel: &mut Kernel, mappings: &[Mapping], conf: &Conf) -> Result<Option<Error>, Error> {
    let local = if mappings.iter().any(|m| m.host_ip.is_none()) {
        kernel
            .local_addrs()
            .map_err(|e| kernel_error(&e))?
            .into_iter()
            .map(|net| net.ip())
            .collect()
    } else {
        Vec::new()
    };
    for mapping in mappings {
        let ip = Ip::of(mapping.container_ip);
        let class = conf.classes.iter().find(|c| c.ip == ip).map(Class::name).unwrap_or_default();
        let mut keys = vec![mapping.claim(&class)];
        keys.extend(mapping.rivals(&class, &local));
        for (set, key) in keys {
            let Some(element) =
                kernel.element(&Ns::Host, &set, &key).map_err(|e| kernel_error(&e))?
            else {
                continue;
            };
            let address = mapping.host_ip.map(|ip| format!(" of {ip}")).unwrap_or_default();
            return Ok(Some(Error::config(format!(
                "host port {}/{}{address} is already mapped for {} (network/container/interface): \
                 choose another hostPort",
                mapping.host_port,
                mapping.transport.name(),
                element.comment
            ))));
        }
    }
    Ok(None)
}
