use super::*;
use crate::{Code, IpConfig, json};
use proptest::prelude::*;
use std::cell::RefCell;
use std::io::Read;

/// A plugin that records its calls and answers what it is told to.
struct Recorder {
    info: Info,
    calls: RefCell<Vec<Request>>,
    answer: Result<AddResult, Error>,
}

impl Recorder {
    fn new() -> Self {
        let netns = NetnsRule::Container;
        let info = Info { name: "bridge", build: "v9.9", versions: Version::ALL, netns };
        let result = AddResult {
            ips: vec![IpConfig::new("10.0.0.5/24".parse().unwrap())],
            ..AddResult::default()
        };
        Self { info, calls: RefCell::default(), answer: Ok(result) }
    }

    fn with_versions(mut self, versions: &'static [Version]) -> Self {
        self.info.versions = versions;
        self
    }

    fn record(&self, request: &Request) -> Result<(), Error> {
        self.calls.borrow_mut().push(request.clone());
        self.answer.clone().map(drop)
    }

    fn verbs(&self) -> Vec<Verb> {
        self.calls.borrow().iter().map(|request| request.verb).collect()
    }
}

impl Plugin for Recorder {
    fn info(&self) -> Info {
        self.info
    }

    fn add(&self, request: &Request) -> Result<AddResult, Error> {
        self.record(request)?;
        self.answer.clone()
    }

    fn del(&self, request: &Request) -> Result<(), Error> {
        self.record(request)
    }

    fn check(&self, request: &Request) -> Result<(), Error> {
        self.record(request)
    }

    fn gc(&self, request: &Request) -> Result<(), Error> {
        self.record(request)
    }

    fn status(&self, request: &Request) -> Result<(), Error> {
        self.record(request)
    }
}

/// What a call left behind.
struct Outcome {
    status: u8,
    stdout: String,
    stderr: String,
}

impl Outcome {
    /// The error on stdout.
    fn error(&self) -> Error {
        assert_eq!(self.status, 1, "{}", self.stdout);
        Error::from_json(self.stdout.as_bytes()).unwrap()
    }
}

fn call(plugin: &Recorder, env: &Env, mut stdin: &[u8]) -> Outcome {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let status = dispatch(plugin, env, &mut stdin, &mut stdout, &mut stderr);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Outcome { status, stdout: text(stdout), stderr: text(stderr) }
}

const ALL_VARIABLES: &[&str] = &["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"];

fn env(verb: &str) -> Env {
    Env::default()
        .with("CNI_COMMAND", verb)
        .with("CNI_CONTAINERID", "c1")
        .with("CNI_NETNS", "/no/such/netns")
        .with("CNI_IFNAME", "eth0")
        .with("CNI_PATH", "/opt/cni/bin:/usr/lib/cni")
        .with("TRACEPARENT", "00-1")
}

fn conf(version: &str) -> Vec<u8> {
    format!(r#"{{"cniVersion":"{version}","name":"net1","type":"bridge","prevResult":{{}}}}"#)
        .into()
}

#[test]
fn without_command_the_banner_is_on_stderr() {
    for env in [Env::default(), Env::default().with("CNI_COMMAND", "")] {
        let outcome = call(&Recorder::new(), &env, b"");
        assert_eq!((outcome.status, outcome.stdout.as_str()), (0, ""));
        assert_eq!(
            outcome.stderr,
            "CNI bridge plugin v9.9\nCNI protocol versions supported: 0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0\n"
        );
    }
}

/// Nothing may be read: VERSION is called with whatever stdin there is.
struct NoStdin;

impl Read for NoStdin {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        panic!("stdin was read")
    }
}

#[test]
fn version_is_answered_without_stdin_and_with_dummy_values() {
    let plugin = Recorder::new().with_versions(&Version::ALL[4..]);
    let dummy = ALL_VARIABLES.iter().map(|name| (*name, "dummy"));
    let env = dummy.chain([("CNI_COMMAND", "VERSION")]).collect();
    let mut stdout = Vec::new();
    let status = dispatch(&plugin, &env, &mut NoStdin, &mut stdout, &mut io::sink());
    assert_eq!(status, 0);
    assert_eq!(
        String::from_utf8(stdout).unwrap(),
        "{\"cniVersion\":\"1.1.0\",\"supportedVersions\":[\"0.4.0\",\"1.0.0\",\"1.1.0\"]}\n"
    );
    let bare = Env::default().with("CNI_COMMAND", "VERSION");
    assert_eq!(call(&plugin, &bare, b"garbage").status, 0);
}

#[test]
fn each_verb_names_all_variables_it_misses() {
    for (verb, missing) in [
        ("ADD", "CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH"),
        ("CHECK", "CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH"),
        ("DEL", "CNI_CONTAINERID,CNI_IFNAME,CNI_PATH"),
        ("GC", "CNI_PATH"),
        ("STATUS", "CNI_PATH"),
    ] {
        let bare = Env::default().with("CNI_COMMAND", verb);
        // A variable that is set to nothing is missing too.
        let empty = ALL_VARIABLES.iter().fold(bare.clone(), |env, name| env.with(name, ""));
        for env in [bare, empty] {
            let error = call(&Recorder::new(), &env, &conf("1.1.0")).error();
            assert_eq!(error.code, Code::InvalidEnvironment);
            assert_eq!(error.msg, format!("required env variables [{missing}] missing"));
        }
    }
}

#[test]
fn bad_input_is_refused_with_the_code_of_the_specification() {
    let verb = |verb| (env(verb), conf("1.1.0"));
    let set = |name: &str, value: &str| (env("ADD").with(name, value), conf("1.1.0"));
    let stdin = |text: &str| (env("ADD"), text.as_bytes().to_vec());
    let version = |verb: &str, version: &str| (env(verb), conf(version));
    let no_version = "config is \"1.0\", plugin supports [\"0.1.0\" \"0.2.0\" \"0.3.0\" \"0.3.1\" \"0.4.0\" \"1.0.0\" \"1.1.0\"]";
    let name = r#"{"cniVersion":"1.1.0","name":"a b"}"#;
    for ((env, stdin), code, msg, details) in [
        (verb("add"), 4, "unknown CNI_COMMAND: add", ""),
        (verb("UPDATE"), 4, "unknown CNI_COMMAND: UPDATE", ""),
        (set("CNI_CONTAINERID", "a/b"), 4, "invalid characters in containerID", "a/b"),
        (set("CNI_CONTAINERID", "-a"), 4, "invalid characters in containerID", "-a"),
        (set("CNI_CONTAINERID", "ä"), 4, "invalid characters in containerID", "ä"),
        (
            set("CNI_IFNAME", "abcdefghijklmnop"),
            4,
            "interface name is too long",
            "\"abcdefghijklmnop\" has 16 bytes, at most 15 fit",
        ),
        (set("CNI_IFNAME", ".."), 4, "interface name is . or ..", ""),
        (
            set("CNI_IFNAME", "a:b"),
            4,
            "interface name contains / or : or whitespace characters",
            "\"a:b\"",
        ),
        (
            set("CNI_IFNAME", "a\u{2003}b"),
            4,
            "interface name contains / or : or whitespace characters",
            "\"a\\u{2003}b\"",
        ),
        (
            stdin(""),
            6,
            "error unmarshall network config: EOF while parsing a value at line 1 column 0",
            "",
        ),
        (
            stdin("garbage"),
            6,
            "error unmarshall network config: expected value at line 1 column 1",
            "",
        ),
        (stdin("[]"), 6, "error unmarshall network config: expected an object, got a list", ""),
        (
            stdin(r#"{"name":7}"#),
            6,
            "error unmarshall network config: name: expected a string, got 7",
            "",
        ),
        (stdin("{}"), 7, "missing network name", ""),
        (stdin(name), 7, "invalid characters found in network name", "a b"),
        (version("ADD", "1.0"), 1, "incompatible CNI versions", no_version),
        (version("DEL", "1.0"), 1, "incompatible CNI versions", no_version),
        (version("CHECK", "1.0"), 1, "incompatible CNI versions", no_version),
        (version("CHECK", "0.3.1"), 1, "config version does not allow CHECK", ""),
        (version("CHECK", ""), 1, "config version does not allow CHECK", ""),
        (version("CHECK", "1.2.0"), 1, "plugin version does not allow CHECK", ""),
        (version("GC", "1.0.0"), 1, "config version does not allow GC", ""),
        (version("GC", "1.2.0"), 1, "plugin version does not allow GC", ""),
        (version("STATUS", "0.4.0"), 1, "config version does not allow STATUS", ""),
        (version("CHECK", "1.0.0.0"), 6, "cniVersion: unknown CNI version \"1.0.0.0\"", ""),
        (version("STATUS", "one"), 6, "cniVersion: unknown CNI version \"one\"", ""),
        (
            (env("CHECK"), br#"{"cniVersion":"1.0.0","name":"n"}"#.to_vec()),
            7,
            "missing prevResult: CHECK needs it",
            "",
        ),
        (
            stdin(r#"{"cniVersion":"1.0.0","name":"n","prevResult":{"ips":7}}"#),
            6,
            "prevResult.ips: expected a list, got 7",
            "",
        ),
        (
            stdin(r#"{"cniVersion":"1.0.0","name":"n","prevResult":{"cniVersion":"0.4.0"}}"#),
            6,
            "prevResult.cniVersion: result type supports [1.0.0 1.1.0] but unmarshalled CNIVersion is \"0.4.0\"",
            "",
        ),
    ] {
        let plugin = Recorder::new();
        let outcome = call(&plugin, &env, &stdin);
        let error = outcome.error();
        assert_eq!((error.code.number(), error.msg.as_str()), (code, msg));
        assert_eq!(error.details, details, "{msg}");
        assert_eq!(plugin.verbs(), [], "{msg}");
    }
}

#[test]
fn a_value_is_checked_before_missing_variables_are_reported() {
    let env = Env::default().with("CNI_COMMAND", "ADD").with("CNI_CONTAINERID", "a/b");
    let error = call(&Recorder::new(), &env, b"").error();
    assert_eq!(error.msg, "invalid characters in containerID");
}

#[test]
fn an_error_carries_the_configurations_version() {
    let outcome = call(&Recorder::new(), &env("CHECK"), &conf("0.3.1"));
    assert!(outcome.stdout.starts_with("{\n    \"cniVersion\": \"0.3.1\",\n    \"code\": 1,\n"));
    assert!(!outcome.stdout.ends_with('\n'));
}

struct BrokenStdin;

impl Read for BrokenStdin {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("broken"))
    }
}

#[test]
fn an_unreadable_stdin_is_an_io_error() {
    let mut stdout = Vec::new();
    let (plugin, env) = (Recorder::new(), env("ADD"));
    assert_eq!(dispatch(&plugin, &env, &mut BrokenStdin, &mut stdout, &mut io::sink()), 1);
    let error = Error::from_json(&stdout).unwrap();
    assert_eq!((error.code, error.msg.as_str()), (Code::Io, "error reading from stdin: broken"));
}

#[test]
fn stdin_is_capped() {
    let mut endless = io::repeat(b' ');
    let mut stdout = Vec::new();
    let (plugin, env) = (Recorder::new(), env("GC"));
    assert_eq!(dispatch(&plugin, &env, &mut endless, &mut stdout, &mut io::sink()), 1);
    assert_eq!(Error::from_json(&stdout).unwrap().code, Code::Decoding);
}

#[test]
fn ten_megabytes_of_garbage_are_a_decoding_error() {
    for garbage in [b"\xff", b"[", b"{", b"1", b"\""] {
        let error = call(&Recorder::new(), &env("ADD"), &garbage.repeat(10 << 20)).error();
        assert_eq!(error.code, Code::Decoding, "{garbage:?}");
        assert!(error.msg.len() < 300, "{}", error.msg);
    }
}

#[test]
fn a_gc_with_ten_thousand_attachments_passes() {
    let one = |n| format!(r#"{{"containerID":"{n:064}","ifname":"eth0"}}"#);
    let all: Vec<String> = (0..10_000).map(one).collect();
    let stdin = format!(
        r#"{{"cniVersion":"1.1.0","name":"n","cni.dev/valid-attachments":[{}]}}"#,
        all.join(",")
    );
    let plugin = Recorder::new();
    assert_eq!(call(&plugin, &env("GC"), stdin.as_bytes()).status, 0);
    assert_eq!(plugin.calls.borrow()[0].conf.valid_attachments.len(), 10_000);
}

#[test]
fn every_verb_reaches_the_plugin() {
    for (verb, want) in [
        ("ADD", Verb::Add),
        ("DEL", Verb::Del),
        ("CHECK", Verb::Check),
        ("GC", Verb::Gc),
        ("STATUS", Verb::Status),
    ] {
        let plugin = Recorder::new();
        let stdin = conf("1.1.0");
        let outcome = call(&plugin, &env(verb).with("CNI_ARGS", "A=b"), &stdin);
        assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""), "{}", outcome.stdout);
        assert_eq!(outcome.stdout.is_empty(), verb != "ADD");
        let calls = plugin.calls.borrow();
        let request = &calls[0];
        assert_eq!((request.verb, request.version), (want, Version::V1_1_0));
        assert_eq!((request.container_id.as_str(), request.ifname.as_str()), ("c1", "eth0"));
        assert_eq!((request.args.as_str(), request.path.len()), ("A=b", 2));
        assert_eq!(request.conf.bytes, stdin);
        assert_eq!(request.prev_result.is_some(), !matches!(want, Verb::Gc | Verb::Status));
        assert!(request.env.get("TRACEPARENT").is_some());
    }
}

#[test]
fn a_result_is_printed_in_the_configurations_version() {
    for version in Version::ALL {
        let outcome = call(&Recorder::new(), &env("ADD"), &conf(version.as_str()));
        assert_eq!(outcome.status, 0);
        let result = json::parse(outcome.stdout.as_bytes()).unwrap();
        assert_eq!(
            result.field("cniVersion").and_then(json::Value::as_str),
            Some(version.as_str())
        );
    }
    let outcome = call(&Recorder::new(), &env("ADD"), br#"{"name":"n"}"#);
    assert!(outcome.stdout.contains("\"cniVersion\": \"0.1.0\""));
}

#[test]
fn a_plugins_error_is_printed_as_it_is() {
    let error = Error::new(Code::Other(101), "no").with_details("way");
    for verb in ["ADD", "DEL", "CHECK", "GC", "STATUS"] {
        let plugin = Recorder { answer: Err(error.clone()), ..Recorder::new() };
        assert_eq!(call(&plugin, &env(verb), &conf("1.1.0")).error(), error);
    }
}

#[test]
fn a_result_that_cannot_be_said_is_undone() {
    let plugin = Recorder { answer: Ok(AddResult::default()), ..Recorder::new() };
    let error = call(&plugin, &env("ADD"), &conf("0.2.0")).error();
    assert_eq!(error.msg, "cannot convert: no valid IP addresses");
    assert_eq!(plugin.verbs(), [Verb::Add, Verb::Del]);
}

#[test]
fn del_works_without_netns_and_with_a_broken_prev_result() {
    let plugin = Recorder::new();
    let stdin = br#"{"cniVersion":"1.0.0","name":"n","prevResult":{"ips":7}}"#;
    let outcome = call(&plugin, &env("DEL").with("CNI_NETNS", ""), stdin);
    assert_eq!((outcome.status, outcome.stdout.as_str()), (0, ""));
    assert!(outcome.stderr.contains("prevResult.ips"), "{}", outcome.stderr);
    let calls = plugin.calls.borrow();
    assert_eq!((calls[0].netns.as_ref(), calls[0].prev_result.as_ref()), (None, None));
}

const OWN_NETNS: &str = "/proc/self/ns/net";
const SAME: &str = "plugin's netns and netns from CNI_NETNS should not be the same";

#[test]
fn add_into_the_plugins_own_netns_is_refused_before_anything_is_made() {
    let plugin = Recorder::new();
    let error = call(&plugin, &env("ADD").with("CNI_NETNS", OWN_NETNS), &conf("1.0.0")).error();
    assert_eq!((error.code, error.msg.as_str()), (Code::InvalidNetns, SAME));
    assert_eq!(plugin.verbs(), []);
}

#[test]
fn del_in_the_plugins_own_netns_does_not_touch_it() {
    let plugin = Recorder::new();
    let error = call(&plugin, &env("DEL").with("CNI_NETNS", OWN_NETNS), &conf("1.0.0")).error();
    assert_eq!((error.code, error.msg.as_str()), (Code::InvalidNetns, SAME));
    assert_eq!(plugin.calls.borrow()[0].netns, None);
}

#[test]
fn the_netns_override_is_honoured_and_check_does_not_compare() {
    for (verb, value, status) in [
        ("ADD", "1", 0),
        ("ADD", "TRUE", 0),
        ("ADD", "True", 0),
        ("DEL", "true", 0),
        ("ADD", "yes", 1),
        ("CHECK", "", 0),
    ] {
        let env = env(verb).with("CNI_NETNS", OWN_NETNS).with("CNI_NETNS_OVERRIDE", value);
        assert_eq!(call(&Recorder::new(), &env, &conf("1.0.0")).status, status, "{verb} {value}");
    }
}

#[test]
fn the_plugin_host_alone_may_have_no_netns_or_the_hosts() {
    let mut plugin = Recorder::new();
    plugin.info.netns = NetnsRule::HostAllowed;
    for netns in ["", OWN_NETNS] {
        for verb in ["ADD", "CHECK", "DEL"] {
            let env = env(verb).with("CNI_NETNS", netns);
            assert_eq!(call(&plugin, &env, &conf("1.0.0")).status, 0, "{verb} {netns}");
        }
    }
    let env = env("ADD").with("CNI_CONTAINERID", "");
    let error = call(&plugin, &env, &conf("1.0.0")).error();
    assert_eq!(error.msg, "required env variables [CNI_CONTAINERID] missing");
}

struct Closed;

impl io::Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn an_answer_nobody_takes_is_a_failure_and_on_stderr() {
    let mut stderr = Vec::new();
    let (plugin, env, stdin) = (Recorder::new(), env("ADD"), conf("1.0.0"));
    let status = dispatch(&plugin, &env, &mut stdin.as_slice(), &mut Closed, &mut stderr);
    assert_eq!(status, 1);
    assert!(String::from_utf8(stderr).unwrap().contains("10.0.0.5/24"));
    assert_eq!(dispatch(&plugin, &env, &mut stdin.as_slice(), &mut Closed, &mut Closed), 1);
}

proptest! {
    #[test]
    fn no_environment_or_stdin_makes_the_skeleton_panic(
        verb in "(ADD|DEL|CHECK|GC|STATUS|VERSION|add|)",
        id in "[a-z/.\\-]{0,3}",
        ifname in "\\PC{0,17}",
        stdin in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..48),
            r#"\{"cniVersion":"(|1[.]0|0[.]4[.]0|1[.]1[.]0)","name":"[a-z ]{0,3}","prevResult":(null|\{\}|7)\}"#
                .prop_map(String::into_bytes),
        ],
    ) {
        let env = env(&verb).with("CNI_CONTAINERID", id).with("CNI_IFNAME", ifname);
        let outcome = call(&Recorder::new(), &env, &stdin);
        prop_assert!(outcome.status == 0 || Error::from_json(outcome.stdout.as_bytes()).is_some());
    }
}
