//! The delegate: what it is told, and calling it.

use cni::conf::NetConf;
use cni::json::{Object, Value};
use cni::{Error, Request};
use netd_api::SubnetEnv;

use super::Settings;
use crate::callee::Callee;

/// The plugins that have a delegate.
const PLUGINS: [&str; 2] = ["flannel", "overlay"];

/// A delegate, and the request for it.
pub(super) struct Delegate {
    pub(super) callee: Callee,
    pub(super) request: Request,
}

impl Delegate {
    /// The delegate that `conf` names, with the request's environment. It is given the request's
    /// `prevResult`, in the version it is spoken to.
    ///
    /// # Errors
    /// It is not in CNI_PATH; the configuration's version does not exist.
    pub(super) fn of(request: &Request, conf: NetConf) -> Result<Self, Error> {
        let callee = Callee::find(&conf.plugin_type, &request.path)?;
        let version = conf.cni_version.parse().map_err(|e: cni::version::UnknownVersion| {
            Error::config(format!("cniVersion of the delegate: {e}"))
        })?;
        let mut conf = conf;
        if let Some(prev) = request.prev_result.as_ref().and_then(|r| r.to_value(version).ok()) {
            let mut keys = conf.raw.as_object().cloned().unwrap_or_default();
            keys.set("prevResult", prev);
            conf = parse(keys)?;
        }
        Ok(Self { callee, request: Request { conf, version, ..request.clone() } })
    }
}

/// What the delegate is told, with the keys in the order of the reference's: sorted. Without a
/// subnet the addresses are missing.
///
/// # Errors
/// Code 7: a key of `delegate` that is the subnet's to say; code 6: a wrong type.
pub(super) fn conf(
    settings: &Settings,
    request: &Request,
    subnet: Option<&SubnetEnv>,
) -> Result<NetConf, Error> {
    let mut keys = settings.delegate.clone();
    check(settings, &keys)?;
    keys.set("name", request.conf.name.as_str());
    default(&mut keys, "type", "bridge".into());
    if let Some(subnet) = subnet {
        default(&mut keys, "ipMasq", (!subnet.ip_masq).into());
        default(&mut keys, "mtu", u64::from(subnet.mtu).into());
    }
    if keys.field("type").and_then(Value::as_str) == Some("bridge") {
        default(&mut keys, "isGateway", true.into());
        if settings.force_address {
            default(&mut keys, "forceAddress", true.into());
        }
    }
    if !request.conf.cni_version.is_empty() {
        keys.set("cniVersion", request.conf.cni_version.as_str());
    }
    // GC: a delegate is to know which attachments are valid.
    let passed_on = ["runtimeConfig", "cni.dev/valid-attachments", "cni.dev/attachments"];
    for key in passed_on {
        if let Some(value) = request.conf.raw.field(key) {
            keys.set(key, value.clone());
        }
    }
    keys.set("ipam", ipam(request, subnet)?);
    parse(keys.sorted())
}

fn check(settings: &Settings, delegate: &Object) -> Result<(), Error> {
    match delegate.field("type") {
        None => {}
        Some(Value::String(name)) if PLUGINS.contains(&name.as_str()) => {
            return Err(Error::config(format!(
                "delegate.type: {name:?} has a delegate itself: name the plugin that makes the \
                 interface, like \"bridge\""
            )));
        }
        Some(Value::String(_)) => {}
        Some(other) => {
            return Err(Error::config(format!(
                "'delegate' dictionary, if present, must have (string) 'type' field: \
                 delegate.type is {other}"
            )));
        }
    }
    let ours = settings.plugin;
    for (key, remedy) in [("name", "remove it"), ("ipam", "give \"ipam\" beside \"delegate\"")] {
        if delegate.field(key).is_some() {
            return Err(Error::config(format!(
                "'delegate' dictionary must not have '{key}' field, it'll be set by {ours}: {remedy}"
            )));
        }
    }
    Ok(())
}

/// The given `ipam`, with the subnets as its ranges, and routes to all of the cluster's networks.
fn ipam(request: &Request, subnet: Option<&SubnetEnv>) -> Result<Object, Error> {
    let given = request.conf.raw.field("ipam").and_then(Value::as_object);
    let mut ipam = given.cloned().unwrap_or_default();
    default(&mut ipam, "type", "host-local".into());
    let Some(subnet) = subnet else { return Ok(ipam) };
    let v4 = subnet.subnet.map(|net| format!("{}/{}", net.network(), net.prefix()));
    let v6 = subnet.ipv6_subnet.map(|net| format!("{}/{}", net.network(), net.prefix()));
    let range = |net: String| Value::from(vec![with("subnet", net)]);
    let ranges: Vec<Value> = v4.into_iter().chain(v6).map(range).collect();
    ipam.set("ranges", ranges);
    let mut routes = match ipam.field("routes") {
        None => Vec::new(),
        Some(Value::Array(routes)) => routes.clone(),
        Some(other) => {
            return Err(Error::decoding(format!("ipam.routes: expected a list, got {other}")));
        }
    };
    let v4 = subnet.networks.iter().map(ToString::to_string);
    let v6 = subnet.ipv6_networks.iter().map(ToString::to_string);
    routes.extend(v4.chain(v6).map(|network| with("dst", network)));
    ipam.set("routes", routes);
    Ok(ipam)
}

/// `{KEY: VALUE}`.
fn with(key: &str, value: String) -> Value {
    let mut object = Object::new();
    object.set(key, value);
    object.into()
}

fn default(keys: &mut Object, key: &str, value: Value) {
    if keys.field(key).is_none() {
        keys.set(key, value);
    }
}

fn parse(keys: Object) -> Result<NetConf, Error> {
    NetConf::parse(Value::from(keys).to_string().into_bytes())
        .map_err(|error| error.context("configuration of the delegate"))
}
