//! Keys and their refusals.

use std::time::Duration;

use cni::Code;

use super::conf::of;
use crate::subnet::Source;
use crate::testing::{refused, request};

#[test]
fn defaults_are_the_references() {
    for keys in ["", r#""subnetFile":"","dataDir":"","delegate":null"#] {
        let settings = of(&request(keys)).expect("valid");
        let (file, socket) = ("/run/flannel/subnet.env".into(), "/run/netd/attach.sock".into());
        assert_eq!(settings.source, Source::File { file, socket });
        assert_eq!(settings.data_dir.to_str(), Some("/var/lib/cni/flannel"));
        assert_eq!(settings.wait, Duration::ZERO);
        assert!(settings.delegate.is_empty() && !settings.force_address);
    }
}

#[test]
fn keys_match_in_any_case() {
    let keys =
        r#""SubnetFile":"/a","DATADIR":"/b","Delegate":{"x":1},"subnetwait":30,"Socket":"/c""#;
    let settings = of(&request(keys)).expect("valid");
    assert_eq!(settings.source, Source::File { file: "/a".into(), socket: "/c".into() });
    assert_eq!(settings.data_dir.to_str(), Some("/b"));
    assert_eq!((settings.delegate.len(), settings.wait), (1, Duration::from_secs(30)));
}

#[test]
fn wrong_keys_are_refused_by_name_and_value() {
    refused(
        of,
        &[
            (r#""subnetFile":7"#, Code::Decoding, "subnetFile: expected path string, got 7"),
            (r#""dataDir":[]"#, Code::Decoding, "dataDir"),
            (r#""socket":true"#, Code::Decoding, "socket"),
            (
                r#""delegate":"bridge""#,
                Code::Decoding,
                "delegate: expected an object, got \"bridge\"",
            ),
            (r#""subnetWait":-1"#, Code::Decoding, "subnetWait: expected an integer from 0"),
            (r#""subnetWait":"30s""#, Code::Decoding, "subnetWait"),
        ],
    );
}
