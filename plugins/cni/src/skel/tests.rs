use super::*;
use crate::{Code, IpConfig, json};
use std::cell::RefCell;
use std::io::Read;

mod bad_input;
mod own_netns;

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

#[test]
fn the_skeleton_survives_any_input() {
    let names: String = ('a'..='z').chain("/.-\u{e9}".chars()).collect();
    corpus::survive("config", |input| {
        // The environment is made of the input too: its length chooses.
        let pick = |of: usize| input.len() % of;
        let verbs = ["ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION", "add", ""];
        let word: String = names.chars().cycle().skip(pick(29)).take(pick(17)).collect();
        let env = env(verbs[pick(verbs.len())]).with("CNI_CONTAINERID", &word);
        let env = env.with("CNI_IFNAME", &word);
        let outcome = call(&Recorder::new(), &env, input);
        assert!(outcome.status == 0 || Error::from_json(outcome.stdout.as_bytes()).is_some());
    });
}
