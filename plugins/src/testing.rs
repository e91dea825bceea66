//! Requests for tests.

use cni::conf::NetConf;
use cni::{Env, Request, Verb, Version};

/// An ADD of interface eth0 of container c1, with this configuration; `name` and `cniVersion` are
/// filled in.
pub(crate) fn request(keys: &str) -> Request {
    request_with(keys, "")
}

/// The same with CNI_ARGS.
pub(crate) fn request_with(keys: &str, args: &str) -> Request {
    let comma = if keys.is_empty() { "" } else { "," };
    let has_version = keys.contains("cniVersion");
    let version = if has_version { "" } else { r#""cniVersion":"1.1.0","# };
    let text = format!(r#"{{{version}"name":"net"{comma}{keys}}}"#);
    let conf = NetConf::parse(text.clone().into_bytes()).unwrap_or_else(|e| panic!("{text}: {e}"));
    of(conf, args).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn of(conf: NetConf, args: &str) -> Result<Request, cni::Error> {
    let version = conf.cni_version.parse().unwrap_or(Version::NEWEST);
    let prev = conf.prev_result.as_ref().map(|v| cni::result::prev_result(v, version));
    Ok(Request {
        verb: Verb::Add,
        container_id: "c1".to_owned(),
        netns: Some("/run/netns/c1".into()),
        ifname: "eth0".to_owned(),
        args: args.to_owned(),
        path: vec![],
        prev_result: prev.transpose()?,
        conf,
        version,
        env: Env::default(),
    })
}

/// Checks that a table of wrong configurations is refused with the code and the words.
pub(crate) fn refused<T: std::fmt::Debug>(
    read: impl Fn(&Request) -> Result<T, cni::Error>,
    table: &[(&str, cni::Code, &str)],
) {
    for (keys, code, words) in table {
        let error = read(&request(keys)).expect_err(keys);
        assert_eq!(error.code, *code, "{keys}: {error}");
        let text = format!("{} {}", error.msg, error.details);
        assert!(text.contains(words), "{keys}: {text:?} does not contain {words:?}");
    }
}

/// Reads configurations that were tampered with: none may panic, and whoever is refused is told why.
pub(crate) fn survive(read: impl Fn(&Request) -> Result<(), cni::Error>) {
    corpus::survive("config", |input| {
        let Ok(conf) = NetConf::parse(input.to_vec()) else { return };
        let args = if input.len() % 2 == 0 { "" } else { "IP=10.1.0.7/24;MAC=02:aa:bb:cc:dd:ee" };
        if let Ok(request) = of(conf, args)
            && let Err(error) = read(&request)
        {
            assert!(!error.msg.is_empty());
        }
    });
}
