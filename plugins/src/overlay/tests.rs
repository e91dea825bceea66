//! Keys and their refusals.

use cni::Code;

use super::conf::of;
use crate::subnet::Source;
use crate::testing::{refused, request};

#[test]
fn nothing_need_be_said() {
    let settings = of(&request("")).expect("valid");
    assert_eq!(settings.source, Source::netd(None));
    assert_eq!(settings.data_dir.to_str(), Some("/var/lib/cni/overlay"));
    assert!(settings.force_address);
}

#[test]
fn one_of_several_networks_has_a_file_of_its_own_where_no_netd_runs() {
    let settings = of(&request(r#""network":"blue""#)).expect("valid");
    let Source::Netd { network, file, .. } = settings.source else { panic!("netd") };
    assert_eq!(network.as_deref(), Some("blue"));
    assert_eq!(file.to_str(), Some("/run/flannel/networks/blue.env"));
}

#[test]
fn wrong_keys_are_refused_by_name_and_value() {
    refused(
        of,
        &[
            (r#""dataDir":7"#, Code::Decoding, "dataDir"),
            (r#""delegate":[]"#, Code::Decoding, "delegate: expected an object"),
            (r#""network":"../blue""#, Code::InvalidConfig, "is no name of a network"),
            (r#""subnetWait":1.5"#, Code::Decoding, "subnetWait"),
        ],
    );
}
