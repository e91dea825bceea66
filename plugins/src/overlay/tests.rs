//! Keys and their refusals.

use cni::Code;

use super::conf::of;
use crate::subnet::Source;
use crate::testing::{refused, request};

#[test]
fn nothing_need_be_said() {
    let settings = of(&request("")).expect("valid");
    assert_eq!(settings.source, Source::netd());
    assert_eq!(settings.data_dir.to_str(), Some("/var/lib/cni/overlay"));
    assert!(settings.force_address);
}

#[test]
fn wrong_keys_are_refused_by_name_and_value() {
    refused(
        of,
        &[
            (r#""dataDir":7"#, Code::Decoding, "dataDir"),
            (r#""delegate":[]"#, Code::Decoding, "delegate: expected an object"),
            (r#""subnetWait":1.5"#, Code::Decoding, "subnetWait"),
        ],
    );
}
