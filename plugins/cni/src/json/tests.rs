use super::*;
use proptest::prelude::*;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::IpAddr;

fn value(text: &str) -> Value {
    parse(text.as_bytes()).unwrap()
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    decode(&value(text)).map_err(|error| {
        assert_eq!(error.code, crate::Code::Decoding);
        error.msg
    })
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Conf {
    name: String,
    host_port: u16,
    offset: i8,
    weight: f64,
    gateway: Option<IpAddr>,
    on: bool,
    ranges: Vec<Vec<Range>>,
    labels: BTreeMap<String, String>,
    mode: Option<Mode>,
    raw: Value,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
struct Range {
    subnet: String,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Bridge,
    Vlan(u16),
    Pair(u8, u8),
    Full { id: u8 },
}

#[test]
fn keys_of_a_struct_match_in_any_case() {
    let conf: Conf = read(r#"{"NAME":"n","HostPort":80,"RANGES":[[{"SubNet":"s"}]]}"#).unwrap();
    assert_eq!((conf.name.as_str(), conf.host_port), ("n", 80));
    assert_eq!(conf.ranges[0][0].subnet, "s");
}

#[test]
fn of_several_keys_for_one_field_the_last_wins() {
    assert_eq!(read::<Conf>(r#"{"name":"a","NAME":"b"}"#).unwrap().name, "b");
    assert_eq!(read::<Conf>(r#"{"NAME":"b","name":"a"}"#).unwrap().name, "a");
    assert_eq!(read::<Conf>(r#"{"name":"a","name":"b"}"#).unwrap().name, "b");
    assert_eq!(read::<Conf>(r#"{"name":"a","NAME":null}"#).unwrap().name, "a");
}

#[test]
fn a_field_of_exactly_that_name_is_preferred() {
    #[derive(Deserialize)]
    struct Two {
        mtu: u8,
        #[serde(rename = "MTU")]
        upper: u8,
    }
    let two: Two = read(r#"{"MTU":1,"mtu":2}"#).unwrap();
    assert_eq!((two.mtu, two.upper), (2, 1));
}

#[test]
fn keys_of_a_map_keep_their_case() {
    let conf: Conf = read(r#"{"labels":{"App":"1","app":"2","gone":null}}"#).unwrap();
    let labels: Vec<_> = conf.labels.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(labels, [("App", "1"), ("app", "2")]);
}

#[test]
fn null_is_not_set_and_unknown_keys_are_ignored() {
    let nulls = r#"{"name":null,"hostPort":null,"gateway":null,"ranges":null,"labels":null,"mode":null,"x":{"y":[1]}}"#;
    assert_eq!(read::<Conf>(nulls).unwrap(), Conf::default());
}

#[test]
fn a_missing_field_without_default_is_named() {
    assert_eq!(read::<Range>("{}").unwrap_err(), "missing field `subnet`");
    let error = read::<Conf>(r#"{"ranges":[[{"subnet":null}]]}"#).unwrap_err();
    assert_eq!(error, "ranges[0][0]: missing field `subnet`");
}

#[test]
fn a_wrong_type_names_path_and_value() {
    for (text, want) in [
        (r#"{"ranges":[[{"subnet":7}]]}"#, "ranges[0][0].subnet: expected a string, got 7"),
        (
            r#"{"Ranges":[[],[{"SUBNET":[]}]]}"#,
            "Ranges[1][0].SUBNET: expected a string, got a list",
        ),
        (r#"{"ranges":{}}"#, "ranges: expected a list, got an object"),
        (r#"{"ranges":[[7]]}"#, "ranges[0][0]: expected an object, got 7"),
        (r#"{"hostPort":70000}"#, "hostPort: expected an integer from 0 to 65535, got 70000"),
        (r#"{"hostPort":-1}"#, "hostPort: expected an integer from 0 to 65535, got -1"),
        (r#"{"hostPort":80.0}"#, "hostPort: expected an integer from 0 to 65535, got 80.0"),
        (r#"{"hostPort":"80"}"#, "hostPort: expected an integer from 0 to 65535, got \"80\""),
        (r#"{"offset":128}"#, "offset: expected an integer from -128 to 127, got 128"),
        (r#"{"weight":"1"}"#, "weight: expected a number, got \"1\""),
        (r#"{"on":"true"}"#, "on: expected true or false, got \"true\""),
        (r#"{"labels":{"a":1}}"#, "labels.a: expected a string, got 1"),
        (r#"{"labels":[]}"#, "labels: expected an object, got a list"),
        (r#"{"gateway":"10.0.0"}"#, "gateway: invalid IP address syntax, got \"10.0.0\""),
        (
            r#"{"mode":"bond"}"#,
            "mode: unknown variant `bond`, expected one of `bridge`, `vlan`, `pair`, `full`, got \"bond\"",
        ),
        (r#"{"mode":{"vlan":"x"}}"#, "mode.vlan: expected an integer from 0 to 65535, got \"x\""),
        (r#"{"mode":{}}"#, "mode: expected a string or an object with one key, got an object"),
    ] {
        assert_eq!(read::<Conf>(text).unwrap_err(), want, "{text}");
    }
}

#[test]
fn the_root_has_no_path() {
    assert_eq!(read::<Conf>("[]").unwrap_err(), "expected an object, got a list");
    assert_eq!(read::<u8>("true").unwrap_err(), "expected an integer from 0 to 255, got true");
}

#[test]
fn the_path_of_the_caller_comes_first() {
    let error = decode_at::<Range>("ipam", &value(r#"{"subnet":1}"#)).unwrap_err();
    assert_eq!(error.msg, "ipam.subnet: expected a string, got 1");
    let error = decode_field::<u8>("a.b", &value(r#"{"C":"x"}"#), "c").unwrap_err();
    assert_eq!(error.msg, "a.b.c: expected an integer from 0 to 255, got \"x\"");
}

#[test]
fn a_long_value_is_cut_in_errors() {
    let error = read::<u8>(&format!("\"{}\"", "ü".repeat(500))).unwrap_err();
    assert!(error.ends_with("ü...") && error.chars().count() < 150, "{error}");
}

#[test]
fn enums_are_strings_or_objects_with_one_key() {
    let mode = |text: &str| read::<Mode>(text);
    assert_eq!(mode(r#""bridge""#), Ok(Mode::Bridge));
    assert_eq!(mode(r#"{"vlan":5}"#), Ok(Mode::Vlan(5)));
    assert_eq!(mode(r#"{"pair":[1,2]}"#), Ok(Mode::Pair(1, 2)));
    assert_eq!(mode(r#"{"full":{"ID":3}}"#), Ok(Mode::Full { id: 3 }));
}

#[test]
fn integers_keep_64_bits_and_numbers_may_be_read_as_floats() {
    assert_eq!(read::<u64>("18446744073709551615"), Ok(u64::MAX));
    assert_eq!(read::<i64>("-9223372036854775808"), Ok(i64::MIN));
    assert_eq!(read::<f64>("3"), Ok(3.0));
    assert!(read::<u64>("1e3").is_err());
}

#[test]
fn bytes_that_are_no_utf8_become_the_replacement_character() {
    let conf: Conf = decode(&parse(b"{\"name\":\"a\xffb\"}").unwrap()).unwrap();
    assert_eq!(conf.name, "a\u{fffd}b");
}

#[test]
fn text_that_is_no_single_value_is_a_decoding_error() {
    for text in ["", " ", "{", "{} {}", "{'a':1}", "nul", "{\"a\":}", "[1,]", "01"] {
        assert_eq!(parse(text.as_bytes()).unwrap_err().code, crate::Code::Decoding, "{text}");
    }
}

#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(parse(nested(127).as_bytes()).is_ok());
    let error = parse(nested(1_000_000).as_bytes()).unwrap_err();
    assert!(error.msg.contains("recursion limit"), "{error}");
}

#[test]
fn a_value_keeps_order_and_keys_that_differ_in_case() {
    let text = r#"{"b":1,"a":{"Z":null,"z":[true,1.5,-2,"x"]},"B":2}"#;
    assert_eq!(value(text).to_string(), text);
    assert_eq!(value(r#"{"a":1,"b":2,"a":3}"#).to_string(), r#"{"b":2,"a":3}"#);
}

#[test]
fn setting_a_member_removes_its_other_spellings() {
    let Value::Object(mut object) = value(r#"{"Name":1,"x":2,"NAME":3}"#) else { panic!() };
    object.set("name", "n");
    assert_eq!(Value::from(object.clone()).to_string(), r#"{"x":2,"name":"n"}"#);
    object.remove("NAME");
    assert_eq!((object.len(), object.is_empty()), (1, false));
}

#[test]
fn sorting_reaches_every_level() {
    let Value::Object(object) = value(r#"{"b":[{"d":1,"c":2}],"a":1}"#) else { panic!() };
    assert_eq!(Value::from(object.sorted()).to_string(), r#"{"a":1,"b":[{"c":2,"d":1}]}"#);
}

#[test]
fn values_of_serde_json_become_values() {
    let from = Value::from(serde_json::json!({"a": [null, true, 1, "x", {"b": 2.5}]}));
    assert_eq!(from.to_string(), r#"{"a":[null,true,1,"x",{"b":2.5}]}"#);
}

#[test]
fn a_list_of_ten_thousand_duplicate_keys_is_read_quickly_and_keeps_the_last() {
    let members: Vec<String> = (0..10_000).map(|n| format!("\"k{}\":{n}", n % 100)).collect();
    let value = value(&format!("{{{}}}", members.join(",")));
    assert_eq!(value.as_object().map(Object::len), Some(100));
    assert_eq!(value.field("k7").and_then(Value::as_u64), Some(9907));
}

#[test]
fn json_survives_any_input() {
    corpus::survive("config", |input| {
        if let Ok(value) = parse(input) {
            assert_eq!(parse(value.to_string().as_bytes()).as_ref(), Ok(&value));
            let _ = decode::<Conf>(&value);
        }
    });
}

proptest! {
    #[test]
    fn what_looks_like_a_configuration_is_read_or_refused(
        text in r#"\{("(name|HOSTPORT|offset|weight|gateway|on|ranges|labels|mode|raw)":(null|-?(0|[1-9][0-9]{0,19})|[0-9]\.[0-9]|"[a-z]{0,4}"|\[\[\{"subnet":("s"|1)\}\]\]|\{"(vlan|pair)":[0-9]\}|true),){0,5}"x":1\}"#
    ) {
        if let Err(error) = decode::<Conf>(&value(&text)) {
            prop_assert!(error.msg.contains("got") || error.msg.contains("missing"), "{}", error);
        }
    }

    #[test]
    fn a_value_prints_to_what_it_was_parsed_from(text in "\\PC{0,16}", number: i64) {
        let value = Value::from(serde_json::json!({"a": [text, number, null]}));
        prop_assert_eq!(parse(value.to_string().as_bytes()), Ok(value.clone()));
        prop_assert_eq!(parse(pretty(&value).as_bytes()), Ok(value));
    }
}
