//! Writing a result in the shape of one version.

use super::{AddResult, Dns, Extra, Interface, IpConfig, Route};
use crate::error::Error;
use crate::json::{self, Object, Value};
use crate::version::Version;
use std::net::IpAddr;

impl AddResult {
    /// The result as printed on stdout: in the shape of `version`, indented by four spaces, no
    /// newline at the end.
    ///
    /// Up to 0.2.0 only the first address of each family and its routes can be said.
    ///
    /// # Errors
    /// Code 1: `cannot convert: no valid IP addresses`, up to 0.2.0.
    pub fn to_json(&self, version: Version) -> Result<String, Error> {
        self.to_value(version).map(|value| json::pretty(&value))
    }

    /// As [`Self::to_json`], as a value, for `prevResult`.
    ///
    /// # Errors
    /// As [`Self::to_json`].
    pub fn to_value(&self, version: Version) -> Result<Value, Error> {
        let mut result = Object::new();
        result.set("cniVersion", version.as_str());
        if version < Version::V0_3_0 {
            self.old_addresses(&mut result)?;
        } else {
            let numbered = version < Version::V1_0_0;
            let attributes = version >= Version::V1_0_0;
            set_list(&mut result, "interfaces", &self.interfaces, |i| interface(i, attributes));
            set_list(&mut result, "ips", &self.ips, |ip| ip_since_0_3(ip, numbered));
            set_list(&mut result, "routes", &self.routes, route);
        }
        if version < Version::V1_0_0 || !self.dns.is_empty() {
            result.set("dns", dns(&self.dns));
        }
        set_extra(&mut result, &self.extra);
        // libcni goes through a Go map here, which sorts.
        Ok(Value::Object(if version < Version::V1_0_0 { result } else { result.sorted() }))
    }

    /// `ip4` and `ip6`.
    fn old_addresses(&self, result: &mut Object) -> Result<(), Error> {
        if self.ips.is_empty() {
            let text = "cannot convert: no valid IP addresses";
            return Err(Error::new(crate::Code::IncompatibleVersion, text));
        }
        for (key, is_ipv4) in [("ip4", true), ("ip6", false)] {
            let first = self.ips.iter().find(|ip| ip.address.is_ipv4() == is_ipv4);
            let Some(ip) = first else { continue };
            let mut object = Object::new();
            object.set("ip", ip.address.to_string());
            set_ip(&mut object, "gateway", ip.gateway);
            let routes = self.routes.iter().filter(|route| route.dst.is_ipv4() == is_ipv4);
            let routes: Vec<Value> = routes.map(|r| route(&Route::new(r.dst, r.gw))).collect();
            if !routes.is_empty() {
                object.set("routes", routes);
            }
            set_extra(&mut object, &ip.extra);
            result.set(key, object);
        }
        Ok(())
    }
}

/// An interface; its `attributes` are those that results up to 0.4.0 do not have.
fn interface(interface: &Interface, attributes: bool) -> Value {
    let mut object = Object::new();
    object.set("name", interface.name.as_str());
    set_text(&mut object, "mac", &interface.mac);
    if attributes {
        set_number(&mut object, "mtu", interface.mtu.filter(|mtu| *mtu != 0));
    }
    set_text(&mut object, "sandbox", &interface.sandbox);
    if attributes {
        set_text(&mut object, "socketPath", &interface.socket_path);
        set_text(&mut object, "pciID", &interface.pci_id);
    }
    set_extra(&mut object, &interface.extra);
    Value::Object(object)
}

fn ip_since_0_3(ip: &IpConfig, numbered: bool) -> Value {
    let mut object = Object::new();
    if numbered {
        object.set("version", if ip.address.is_ipv4() { "4" } else { "6" });
    }
    if let Some(index) = ip.interface {
        object.set("interface", index as u64);
    }
    object.set("address", ip.address.to_string());
    set_ip(&mut object, "gateway", ip.gateway);
    set_extra(&mut object, &ip.extra);
    Value::Object(object)
}

fn route(route: &Route) -> Value {
    let mut object = Object::new();
    object.set("dst", route.dst.to_string());
    set_ip(&mut object, "gw", route.gw);
    set_number(&mut object, "mtu", route.mtu.filter(|mtu| *mtu != 0));
    set_number(&mut object, "advmss", route.advmss.filter(|advmss| *advmss != 0));
    set_number(&mut object, "priority", route.priority.filter(|priority| *priority != 0));
    set_number(&mut object, "table", route.table);
    set_number(&mut object, "scope", route.scope);
    set_extra(&mut object, &route.extra);
    Value::Object(object)
}

fn dns(dns: &Dns) -> Value {
    let mut object = Object::new();
    let text = |text: &String| Value::from(text.as_str());
    set_list(&mut object, "nameservers", &dns.nameservers, text);
    set_text(&mut object, "domain", &dns.domain);
    set_list(&mut object, "search", &dns.search, text);
    set_list(&mut object, "options", &dns.options, text);
    set_extra(&mut object, &dns.extra);
    Value::Object(object)
}

fn set_text(object: &mut Object, key: &str, text: &str) {
    if !text.is_empty() {
        object.set(key, text);
    }
}

fn set_number(object: &mut Object, key: &str, number: Option<u32>) {
    if let Some(number) = number {
        object.set(key, u64::from(number));
    }
}

fn set_ip(object: &mut Object, key: &str, ip: Option<IpAddr>) {
    if let Some(ip) = ip {
        object.set(key, ip.to_string());
    }
}

fn set_list<T>(object: &mut Object, key: &str, items: &[T], value: impl Fn(&T) -> Value) {
    if !items.is_empty() {
        object.set(key, items.iter().map(value).collect::<Vec<_>>());
    }
}

/// Adds other keys, unless the object has them already.
fn set_extra(object: &mut Object, extra: &Extra) {
    for (key, value) in extra {
        if object.get(key).is_none() {
            object.insert(key, value.clone());
        }
    }
}
