//! The plugin `firewall` beside Debian's firewalld: containers get a place in one of its zones.

use anyhow::{Context as _, Result, ensure};
use e2e::firewalld::{Bus, FirewalldFixture, SYSTEM_BUS};
use e2e::{
    CNI_BIN, Chain, Cni, Container, Host, Internet, Lab, Place as _, PluginSet, Proto, Reply, probe,
};
use serde_json::{Value, json};

const PRIVATE_BUS: &str = "/run/elsewhere/my bus";
const PRIVATE_ADDRESS: &str = "unix:path=/run/nobody;unix:path=/run/elsewhere/my%20bus";
const SOURCES: [&str; 2] = ["10.9.0.5/32", "fd09::5/128"];

/// A host with the plugins, and a container on it that has [`SOURCES`] as the plugin sees it.
struct Site {
    host: Host,
    container: Container,
}

impl Site {
    fn new(lab: &Lab) -> Result<Self> {
        let host = lab.host("host")?;
        PluginSet::selected()?.install(&host)?;
        host.sh("ip link add red type bridge; ip link set red up; ip addr add 10.9.0.1/24 dev red
                 ip addr add fd09::1/64 dev red nodad")?;
        let container = host.add_container("c1")?;
        Ok(Self { host, container })
    }

    /// Calls the plugin for the container, with `bus` as `DBUS_SYSTEM_BUS_ADDRESS`.
    fn call(&self, verb: &str, more: Value, bus: &str) -> Result<Reply> {
        let mut conf = json!({
            "cniVersion": "1.0.0", "name": "net", "type": "firewall",
            "prevResult": {
                "cniVersion": "1.0.0",
                "interfaces": [{ "name": "red" }],
                "ips": SOURCES.map(|source| json!({
                    "address": source.replace("/32", "/24").replace("/128", "/64"),
                })),
            },
        });
        let keys = conf.as_object_mut().context("an object")?;
        keys.extend(more.as_object().cloned().unwrap_or_default());
        let command = self
            .host
            .command(&[&format!("{CNI_BIN}/firewall")])
            .env("CNI_COMMAND", verb)
            .env("CNI_CONTAINERID", self.container.id())
            .env("CNI_NETNS", self.container.netns())
            .env("CNI_IFNAME", "eth0")
            .env("CNI_PATH", CNI_BIN)
            .stdin(conf.to_string());
        let command =
            if bus.is_empty() { command } else { command.env("DBUS_SYSTEM_BUS_ADDRESS", bus) };
        command.output().map(Reply)
    }

    /// The same with `"backend": "firewalld"`, on the system's bus; it must succeed.
    fn done(&self, verb: &str) -> Result<Value> {
        let reply = self.call(verb, json!({ "backend": "firewalld" }), "")?;
        reply.result().with_context(|| verb.to_owned())
    }
}

/// Runs a test where firewalld is on this machine.
fn with_firewalld(test: impl FnOnce(&Lab) -> Result<()>) -> Result<()> {
    if Bus::can_run()? { Lab::run(test) } else { Ok(()) }
}

#[test]
fn add_puts_the_container_in_the_zone_and_del_takes_it_out() -> Result<()> {
    with_firewalld(|lab| {
        let site = Site::new(lab)?;
        let firewalld = FirewalldFixture::start(&site.host, SYSTEM_BUS)?;
        let result = site.done("ADD")?;
        ensure!(result.pointer("/ips/1/address") == Some(&json!("fd09::5/64")), "{result}");
        ensure!(firewalld.sources("trusted")? == SOURCES);
        site.done("CHECK")?;

        site.done("DEL")?;
        ensure!(firewalld.sources("trusted")?.is_empty());
        site.done("DEL").context("DEL again")?;

        site.done("ADD").context("after DEL")?;
        ensure!(firewalld.sources("trusted")? == SOURCES);
        site.container.remove()?;
        site.done("DEL").context("without the namespace")?;
        ensure!(firewalld.sources("trusted")?.is_empty());
        Ok(())
    })
}

#[test]
fn what_somebody_added_or_removed_before_is_no_error() -> Result<()> {
    with_firewalld(|lab| {
        let site = Site::new(lab)?;
        let firewalld = FirewalldFixture::start(&site.host, SYSTEM_BUS)?;
        let by_hand =
            |what: &str, source: &str| firewalld.cmd(&["--zone=trusted", what, source]).map(drop);
        by_hand("--add-source", SOURCES[0])?;
        site.done("ADD")?;
        ensure!(firewalld.sources("trusted")? == SOURCES);
        by_hand("--remove-source", SOURCES[1])?;
        site.done("DEL")?;
        ensure!(firewalld.sources("trusted")?.is_empty());
        Ok(())
    })
}

#[test]
fn check_fails_for_a_source_that_somebody_removed() -> Result<()> {
    with_firewalld(|lab| {
        if PluginSet::selected()? == PluginSet::Reference {
            return Ok(()); // it asks firewalld, and ignores the answer
        }
        let site = Site::new(lab)?;
        let firewalld = FirewalldFixture::start(&site.host, SYSTEM_BUS)?;
        site.done("ADD")?;
        firewalld.cmd(&["--zone=trusted", "--remove-source", SOURCES[1]])?;
        let (_, text) = site.call("CHECK", json!({ "backend": "firewalld" }), "")?.error()?;
        ensure!(text.contains("fd09::5") && text.contains("trusted"), "{text}");
        Ok(())
    })
}

#[test]
fn an_address_of_another_zone_is_refused_and_stays_there() -> Result<()> {
    with_firewalld(|lab| {
        let site = Site::new(lab)?;
        let firewalld = FirewalldFixture::start(&site.host, SYSTEM_BUS)?;
        firewalld.cmd(&["--zone=work", "--add-source", SOURCES[1]])?;
        let (_, text) = site.call("ADD", json!({ "backend": "firewalld" }), "")?.error()?;
        ensure!(text.contains("ZONE_CONFLICT") && text.contains("trusted"), "{text}");
        site.done("DEL")?;
        ensure!(firewalld.sources("trusted")?.is_empty(), "half of a failed ADD is left");
        ensure!(firewalld.sources("work")? == SOURCES[1..]);
        Ok(())
    })
}

#[test]
fn the_bus_of_the_environment_and_the_zone_of_the_configuration_are_used() -> Result<()> {
    with_firewalld(|lab| {
        let site = Site::new(lab)?;
        let firewalld = FirewalldFixture::start(&site.host, PRIVATE_BUS)?;
        // No backend is named: firewalld is found because it runs.
        let conf = json!({ "firewalldZone": "internal" });
        site.call("ADD", conf.clone(), PRIVATE_ADDRESS)?.result()?;
        ensure!(firewalld.sources("internal")? == SOURCES);
        ensure!(firewalld.sources("trusted")?.is_empty());
        site.call("DEL", conf, PRIVATE_ADDRESS)?.result()?;
        ensure!(firewalld.sources("internal")?.is_empty());
        Ok(())
    })
}

#[test]
fn without_firewalld_it_is_missed_only_where_it_is_asked_for() -> Result<()> {
    with_firewalld(|lab| {
        let site = Site::new(lab)?;
        let asked = json!({ "backend": "firewalld" });
        for bus in ["no bus", "a bus without firewalld"] {
            let _bus = match bus {
                "no bus" => None,
                _ => Some(Bus::start(&site.host, SYSTEM_BUS)?),
            };
            site.call("ADD", json!({}), "")?.result().context(bus)?;
            site.call("DEL", json!({}), "")?.result().context(bus)?;
            site.call("ADD", asked.clone(), "")?.error().context(bus)?;
        }
        Ok(())
    })
}

#[test]
fn gc_takes_out_what_no_attachment_needs_and_status_tells_whether_firewalld_runs() -> Result<()> {
    with_firewalld(|lab| {
        if PluginSet::selected()? == PluginSet::Reference {
            return Ok(()); // it collects nothing, and always is ready
        }
        let site = Site::new(lab)?;
        let asked = json!({ "cniVersion": "1.1.0", "backend": "firewalld" });
        let collect = |valid: Value| {
            let mut conf = asked.clone();
            conf["cni.dev/valid-attachments"] = valid;
            site.call("GC", conf, "")?.result()
        };
        let (code, text) = site.call("STATUS", asked.clone(), "")?.error()?;
        ensure!(code == 50, "{text}");

        let firewalld = FirewalldFixture::start(&site.host, SYSTEM_BUS)?;
        site.call("STATUS", asked.clone(), "")?.result()?;
        site.done("ADD")?;
        collect(json!([{ "containerID": site.container.id(), "ifname": "eth0" }]))?;
        ensure!(firewalld.sources("trusted")? == SOURCES);
        collect(json!([]))?;
        ensure!(firewalld.sources("trusted")?.is_empty());
        collect(json!([])).map(drop)
    })
}

#[test]
fn del_succeeds_after_firewalld_and_its_bus_ended() -> Result<()> {
    with_firewalld(|lab| {
        if PluginSet::selected()? == PluginSet::Reference {
            return Ok(()); // its DEL needs the bus
        }
        let site = Site::new(lab)?;
        let firewalld = FirewalldFixture::start(&site.host, SYSTEM_BUS)?;
        site.done("ADD")?;
        let bus = firewalld.stop()?;
        site.done("DEL").context("without firewalld")?;

        let firewalld = FirewalldFixture::start_on(bus)?;
        ensure!(firewalld.sources("trusted")?.is_empty());
        site.done("ADD").context("firewalld runs again")?;
        drop(firewalld);
        site.done("DEL").context("without a bus")?;
        Ok(())
    })
}

#[test]
fn containers_get_out_through_firewalld_as_long_as_they_are_added() -> Result<()> {
    with_firewalld(|lab| {
        let (internet, host) = (lab.internet()?, lab.host("host")?);
        PluginSet::selected()?.install(&host)?;
        internet.connect(lab, &host)?;
        let _firewalld = FirewalldFixture::start(&host, SYSTEM_BUS)?;
        let container = host.add_container("c1")?;
        let cni = Cni::new(&container);
        let mut chain = Chain::new(json!({
            "cniVersion": "1.0.0", "name": "red", "plugins": [
                { "type": "bridge", "bridge": "red", "isDefaultGateway": true, "ipMasq": true,
                  "ipam": { "type": "host-local", "ranges": [
                      [{ "subnet": "10.1.0.0/24" }], [{ "subnet": "fd01::/64" }]] } },
                { "type": "firewall" },
            ],
        }));
        chain.add(&cni)?;
        let outside = [(Internet::V4, Internet::PORT), (Internet::V6, Internet::PORT)];
        for to in outside {
            probe::ask(&container, Proto::Tcp, to).context("in the zone")?;
        }
        chain.check(&cni)?;
        let mut firewall = chain.clone();
        let plugins = firewall.conflist.pointer_mut("/plugins").context("plugins")?;
        plugins.as_array_mut().context("a list")?.remove(0);
        firewall.del(&cni)?;
        for to in outside {
            let refused = probe::refusal(&container, Proto::Tcp, to)?;
            ensure!(refused.is_err(), "firewalld lets {to:?} through without us");
        }
        chain.del(&cni).context("DEL again")
    })
}
