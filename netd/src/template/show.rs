//! Values as Go prints them.

use cni::json::Value;

/// The one object of Docker's that is printed as a whole and is no map: a subnet of `IPAM.Config`, with its
/// fields in their order.
const SUBNET: [&str; 4] = ["Subnet", "IPRange", "Gateway", "AuxiliaryAddresses"];

/// A value as Go's `fmt.Print` has it.
pub(super) fn show(value: &Value) -> String {
    match value {
        Value::Null => "<no value>".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(" "))
        }
        Value::Object(object) if object.get(SUBNET[0]).is_some() => {
            let field = |key: &&str| match object.get(key) {
                None if *key == "AuxiliaryAddresses" => "map[]".to_owned(),
                None => String::new(),
                Some(value) => show(value),
            };
            format!("{{{}}}", SUBNET.iter().map(field).collect::<Vec<_>>().join(" "))
        }
        Value::Object(object) => {
            let mut all: Vec<(&str, String)> =
                object.iter().map(|(key, value)| (key, show(value))).collect();
            all.sort();
            let all: Vec<String> =
                all.into_iter().map(|(key, value)| format!("{key}:{value}")).collect();
            format!("map[{}]", all.join(" "))
        }
    }
}
