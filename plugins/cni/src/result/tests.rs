use super::*;
use crate::version::Version;
use crate::{Code, json};
use sample::{flat, full, golden, remaining};

mod sample;

#[test]
fn every_version_prints_in_its_own_shape() {
    for version in Version::ALL {
        assert_eq!(flat(&full().to_json(*version).unwrap()), golden(*version), "{version}");
    }
}

#[test]
fn every_version_is_read_back() {
    for version in Version::ALL {
        let value = json::parse(golden(*version).as_bytes()).unwrap();
        // The version inside counts, not the default.
        for default in [Version::V0_1_0, Version::V1_1_0] {
            assert_eq!(AddResult::decode(&value, default), Ok(remaining(*version)), "{version}");
        }
    }
}

#[test]
fn every_version_converts_to_every_other() {
    for from in Version::ALL {
        let value = json::parse(golden(*from).as_bytes()).unwrap();
        let result = AddResult::decode(&value, *from).unwrap();
        for to in Version::ALL {
            let oldest = *from.min(to);
            let mut want = remaining(oldest);
            if *to < Version::V0_3_0 && *from < Version::V0_3_0 {
                want = remaining(Version::V0_2_0);
            }
            let text = result.to_json(*to).unwrap();
            let back = AddResult::decode(&json::parse(text.as_bytes()).unwrap(), *to);
            assert_eq!(back, Ok(want), "{from} to {to}");
        }
    }
}

#[test]
fn dns_is_always_there_up_to_0_4_0() {
    let result = AddResult {
        ips: vec![IpConfig::new("10.0.0.5/24".parse().unwrap())],
        ..AddResult::default()
    };
    for version in Version::ALL {
        let text = result.to_json(*version).unwrap();
        assert_eq!(text.contains("\"dns\": {}"), *version < Version::V1_0_0, "{text}");
        assert_eq!(text.contains("dns"), *version < Version::V1_0_0, "{text}");
    }
}

#[test]
fn an_indented_result_looks_as_libcni_prints_it() {
    let text = AddResult::default().to_json(Version::V0_4_0).unwrap();
    assert_eq!(text, "{\n    \"cniVersion\": \"0.4.0\",\n    \"dns\": {}\n}");
}

#[test]
fn a_result_without_addresses_has_no_form_up_to_0_2_0() {
    for version in Version::ALL {
        let printed = AddResult::default().to_json(*version);
        assert_eq!(printed.is_ok(), version.allows_no_ip(), "{version}");
        if let Err(error) = printed {
            assert_eq!(error.msg, "cannot convert: no valid IP addresses");
            assert_eq!(error.code, Code::IncompatibleVersion);
        }
    }
}

#[test]
fn zero_and_empty_attributes_are_left_out_but_table_and_scope_are_not() {
    let net = "10.0.0.0/8".parse().unwrap();
    let zero = Some(0);
    let route = Route {
        mtu: zero,
        advmss: zero,
        priority: zero,
        table: zero,
        scope: zero,
        ..Route::new(net, None)
    };
    let interface = Interface { name: "a".into(), mtu: zero, ..Interface::default() };
    let result =
        AddResult { interfaces: vec![interface], routes: vec![route], ..AddResult::default() };
    assert_eq!(
        flat(&result.to_json(Version::V1_1_0).unwrap()),
        r#"{ "cniVersion": "1.1.0", "interfaces": [ { "name": "a" } ], "routes": [ { "dst": "10.0.0.0/8", "scope": 0, "table": 0 } ] }"#
    );
}

#[test]
fn unknown_fields_pass_through_at_every_level() {
    for version in &Version::ALL[2..] {
        let numbered = if *version < Version::V1_0_0 { r#""version":"4","# } else { "" };
        let text = format!(
            r#"{{"cniVersion":"{version}","interfaces":[{{"name":"a","x":{{"y":1}}}}],
            "ips":[{{{numbered}"address":"10.0.0.5/24","vlan":7}}],"routes":[{{"dst":"0.0.0.0/0","flags":["onlink"]}}],
            "dns":{{"ttl":5}},"org.example/a":null,"org.example/A":[1]}}"#
        );
        let value = json::parse(text.as_bytes()).unwrap();
        let printed = AddResult::decode(&value, *version).unwrap().to_json(*version).unwrap();
        let sorted = |value: &Value| value.as_object().cloned().map(json::Object::sorted);
        let printed = json::parse(printed.as_bytes()).unwrap();
        assert_eq!(sorted(&printed), sorted(&value), "{version}");
    }
}

#[test]
fn attributes_of_1_1_0_pass_through_older_results_too() {
    let text = r#"{"cniVersion":"0.4.0","interfaces":[{"name":"a","mtu":1400}],"dns":{}}"#;
    let result =
        AddResult::decode(&json::parse(text.as_bytes()).unwrap(), Version::V0_4_0).unwrap();
    assert!(result.to_json(Version::V0_4_0).unwrap().contains("\"mtu\": 1400"));
}

#[test]
fn keys_of_a_result_match_in_any_case_and_null_is_not_set() {
    let text = r#"{"IPs":[{"Address":"10.0.0.5/24","Gateway":"","interface":null}],"routes":null}"#;
    let result =
        AddResult::decode(&json::parse(text.as_bytes()).unwrap(), Version::V1_0_0).unwrap();
    assert_eq!(result.ips, [IpConfig::new("10.0.0.5/24".parse().unwrap())]);
    assert!(result.extra.is_empty() && result.ips[0].extra.is_empty());
}

#[test]
fn a_value_of_the_wrong_type_is_named_with_its_path() {
    for (text, want) in [
        (
            r#"{"ips":[{"address":"10.0.0.5"}]}"#,
            "ips[0].address: invalid CIDR address \"10.0.0.5\": no prefix length",
        ),
        (
            r#"{"ips":[{"address":"10.0.0.5/8","interface":-1}]}"#,
            "ips[0].interface: expected an integer from 0 to 18446744073709551615, got -1",
        ),
        (r#"{"ips":[{}]}"#, "ips[0]: missing field `address`"),
        (r#"{"interfaces":{}}"#, "interfaces: expected a list, got an object"),
        (
            r#"{"routes":[{"dst":"0.0.0.0/0","gw":"x"}]}"#,
            "routes[0].gw: expected an IP address, got \"x\"",
        ),
        (r#"{"dns":{"search":[7]}}"#, "dns.search[0]: expected a string, got 7"),
        (r#"{"cniVersion":"1.2.0"}"#, "unsupported CNI result version \"1.2.0\""),
        ("7", "expected a result, got 7"),
    ] {
        let value = json::parse(text.as_bytes()).unwrap();
        let error = AddResult::decode(&value, Version::V1_0_0).unwrap_err();
        assert_eq!((error.code, error.msg.as_str()), (Code::Decoding, want), "{text}");
    }
}

#[test]
fn a_prev_result_has_the_shape_of_the_configurations_version() {
    for configured in Version::ALL {
        for inner in Version::ALL {
            let value = json::parse(golden(*inner).as_bytes()).unwrap();
            let read = prev_result(&value, *configured);
            assert_eq!(
                read.is_ok(),
                configured.family().contains(inner),
                "{inner} in {configured}"
            );
        }
    }
    let value = json::parse(golden(Version::V0_4_0).as_bytes()).unwrap();
    let error = prev_result(&value, Version::V1_0_0).unwrap_err();
    assert_eq!(
        error.msg,
        "prevResult.cniVersion: result type supports [1.0.0 1.1.0] but unmarshalled CNIVersion is \"0.4.0\""
    );
}

#[test]
fn a_prev_result_without_version_is_read_in_the_configurations() {
    let value = json::parse(br#"{"ip4":{"ip":"10.0.0.5/24"}}"#).unwrap();
    assert_eq!(prev_result(&value, Version::V0_2_0).unwrap().ips.len(), 1);
    let value = json::parse(br#"{"ips":[{"address":7}]}"#).unwrap();
    let error = prev_result(&value, Version::V1_0_0).unwrap_err().msg;
    assert_eq!(error, "prevResult.ips[0].address: expected an address like \"10.0.0.5/24\", got 7");
}

#[test]
fn a_result_survives_any_input() {
    corpus::survive("result", |input| {
        let Ok(value) = json::parse(input) else { return };
        for version in Version::ALL {
            let _ = prev_result(&value, *version);
            if let Ok(result) = AddResult::decode(&value, *version) {
                for version in Version::ALL {
                    let _ = result.to_json(*version);
                }
            }
        }
    });
}
