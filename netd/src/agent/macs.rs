//! Link-layer addresses of this host's devices, which outlive restarts and reboots: peers know
//! them.

use kernel::Kernel;
use netstate::{LinkKind, LinkName, Mac, Ns};
use rustix::rand::{GetRandomFlags, getrandom};

use super::AgentError;
use crate::backend::{Backend, Macs};
use crate::config::network::NetworkConfig;
use crate::store::{Store, Txn};

/// The addresses of the devices that a configuration asks for.
pub(super) async fn of(
    kernel: &mut Kernel,
    local: &dyn Store,
    config: &NetworkConfig,
) -> Result<Macs, AgentError> {
    let backend = Backend::parse(&config.backend).map_err(AgentError::Backend)?;
    let devices = backend.devices(config.ipv6.is_some()).map_err(AgentError::Backend)?;
    choose(kernel, local, &devices).await
}

/// The addresses of these devices: of a device that is there its own (as one that flanneld has
/// left), else that of the last time, else a new one.
pub(super) async fn choose(
    kernel: &mut Kernel,
    local: &dyn Store,
    devices: &[LinkName],
) -> Result<Macs, AgentError> {
    let mut macs = Macs::new();
    for name in devices {
        let there = kernel.link_by_name(&Ns::Host, name).map_err(AgentError::Look)?;
        let there = there.filter(|state| matches!(state.link.kind, LinkKind::Vxlan(_)));
        let own = there.and_then(|state| state.link.mac);
        let key = format!("/devices/{name}/mac");
        let kept = kept(local, &key).await?;
        let mac = own.or(kept).unwrap_or_else(random);
        if kept != Some(mac) {
            let txn = Txn::new().put(key, mac.to_string().into_bytes(), None);
            local.txn(txn).await.map_err(AgentError::Local)?;
        }
        macs.insert(name.clone(), mac);
    }
    Ok(macs)
}

async fn kept(local: &dyn Store, key: &str) -> Result<Option<Mac>, AgentError> {
    let entry = local.get(key).await.map_err(AgentError::Local)?;
    let text = entry.map(|entry| String::from_utf8_lossy(&entry.value).into_owned());
    Ok(text.and_then(|text| text.parse().ok()))
}

/// Locally administered and unicast (IEEE 802, section 8.2.2).
fn random() -> Mac {
    let mut bytes = [0; 6];
    // Six bytes are never given in part (getrandom(2)); without any, the address is still valid.
    let _ = getrandom(&mut bytes, GetRandomFlags::empty());
    Mac::local(bytes)
}

#[cfg(test)]
mod tests {
    use kernel::testing::{in_new_host, sh};

    use super::*;
    use crate::store::local::Local;

    fn chosen(local: &Local) -> Mac {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let name = LinkName::new("flannel.1").unwrap();
        let mut kernel = Kernel::open(None);
        let macs =
            runtime.block_on(choose(&mut kernel, local, std::slice::from_ref(&name))).unwrap();
        macs[&name]
    }

    #[test]
    fn an_address_is_made_once_and_that_of_a_device_which_is_there_is_taken_over() {
        in_new_host(|| {
            let dir = tempfile::tempdir().unwrap();
            let local = Local::open(&dir.path().join("netd.redb")).unwrap();
            let first = chosen(&local);
            assert!(first.is_unicast() && first.0[0] & 0x02 == 0x02, "{first}");
            assert_eq!(chosen(&local), first);
            sh("ip link add flannel.1 address 02:00:00:00:00:77 type vxlan id 1 dstport 8472");
            assert_eq!(chosen(&local).to_string(), "02:00:00:00:00:77");
            sh("ip link del flannel.1");
            assert_eq!(chosen(&local).to_string(), "02:00:00:00:00:77");
        });
    }
}
