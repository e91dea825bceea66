//! Host ports of one request.

use std::collections::BTreeMap;

use cni::Error;
use drivers::ports::Mapping;

/// Refuses mappings of one host port to two ports of the container. The same mapping twice is fine.
pub(super) fn distinct(mappings: &[Mapping]) -> Result<(), Error> {
    let mut seen = BTreeMap::new();
    for mapping in mappings {
        let key = (mapping.transport, mapping.host_ip, mapping.container_ip, mapping.host_port);
        let port = *seen.entry(key).or_insert(mapping.container_port);
        if port != mapping.container_port {
            return Err(Error::config(format!(
                "runtimeConfig.portMappings: host port {}/{} leads to the container's ports {port} \
                 and {}: give each a hostPort of its own",
                mapping.host_port,
                mapping.transport.name(),
                mapping.container_port
            )));
        }
    }
    Ok(())
}
