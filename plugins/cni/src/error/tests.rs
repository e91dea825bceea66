use super::*;

#[derive(Debug, thiserror::Error)]
#[error("add route 10.1.0.0/16")]
struct Outer(#[source] Middle);

#[derive(Debug, thiserror::Error)]
#[error("netlink: {0}")]
struct Middle(#[source] std::io::Error);

#[test]
fn a_chain_prints_every_cause_once() {
    let io = std::io::Error::other("network is unreachable");
    let text = ErrorChain(&Outer(Middle(io))).to_string();
    assert_eq!(text, "add route 10.1.0.0/16: netlink: network is unreachable");
}

#[test]
fn every_code_reads_back_from_its_number() {
    for number in (0..60).chain([100, 999, 1000]) {
        assert_eq!(Code::from_number(number).number(), number);
    }
}

#[test]
fn an_error_prints_indented_and_without_empty_details() {
    let error = Error::config("missing network name");
    let want = "{\n    \"cniVersion\": \"1.0.0\",\n    \"code\": 7,\n    \"msg\": \"missing network name\"\n}";
    assert_eq!(error.to_json(Version::V1_0_0), want);
    let text = error.with_details("more").to_json(Version::V1_0_0);
    assert!(text.ends_with(",\n    \"details\": \"more\"\n}"), "{text}");
}

#[test]
fn a_printed_error_reads_back() {
    let error = Error::new(Code::Other(101), "a \"b\"").with_details("c");
    assert_eq!(Error::from_json(error.to_json(Version::NEWEST).as_bytes()), Some(error));
}

#[test]
fn text_that_is_no_error_is_none() {
    for text in ["", "panic: oops", "{}", "[]", "{\"code\":0}"] {
        assert_eq!(Error::from_json(text.as_bytes()), None, "{text}");
    }
    let odd = Error::from_json(b"{\"msg\":\"m\",\"code\":99999999999}");
    assert_eq!(odd, Some(Error::internal("m")));
}

#[test]
fn context_keeps_the_code() {
    let error = Error::try_again("range is locked").context("allocate address");
    assert_eq!(error.code, Code::TryAgainLater);
    assert_eq!(error.to_string(), "allocate address: range is locked");
}

#[test]
fn a_plugins_error_survives_any_input() {
    corpus::survive("error", |input| {
        if let Some(error) = Error::from_json(input) {
            let printed = error.to_json(Version::NEWEST);
            assert_eq!(Error::from_json(printed.as_bytes()), Some(error));
        }
    });
}
