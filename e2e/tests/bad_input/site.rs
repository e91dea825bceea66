//! The host that wrong calls are made on, and how one is judged.

use anyhow::{Result, ensure};
use e2e::{Chain, Cni, Container, Host, Lab, Place as _, PluginSet, Reply, probe, snapshot};
use serde_json::{Value, json};

/// A host with one attachment, `holder`, which has the host port 8080 and the address 10.1.0.2; a
/// process that listens on 9090; and an empty container `c1`.
pub(crate) struct Site {
    pub(crate) host: Host,
    /// The parameters of calls for `c1`.
    pub(crate) cni: Cni,
    pub(crate) container: Container,
    holder: (Cni, Chain),
    _listener: e2e::Process,
}

/// One wrong call.
pub(crate) struct Row {
    name: &'static str,
    verb: &'static str,
    plugin: &'static str,
    stdin: Vec<u8>,
    change: fn(&mut Cni),
    code: u64,
    words: &'static [&'static str],
}

/// An ADD of `plugin` for `c1` that must fail with this code, and with all these words.
pub(crate) fn row(
    name: &'static str,
    plugin: &'static str,
    conf: &Value,
    code: u64,
    words: &'static [&'static str],
) -> Row {
    let stdin = conf.to_string().into_bytes();
    Row { name, verb: "ADD", plugin, stdin, change: |_| {}, code, words }
}

impl Row {
    /// The same with another verb.
    pub(crate) fn verb(self, verb: &'static str) -> Self {
        Self { verb, ..self }
    }

    /// The same with other parameters.
    pub(crate) fn with(self, change: fn(&mut Cni)) -> Self {
        Self { change, ..self }
    }

    /// The same with these bytes on standard input.
    pub(crate) fn stdin(self, stdin: Vec<u8>) -> Self {
        Self { stdin, ..self }
    }

    fn call(&self, site: &Site) -> Result<()> {
        let mut cni = site.cni.clone();
        (self.change)(&mut cni);
        let reply = cni.call_bytes(self.verb, self.plugin, self.stdin.clone())?;
        says(&reply, self.code, self.words)
    }
}

fn says(reply: &Reply, code: u64, words: &[&str]) -> Result<()> {
    let (is, text) = reply.error()?;
    let missing: Vec<_> = words.iter().filter(|word| !text.contains(**word)).collect();
    ensure!(is == code && missing.is_empty(), "expected {code}, {missing:?}; got {is}: {text}");
    Ok(())
}

impl Site {
    pub(crate) fn new(lab: &Lab) -> Result<Self> {
        let host = lab.host("host")?;
        PluginSet::Ours.install(&host)?;
        snapshot::quiet(&host)?;
        host.sh("ip link add m0 type veth peer name m1; ip link set m0 up; ip link set m1 up")?;
        let other = host.add_container("holder")?;
        snapshot::quiet(&other)?;
        let mut chain = Chain::new(json!({"cniVersion": "1.1.0", "name": "net", "plugins": [
            bridge(json!({})),
            {"type": "portmap", "capabilities": {"portMappings": true}}, {"type": "firewall"}]}))
        .with_args(json!({"portMappings": [{"hostPort": 8080, "containerPort": 80}]}));
        chain.add(&Cni::new(&other))?;
        let listener = probe::serve(&host, 9090, &[])?;
        let container = host.add_container("c1")?;
        snapshot::quiet(&container)?;
        let cni = Cni::new(&container);
        let holder = (Cni::new(&other), chain);
        Ok(Self { host, cni, container, holder, _listener: listener })
    }

    /// Makes the calls, and fails with everything that was wrong about any.
    pub(crate) fn run(&self, rows: &[Row]) -> Result<()> {
        let mut wrong = Vec::new();
        let mut before = snapshot::settled(&self.host)?;
        for row in rows {
            if let Err(e) = row.call(self) {
                wrong.push(format!("{} {}: {e:#}", row.plugin, row.name));
            }
            let after = snapshot::take(&self.host)?;
            let changes = snapshot::differences(&before, &after);
            if !changes.is_empty() {
                wrong.push(format!("{} {}: changed the host:\n{changes}", row.plugin, row.name));
            }
            before = after;
        }
        ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
        self.holder.1.check(&self.holder.0)
    }
}

/// A configuration of `bridge` with host-local, with these keys over it.
pub(crate) fn bridge(keys: Value) -> Value {
    conf(
        json!({"type": "bridge", "isGateway": true, "ipMasq": true,
            "ipam": {"type": "host-local", "subnet": "10.1.0.0/24"}}),
        keys,
    )
}

/// The same of `macvlan`.
pub(crate) fn macvlan(keys: Value) -> Value {
    conf(
        json!({"type": "macvlan", "master": "m0",
            "ipam": {"type": "host-local", "subnet": "10.2.0.0/24"}, "name": "mac"}),
        keys,
    )
}

/// `base` with these keys over it, in a version and with a name.
pub(crate) fn conf(mut base: Value, keys: Value) -> Value {
    if let (Some(base), Value::Object(keys)) = (base.as_object_mut(), keys) {
        base.entry("cniVersion").or_insert("1.1.0".into());
        base.entry("name").or_insert("net".into());
        base.extend(keys);
    }
    base
}
