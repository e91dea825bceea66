//! Requests, and what they meet.

use std::collections::BTreeMap;

use netstate::LinkName;

use crate::network::*;

/// What there is beside a new network.
#[derive(Default)]
pub(super) struct Host {
    pub(super) networks: Vec<Network>,
    pub(super) routes: Vec<&'static str>,
    pub(super) clusters: Vec<ClusterNetwork>,
    pub(super) tunnels: Vec<(Vni, LinkName)>,
}

impl Host {
    pub(super) fn create(
        &mut self,
        request: CreateRequest,
    ) -> Result<(Network, Vec<String>), NetworkError> {
        let networks: Vec<&Network> = self.networks.iter().collect();
        let routes: Vec<_> = self.routes.iter().map(|route| route.parse().unwrap()).collect();
        let site = Site {
            networks: &networks,
            routes: &routes,
            clusters: &self.clusters,
            avoid: &[],
            pools: &Pools::new(host_network(1)),
            links: &[LinkName::lo(), LinkName::fixed("eth0")],
            tunnels: &self.tunnels,
            lacking: &[],
        };
        let Created { network, warnings } = create(request, Id::random(), Moment::now(), &site)?;
        self.networks.push(network.clone());
        Ok((network, warnings))
    }

    pub(super) fn refused(&mut self, request: CreateRequest) -> (Kind, String) {
        let error = self.create(request).unwrap_err();
        (error.kind(), error.to_string())
    }

    pub(super) fn refuses(&mut self, request: CreateRequest, kind: Kind, text: &str) {
        let (found, told) = self.refused(request);
        assert!(told.contains(text), "{told}");
        assert_eq!(found, kind, "{told}");
    }
}

pub(super) fn named(name: &str) -> CreateRequest {
    CreateRequest { name: name.to_owned(), ..CreateRequest::default() }
}

pub(super) fn with(name: &str, subnet: SubnetRequest) -> CreateRequest {
    CreateRequest { ipam: Ipam { config: vec![subnet], ..Ipam::default() }, ..named(name) }
}

pub(super) fn subnet(subnet: &str, gateway: &str) -> SubnetRequest {
    SubnetRequest {
        subnet: subnet.to_owned(),
        gateway: gateway.to_owned(),
        ..SubnetRequest::default()
    }
}

pub(super) fn option(driver: &str, key: &str, value: &str) -> CreateRequest {
    let options = BTreeMap::from([(key.to_owned(), value.to_owned())]);
    CreateRequest { driver: driver.to_owned(), options, ..named("n") }
}
