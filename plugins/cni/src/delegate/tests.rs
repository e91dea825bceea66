use super::*;
use crate::conf::NetConf;
use crate::shell::{Plugins, wait_for};
use crate::{Code, Env, Version};
use std::fs::{File, OpenOptions};
use std::path::PathBuf;
use std::process::Command;

const CONF: &str = r#"{ "cniVersion": "1.0.0",  "name":"net1", "x":[1] }"#;

fn request(plugins: &Plugins) -> Request {
    Request {
        verb: Verb::Add,
        container_id: "c1".into(),
        netns: Some("/run/netns/a".into()),
        ifname: "eth0".into(),
        args: String::new(),
        path: vec!["/no/such/dir".into(), plugins.bin()],
        conf: NetConf::parse(CONF.into()).unwrap(),
        version: Version::V1_0_0,
        prev_result: None,
        env: Env::of_process()
            .with("CNI_COMMAND", "ADD")
            .with("CNI_NETNS", "/run/netns/a")
            .with("CNI_CONTAINERID", "c1")
            .with("TRACEPARENT", "00-1"),
    }
}

#[test]
fn a_delegate_gets_the_callers_environment_and_the_same_bytes() {
    let plugins = Plugins::new();
    plugins.script("ipam1", r#"echo '{"ips":[{"address":"10.0.0.5/24"}]}'"#);
    let result = add(&request(&plugins), "ipam1").unwrap();
    assert_eq!(result.ips[0].address.to_string(), "10.0.0.5/24");
    let calls = plugins.calls();
    assert_eq!((calls[0].name.as_str(), calls[0].stdin.as_str()), ("ipam1 ADD", CONF));
    assert_eq!(calls[0].env("CNI_NETNS"), Some("/run/netns/a"));
    assert_eq!(calls[0].env("CNI_CONTAINERID"), Some("c1"));
    assert_eq!(calls[0].env("TRACEPARENT"), Some("00-1"));
}

#[test]
fn each_verb_is_passed_on_whatever_the_request_was() {
    let plugins = Plugins::new();
    plugins.script("ipam1", "");
    let request = Request { netns: None, ..request(&plugins) };
    for call in [del, check, status, gc] {
        call(&request, "ipam1").unwrap();
    }
    let calls = plugins.calls();
    let names: Vec<_> = calls.iter().map(|call| call.name.as_str()).collect();
    assert_eq!(names, ["ipam1 DEL", "ipam1 CHECK", "ipam1 STATUS", "ipam1 GC"]);
    assert_eq!(calls[0].env("CNI_NETNS"), Some(""));
}

#[test]
fn a_result_without_version_is_in_the_configurations() {
    let plugins = Plugins::new();
    plugins.script("old", r#"echo '{"cniVersion":"0.2.0","ip4":{"ip":"10.0.0.5/24"}}'"#);
    plugins.script("none", r#"echo '{"ip4":{"ip":"10.0.0.5/24"}}'"#);
    assert_eq!(add(&request(&plugins), "old").unwrap().ips.len(), 1);
    assert_eq!(add(&request(&plugins), "none").unwrap().ips.len(), 0);
}

#[test]
fn a_result_that_cannot_be_read_names_the_plugin() {
    let plugins = Plugins::new();
    plugins.script("p", r#"echo '{"cniVersion":"9.0.0"}'"#);
    plugins.script("q", "");
    let error = add(&request(&plugins), "p").unwrap_err();
    assert_eq!(error.code, Code::Decoding);
    assert_eq!(error.msg, "result of plugin \"p\": unsupported CNI result version \"9.0.0\"");
    assert!(add(&request(&plugins), "q").unwrap_err().msg.contains("plugin \"q\""));
}

#[test]
fn a_delegates_error_survives() {
    let plugins = Plugins::new();
    plugins.script("p", r#"echo '{"code":11,"msg":"busy","details":"d"}'; exit 1"#);
    let error = add(&request(&plugins), "p").unwrap_err();
    assert_eq!(error, Error::try_again("busy").with_details("d"));
}

#[test]
fn a_delegate_that_dies_without_an_error_is_named() {
    let plugins = Plugins::new();
    for (body, want) in [
        ("echo oops >&2; exit 3", "plugin \"p\": netplugin failed: \"oops\""),
        ("echo panic; exit 3", "plugin \"p\": netplugin failed: \"panic\" \"\""),
        ("exit 3", "plugin \"p\": netplugin failed with no error message: exit status: 3"),
        ("kill -9 $$", "plugin \"p\": netplugin failed with no error message: signal: 9 (SIGKILL)"),
    ] {
        plugins.script("p", body);
        let error = del(&request(&plugins), "p").unwrap_err();
        assert_eq!((error.code, error.msg.as_str()), (Code::Internal, want));
    }
}

#[test]
fn neither_a_long_input_nor_a_long_output_stops_a_delegate() {
    let plugins = Plugins::new();
    let body = r#"head -c 1000000 /dev/zero | tr '\0' ' '; echo '{}'"#;
    plugins.script("p", body);
    let mut request = request(&plugins);
    let text = format!(r#"{{"name":"n","x":"{}"}}"#, "x".repeat(1_000_000));
    request.conf = NetConf::parse(text.clone().into_bytes()).unwrap();
    add(&request, "p").unwrap();
    assert_eq!(plugins.calls()[0].stdin, text);
}

#[test]
fn a_plugin_is_a_regular_file_in_the_first_directory_that_has_it() {
    let plugins = Plugins::new();
    plugins.script("p", "");
    std::fs::create_dir(plugins.path().join("p")).unwrap();
    let dirs = [plugins.path().to_path_buf(), plugins.bin()];
    assert_eq!(find("p", &dirs), Ok(plugins.bin().join("p")));
}

#[test]
fn names_that_are_no_plugin_are_refused() {
    let dirs = [PathBuf::from("/a"), PathBuf::from("/b")];
    for (name, dirs, code, msg) in [
        ("", &dirs[..], Code::InvalidConfig, "no plugin name provided"),
        ("../p", &dirs, Code::InvalidConfig, "invalid plugin name: ../p"),
        ("..", &dirs, Code::InvalidConfig, "invalid plugin name: .."),
        ("p", &[], Code::Internal, "no paths provided"),
        ("p", &dirs, Code::Internal, "failed to find plugin \"p\" in path [/a /b]"),
    ] {
        let error = find(name, dirs).unwrap_err();
        assert_eq!((error.code, error.msg.as_str()), (code, msg));
    }
}

#[test]
fn a_file_that_is_no_program_is_an_io_error() {
    let plugins = Plugins::new();
    File::create(plugins.bin().join("p")).unwrap();
    let error = del(&request(&plugins), "p").unwrap_err();
    assert_eq!(error.code, Code::Io);
    assert!(error.msg.starts_with("start /") && error.msg.contains("/bin/p: "), "{error}");
}

#[test]
fn a_program_that_is_being_written_is_waited_for() {
    let plugins = Plugins::new();
    plugins.script("p", "");
    let program = plugins.bin().join("p");
    let writer = OpenOptions::new().append(true).open(&program).unwrap();
    let busy = Command::new(&program).spawn().unwrap_err();
    assert_eq!(busy.kind(), std::io::ErrorKind::ExecutableFileBusy);
    let request = request(&plugins);
    std::thread::scope(|scope| {
        let delegate = scope.spawn(|| status(&request, "p"));
        drop(writer);
        assert_eq!(delegate.join().unwrap(), Ok(()));
    });
}

/// The state letter of a process (proc_pid_stat(5)); `None` when it is gone.
fn state(pid: &str) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Runs itself a second time, as the caller that is killed.
#[test]
fn a_delegate_dies_with_its_caller() {
    const DIR: &str = "CNI_TEST_DELEGATE_DIR";
    if let Some(dir) = std::env::var_os(DIR) {
        let mut request = request(&Plugins::new());
        request.path = vec![dir.into()];
        let _ = del(&request, "p");
        return;
    }
    let plugins = Plugins::new();
    plugins.script("p", "echo $$ >../pid.part; mv ../pid.part ../pid; exec tail -f /dev/null");
    let mut caller = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "delegate::tests::a_delegate_dies_with_its_caller"])
        .env(DIR, plugins.bin())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let pid_file = plugins.path().join("pid");
    wait_for("the delegate to start", || pid_file.exists());
    let pid = std::fs::read_to_string(pid_file).unwrap();
    assert!(state(pid.trim()).is_some());
    caller.kill().unwrap();
    caller.wait().unwrap();
    wait_for("the delegate to die", || matches!(state(pid.trim()), None | Some('Z' | 'X')));
}
