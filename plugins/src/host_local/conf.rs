//! The keys of `ipam` for host-local.

use std::net::IpAddr;
use std::path::PathBuf;

use cni::conf::{Args, IpRange};
use cni::{Dns, Error, Request, Route, json};
use ipam::resolv_conf::ResolvConf;
use ipam::{RangeSet, RangeSpec, parse_cidr, parse_ip_or_cidr};
use serde::Deserialize;

use crate::convert;

/// What host-local is to do, validated.
#[derive(Debug)]
pub(super) struct Conf {
    pub(super) sets: Vec<RangeSet>,
    pub(super) requested: Vec<IpAddr>,
    pub(super) routes: Vec<Route>,
    pub(super) data_dir: PathBuf,
    pub(super) dns: Dns,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Wire {
    ipam: Option<Ipam>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Ipam {
    subnet: String,
    range_start: String,
    range_end: String,
    gateway: String,
    ranges: Vec<Vec<IpRange>>,
    routes: Vec<Route>,
    data_dir: String,
    resolv_conf: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ArgsCni {
    ips: Vec<String>,
}

impl Conf {
    /// All keys; for ADD and STATUS.
    pub(super) fn for_add(request: &Request) -> Result<Self, Error> {
        let wire: Wire = json::decode(&request.conf.raw)?;
        let ipam = wire.ipam.ok_or_else(|| Error::config("IPAM config missing 'ipam' key"))?;
        let sets = range_sets(request, &ipam)?;
        Ok(Self {
            sets,
            requested: requested(request)?,
            dns: dns(&ipam.resolv_conf)?,
            data_dir: data_dir(&ipam.data_dir),
            routes: ipam.routes,
        })
    }

    /// Only where the reservations are: a range that became wrong must not keep an address from
    /// being released.
    pub(super) fn for_del(request: &Request) -> Self {
        #[derive(Deserialize, Default)]
        #[serde(default, rename_all = "camelCase")]
        struct OnlyDir {
            data_dir: String,
        }
        let ipam = request.conf.raw.field("ipam");
        let dir: OnlyDir = ipam.and_then(|i| json::decode(i).ok()).unwrap_or_default();
        Self {
            sets: Vec::new(),
            requested: Vec::new(),
            routes: Vec::new(),
            data_dir: data_dir(&dir.data_dir),
            dns: Dns::default(),
        }
    }
}

fn data_dir(configured: &str) -> PathBuf {
    let configured =
        if configured.is_empty() { ipam::host_local::DEFAULT_DATA_DIR } else { configured };
    PathBuf::from(configured)
}

/// Ranges of the runtime first, then the single range of old configurations, then `ranges`.
fn range_sets(request: &Request, ipam: &Ipam) -> Result<Vec<RangeSet>, Error> {
    let mut specs = Vec::new();
    for (i, set) in request.conf.ip_ranges()?.iter().enumerate() {
        specs.push(set_specs(&format!("runtimeConfig.ipRanges[{i}]"), set)?);
    }
    if !ipam.subnet.is_empty() {
        let range = IpRange {
            subnet: ipam.subnet.clone(),
            range_start: ipam.range_start.clone(),
            range_end: ipam.range_end.clone(),
            gateway: ipam.gateway.clone(),
        };
        specs.push(vec![spec("ipam", &range)?]);
    }
    for (i, set) in ipam.ranges.iter().enumerate() {
        specs.push(set_specs(&format!("ipam.ranges[{i}]"), set)?);
    }
    let sets =
        ipam::range_sets(&specs).map_err(|e| Error::caused_by(cni::Code::InvalidConfig, &e))?;
    if !request.version.allows_multiple_ips() {
        for family in [ipam::Family::V4, ipam::Family::V6] {
            if sets.iter().filter(|s| s.family() == family).count() > 1 {
                return Err(Error::config(format!(
                    "CNI version {} does not support more than 1 address per family",
                    request.version
                )));
            }
        }
    }
    Ok(sets)
}

fn set_specs(key: &str, set: &[IpRange]) -> Result<Vec<RangeSpec>, Error> {
    set.iter().enumerate().map(|(i, range)| spec(&format!("{key}[{i}]"), range)).collect()
}

fn spec(key: &str, range: &IpRange) -> Result<RangeSpec, Error> {
    let optional = |name: &str, value: &str| {
        if value.is_empty() {
            return Ok(None);
        }
        convert::ip_addr(&format!("{key}.{name}"), value).map(Some)
    };
    let subnet = parse_cidr(&range.subnet)
        .map_err(|e| Error::config(format!("{key}.subnet: {}", cni::ErrorChain(&e))))?;
    Ok(RangeSpec {
        subnet,
        range_start: optional("rangeStart", &range.range_start)?,
        range_end: optional("rangeEnd", &range.range_end)?,
        gateway: optional("gateway", &range.gateway)?,
    })
}

/// Addresses asked for, from all three places.
fn requested(request: &Request) -> Result<Vec<IpAddr>, Error> {
    let args = Args::parse(&request.args)?;
    let known = args.take_known(&["IP"])?;
    let mut texts: Vec<(&str, String)> = Vec::new();
    texts.extend(known.get("IP").map(|ip| ("CNI_ARGS IP", (*ip).to_owned())));
    let cni: Option<ArgsCni> = request.conf.args_cni()?;
    texts.extend(cni.unwrap_or_default().ips.into_iter().map(|ip| ("args.cni.ips", ip)));
    texts.extend(request.conf.ips()?.into_iter().map(|ip| ("runtimeConfig.ips", ip)));
    let parse = |(key, text): &(&str, String)| {
        parse_ip_or_cidr(text).map_err(|e| Error::config(format!("{key}: {}", cni::ErrorChain(&e))))
    };
    texts.iter().filter(|(_, text)| !text.is_empty()).map(parse).collect()
}

fn dns(path: &str) -> Result<Dns, Error> {
    if path.is_empty() {
        return Ok(Dns::default());
    }
    let text = std::fs::read_to_string(path)
        .map_err(|e| Error::config(format!("ipam.resolvConf: cannot read {path:?}: {e}")))?;
    let parsed = ResolvConf::parse(&text);
    Ok(Dns {
        nameservers: parsed.nameservers,
        domain: parsed.domain.unwrap_or_default(),
        search: parsed.search,
        options: parsed.options,
        ..Dns::default()
    })
}
