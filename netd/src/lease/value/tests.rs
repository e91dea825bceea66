use cni::json::parse;
use proptest::prelude::*;

use super::*;

/// What flannel writes, by backend; and, for each, our own value of the same.
fn fixtures() -> Vec<(&'static str, LeaseValue)> {
    let value = |ip: &str| LeaseValue::new(ip.parse().unwrap());
    let data = |text: &str| Some(parse(text.as_bytes()).unwrap());
    let v6 = Some("fd00::2".parse().unwrap());
    let kind = |kind: &str| kind.to_owned();
    let wireguard = r#"{"PublicKey":"K5sF9yESrSBsOXPd6TcpKNgqoy1Ik3ZFKl4FolzrRyI=","Port":51820}"#;
    vec![
        (r#"{"PublicIP":"1.2.3.4","PublicIPv6":null}"#, value("1.2.3.4")),
        (
            r#"{"PublicIP":"192.168.0.2","PublicIPv6":null,"BackendType":"host-gw"}"#,
            LeaseValue { backend_type: kind("host-gw"), ..value("192.168.0.2") },
        ),
        (
            r#"{"PublicIP":"192.168.0.2","PublicIPv6":"fd00::2","BackendType":"host-gw"}"#,
            LeaseValue { backend_type: kind("host-gw"), public_ipv6: v6, ..value("192.168.0.2") },
        ),
        (
            r#"{"PublicIP":"10.1.2.3","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"c6:d2:32:6f:8f:44"}}"#,
            LeaseValue {
                backend_type: kind("vxlan"),
                backend_data: data(r#"{"VNI":1,"VtepMAC":"c6:d2:32:6f:8f:44"}"#),
                ..value("10.1.2.3")
            },
        ),
        (
            r#"{"PublicIP":"10.1.2.3","PublicIPv6":"fd00::2","BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"c6:d2:32:6f:8f:44"},"BackendV6Data":{"VNI":1,"VtepMAC":"c6:d2:32:6f:8f:45"}}"#,
            LeaseValue {
                backend_type: kind("vxlan"),
                public_ipv6: v6,
                backend_data: data(r#"{"VNI":1,"VtepMAC":"c6:d2:32:6f:8f:44"}"#),
                backend_v6_data: data(r#"{"VNI":1,"VtepMAC":"c6:d2:32:6f:8f:45"}"#),
                ..value("10.1.2.3")
            },
        ),
        (
            r#"{"PublicIP":"10.1.2.3","PublicIPv6":null,"BackendType":"wireguard","BackendData":{"PublicKey":"K5sF9yESrSBsOXPd6TcpKNgqoy1Ik3ZFKl4FolzrRyI=","Port":51820}}"#,
            LeaseValue {
                backend_type: kind("wireguard"),
                backend_data: data(wireguard),
                ..value("10.1.2.3")
            },
        ),
        (
            r#"{"PublicIP":"10.1.2.3","PublicIPv6":null,"BackendType":"extension","BackendData":"a \u003cb\u003e \u0026 \"c\""}"#,
            LeaseValue {
                backend_type: kind("extension"),
                backend_data: Some("a <b> & \"c\"".into()),
                ..value("10.1.2.3")
            },
        ),
        (r#"{"PublicIP":"0.0.0.0","PublicIPv6":null}"#, value("0.0.0.0")),
    ]
}

#[test]
fn values_are_flannels_to_the_byte() {
    for (bytes, value) in fixtures() {
        assert_eq!(String::from_utf8(value.encode()).unwrap(), bytes);
        assert_eq!(LeaseValue::decode(bytes.as_bytes()).unwrap(), value, "{bytes}");
    }
}

#[test]
fn keys_match_in_any_case_and_unknown_ones_are_ignored() {
    let read = LeaseValue::decode(
        br#"{"publicip":"1.2.3.4","extra":[1],"BACKENDTYPE":"vxlan","backendData":{"vni":7}}"#,
    );
    let read = read.unwrap();
    assert_eq!(read.public_ip.to_string(), "1.2.3.4");
    assert_eq!(read.backend_type, "vxlan");
    assert_eq!(read.backend_data.unwrap().field("VNI").unwrap().as_u64(), Some(7));
}

#[test]
fn what_cannot_be_read_is_told_by_key_and_value() {
    for (bytes, reason) in [
        ("", "EOF"),
        ("[]", "expected an object"),
        ("{}", "PublicIP: missing"),
        (r#"{"PublicIP":7}"#, "PublicIP: expected a string, got 7"),
        (r#"{"PublicIP":"fd00::1"}"#, r#"PublicIP: "fd00::1" is no IP address"#),
        (r#"{"PublicIP":"1.2.3.4","PublicIPv6":"1.2.3.4"}"#, "PublicIPv6"),
        (r#"{"PublicIP":"1.2.3.4","BackendType":[]}"#, "BackendType"),
    ] {
        let error = LeaseValue::decode(bytes.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(reason), "{bytes}: {error}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        let _ = LeaseValue::decode(&bytes);
    }

    #[test]
    fn what_is_read_is_written_so_that_it_reads_the_same(
        ip: u32,
        v6: Option<u128>,
        kind in "[a-z<>&\"-]{0,8}",
        data in proptest::option::of("\\PC*"),
    ) {
        let value = LeaseValue {
            public_ip: ip.into(),
            public_ipv6: v6.map(Into::into),
            backend_type: kind,
            backend_data: data.map(Value::from),
            backend_v6_data: None,
        };
        prop_assert_eq!(LeaseValue::decode(&value.encode()).unwrap(), value);
    }
}
