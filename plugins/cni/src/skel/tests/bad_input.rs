//! What is refused before the plugin is asked, and how.

use super::*;

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
