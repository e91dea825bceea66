//! The table's schema version: an older table is upgraded by the next ADD, a newer one and one that
//! is not ours are refused and left as they are.

use anyhow::{Context as _, Result, ensure};
use e2e::{
    Chain, Cni, Container, Host, Internet, Lab, PATIENCE, Place as _, PluginSet, Proto, probe,
    wait_until,
};
use serde_json::json;

/// An element of somebody whose record this host does not have.
const STRANGER: &str = "10.9.0.9 . \"br9\" comment \"other/x/eth0\"";

struct Site {
    internet: Internet,
    host: Host,
    uplink: e2e::Uplink,
}

impl Site {
    fn new(lab: &Lab) -> Result<Self> {
        let (internet, host) = (lab.internet()?, lab.host("host")?);
        PluginSet::Ours.install(&host)?;
        let uplink = internet.connect(lab, &host)?;
        Ok(Self { internet, host, uplink })
    }

    /// A container on `red` that serves port 80, published as `port`.
    fn add(&self, name: &str, port: u16) -> Result<(Container, Chain, e2e::Process)> {
        let container = self.host.add_container(name)?;
        let mut chain = chain(port);
        chain.add(&Cni::new(&container))?;
        let server = probe::serve(&container, 80, &[])?;
        Ok((container, chain, server))
    }

    /// An ADD that must fail: what it says.
    fn refused(&self, name: &str) -> Result<String> {
        let container = self.host.add_container(name)?;
        let added = chain(9000).add(&Cni::new(&container));
        let error = added.err().with_context(|| format!("ADD of {name} worked"))?;
        Ok(format!("{error:#}"))
    }

    fn reachable(&self, port: u16) -> Result<()> {
        for ip in [self.uplink.v4, self.uplink.v6] {
            probe::ask(&self.internet.host, Proto::Tcp, (ip, port))
                .with_context(|| format!("published port {port} of {ip}"))?;
        }
        Ok(())
    }

    /// Puts `text` in place of `table inet netd`.
    fn replace(&self, text: &str) -> Result<()> {
        let with = format!("delete table inet netd\n{text}");
        self.host.write_file("/run/table.nft", with)?;
        self.host.run(&["nft", "-f", "/run/table.nft"]).map(drop)
    }

    fn table(&self) -> Result<String> {
        Ok(self.host.run(&["nft", "list", "table", "inet", "netd"])?.stdout)
    }

    /// Everything that an ADD could change.
    fn state(&self) -> Result<String> {
        let all = "nft list ruleset; ip -o link | cut -d: -f2; ip -o addr; ip route; \
                   find /run/netd /var/lib/cni -type f ! -name '*lock*' | sort";
        Ok(self.host.sh(all)?.stdout)
    }
}

fn chain(port: u16) -> Chain {
    let conflist = json!({
        "cniVersion": "1.0.0",
        "name": "red",
        "plugins": [
            { "type": "bridge", "bridge": "red", "isDefaultGateway": true, "ipMasq": true,
              "ipam": { "type": "host-local", "ranges": [
                  [{ "subnet": "10.1.0.0/24" }], [{ "subnet": "fd00:1::/64" }]] } },
            { "type": "portmap", "capabilities": { "portMappings": true } },
            { "type": "firewall" },
        ],
    });
    let ports = json!({ "portMappings": [
        { "hostPort": port, "containerPort": 80, "protocol": "tcp" } ] });
    Chain::new(conflist).with_args(ports)
}

/// The listing of a table as schema 0 had it: without the set `own6` and the rule that uses it.
fn older(listing: &str) -> String {
    let mut out = String::new();
    let mut in_own6 = false;
    for line in listing.lines() {
        in_own6 |= line == "\tset own6 {";
        if !in_own6 && !line.contains("@own6") {
            out.push_str(line);
            out.push('\n');
        }
        in_own6 &= line != "\t}";
    }
    out.replace("\"netd schema 6\"", "\"netd schema 0\"")
}

#[test]
fn an_older_table_is_upgraded_in_one_transaction_with_its_elements() -> Result<()> {
    Lab::run(|lab| {
        let site = Site::new(lab)?;
        let _a = site.add("a", 8001)?;
        let newest = site.table()?;
        let add = format!("add element inet netd masq4 {{ {STRANGER} }}");
        site.replace(&older(&newest))?;
        site.host.run(&["nft", &add])?;
        let old = site.table()?;
        ensure!(old.contains("schema 0") && !old.contains("own6"), "{old}");
        site.reachable(8001).context("under the older table")?;

        let monitor = monitor(&site.host)?;
        let _b = site.add("b", 8002)?;
        site.reachable(8001)?;
        site.reachable(8002)?;
        let now = site.table()?;
        ensure!(now.contains("schema 6") && now.contains(STRANGER), "{now}");
        for line in newest.lines().filter(|line| line.contains("red/a/eth0")) {
            for element in line.trim().trim_start_matches("elements = {").split(',') {
                let element = element.trim().trim_end_matches('}').trim();
                ensure!(now.contains(element), "{element} is lost in {now}");
            }
        }
        one_transaction(&site.host)?;
        monitor.stop().map(drop)
    })
}

/// Starts `nft monitor`, its text in a file, and waits until it listens.
fn monitor(host: &Host) -> Result<e2e::Process> {
    let monitor =
        host.spawn("monitor", &["sh", "-c", "exec stdbuf -oL nft monitor > /run/seen"])?;
    wait_until("nft monitor listens", PATIENCE, || {
        let probed = host.sh("nft 'add table ip probe; delete table ip probe'").is_ok();
        probed && host.read("/run/seen").is_ok_and(|seen| seen.contains("probe"))
    })?;
    Ok(monitor)
}

/// The old table went and the new one came under one generation number.
fn one_transaction(host: &Host) -> Result<()> {
    host.sh("nft 'add table ip last'")?;
    wait_until("nft monitor has shown everything", PATIENCE, || {
        host.read("/run/seen").is_ok_and(|seen| seen.contains("table ip last"))
    })?;
    let seen = host.read("/run/seen")?;
    let transactions: Vec<&str> = seen.split("# new generation").collect();
    let with = |text: &str| transactions.iter().position(|t| t.contains(text));
    let (gone, made) = (with("delete table inet netd"), with("create table inet netd"));
    ensure!(gone.is_some() && gone == made, "removed in {gone:?}, made in {made:?}: {seen}");
    Ok(())
}

#[test]
fn a_newer_table_is_refused_and_nothing_is_changed() -> Result<()> {
    Lab::run(|lab| {
        let site = Site::new(lab)?;
        let _a = site.add("a", 8001)?;
        site.replace(&site.table()?.replace("netd schema 6", "netd schema 99"))?;
        let before = site.state()?;
        let said = site.refused("b")?;
        let expected =
            "nf_tables table inet netd has schema 99, newer than 6: upgrade this program";
        ensure!(said.contains(expected), "{said}");
        similar(&before, &site.state()?)?;
        site.reachable(8001)
    })
}

#[test]
fn a_table_of_somebody_else_is_refused_and_left_alone() -> Result<()> {
    Lab::run(|lab| {
        let site = Site::new(lab)?;
        site.host.sh("nft 'add table inet netd; add set inet netd masq4 { type ipv4_addr; }'")?;
        let veths = || Ok::<_, anyhow::Error>(site.host.sh("ip -br link show type veth")?.stdout);
        let before = (site.table()?, veths()?);
        let said = site.refused("b")?;
        ensure!(said.contains("nf_tables table inet netd was not made by netd"), "{said}");
        similar(&before.0, &site.table()?)?;
        similar(&before.1, &veths()?)
    })
}

fn similar(before: &str, after: &str) -> Result<()> {
    ensure!(before == after, "changed from\n{before}\nto\n{after}");
    Ok(())
}
