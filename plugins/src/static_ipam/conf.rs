//! The keys of `ipam` for static.

use std::net::IpAddr;

use cni::conf::Args;
use cni::{Dns, Error, Request, Route, json};
use ipam::parse_cidr;
use ipam::static_alloc::{StaticAddress, assign_gateways, check};
use serde::Deserialize;

use crate::convert;

/// What static is to answer, validated.
#[derive(Debug)]
pub(super) struct Conf {
    pub(super) addresses: Vec<StaticAddress>,
    pub(super) routes: Vec<Route>,
    pub(super) dns: Dns,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Wire {
    ipam: Option<Ipam>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Ipam {
    addresses: Vec<Address>,
    routes: Vec<Route>,
    dns: Dns,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Address {
    address: String,
    gateway: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ArgsCni {
    ips: Vec<String>,
}

impl Conf {
    /// `runtimeConfig.ips` replaces `args.cni.ips`, which replaces the configuration's addresses
    /// and those of CNI_ARGS.
    pub(super) fn of(request: &Request) -> Result<Self, Error> {
        let wire: Wire = json::decode(&request.conf.raw)?;
        let ipam = wire.ipam.ok_or_else(|| Error::config("IPAM config missing 'ipam' key"))?;
        let runtime = request.conf.ips()?;
        let args: Option<ArgsCni> = request.conf.args_cni()?;
        let args = args.unwrap_or_default().ips;
        let addresses = if !runtime.is_empty() {
            given("ips", &runtime)?
        } else if !args.is_empty() {
            given("ips", &args)?
        } else {
            configured(&ipam.addresses, &request.args)?
        };
        check(&addresses).map_err(|e| Error::caused_by(cni::Code::InvalidConfig, &e))?;
        one_per_family(request, &addresses)?;
        Ok(Self { addresses, routes: ipam.routes, dns: ipam.dns })
    }
}

fn configured(addresses: &[Address], args: &str) -> Result<Vec<StaticAddress>, Error> {
    let args = Args::parse(args)?;
    let known = args.take_known(&["IP", "GATEWAY"])?;
    let mut all = Vec::new();
    for (i, entry) in addresses.iter().enumerate() {
        let address =
            parse_cidr(&entry.address).map_err(|_| not_cidr("address", "field", &entry.address))?;
        let gateway = match entry.gateway.as_str() {
            "" => None,
            text => Some(convert::ip_addr(&format!("ipam.addresses[{i}].gateway"), text)?),
        };
        all.push(StaticAddress { address, gateway });
    }
    for text in known.get("IP").into_iter().flat_map(|list| list.split(',')) {
        let address = parse_cidr(text.trim()).map_err(|_| not_cidr("ip", "field", text))?;
        all.push(StaticAddress { address, gateway: None });
    }
    let gateways: Vec<IpAddr> = known
        .get("GATEWAY")
        .into_iter()
        .flat_map(|list| list.split(','))
        .map(|text| {
            text.trim().parse().map_err(|_| {
                Error::config(format!("CNI_ARGS GATEWAY: invalid gateway address: {text}"))
            })
        })
        .collect::<Result<_, _>>()?;
    let unused = assign_gateways(&mut all, &gateways);
    if let Some(gateway) = unused.first() {
        return Err(Error::config(format!(
            "CNI_ARGS GATEWAY: {gateway} is in the subnet of no address: give one in IP"
        )));
    }
    Ok(all)
}

fn given(key: &str, texts: &[String]) -> Result<Vec<StaticAddress>, Error> {
    let parse = |text: &String| {
        let address = parse_cidr(text).map_err(|_| {
            Error::config(format!(
                "an entry in the '{key}' field is NOT in CIDR notation, got: '{text}'"
            ))
        })?;
        Ok(StaticAddress { address, gateway: None })
    };
    texts.iter().map(parse).collect()
}

fn not_cidr(key: &str, what: &str, got: &str) -> Error {
    Error::config(format!("the '{key}' {what} is expected to be in CIDR notation, got: '{got}'"))
}

fn one_per_family(request: &Request, addresses: &[StaticAddress]) -> Result<(), Error> {
    let v4 = addresses.iter().filter(|a| a.address.is_ipv4()).count();
    let v6 = addresses.len() - v4;
    if (v4 > 1 || v6 > 1) && !request.version.allows_multiple_ips() {
        return Err(Error::config(format!(
            "CNI version {} does not support more than 1 address per family",
            request.version
        )));
    }
    Ok(())
}
