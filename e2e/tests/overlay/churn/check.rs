//! What every host is to have at the end.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use e2e::{Container, PATIENCE, Place as _, wait_until};
use serde_json::Value;

use super::{Churn, HOSTS};
use crate::guest::{below, entries, mac};
use crate::split::plain;

impl Churn<'_> {
    /// Every host has what the store has, and that is what there is.
    pub(super) fn check(&self) -> Result<()> {
        let wanted: BTreeSet<(String, String)> =
            self.on.values().map(|on| (on.name.clone(), format!("{}/24", on.ip))).collect();
        wait_until("the store has every container, and no other", PATIENCE * 2, || {
            self.in_store().is_ok_and(|there| there == wanted)
        })
        .with_context(|| format!("{:?}, and not {wanted:?}", self.in_store()))?;
        for host in 0..HOSTS {
            let wanted = self.leading_from(host)?;
            let seen = || match self.site.host(host)?.path(&self.netns).exists() {
                true => {
                    let all = entries(self.site.host(host)?, &self.netns)?;
                    let mut all: Vec<String> = all.iter().map(|entry| plain(entry)).collect();
                    all.sort();
                    Ok(all)
                }
                false => anyhow::Ok(Vec::new()),
            };
            let has_any = self.on.keys().any(|place| place.0 == host);
            let wanted = if has_any { wanted } else { Vec::new() };
            wait_until("neighbours and forwarding entries are as the store's", PATIENCE, || {
                seen().is_ok_and(|seen| seen == wanted)
            })
            .with_context(|| format!("host{}: {:?}, and not {wanted:?}", host + 1, seen()))?;
            self.check_addresses(host)?;
            self.check_names(host)?;
        }
        Ok(())
    }

    fn in_store(&self) -> Result<BTreeSet<(String, String)>> {
        let all = self.site.stored("endpoints/")?.into_iter().map(|(_, value)| {
            let value: Value = serde_json::from_str(&value)?;
            let text = |value: &Value| value.as_str().map(str::to_owned).context("text");
            Ok((text(&value["names"][0])?, text(&value["addresses"][0])?))
        });
        all.collect()
    }

    /// What leads from a host to containers on others.
    fn leading_from(&self, host: usize) -> Result<Vec<String>> {
        let mut all = Vec::new();
        for (place, on) in self.on.iter().filter(|(place, _)| place.0 != host) {
            let (ip, mac) = (on.ip, mac(on.ip)?);
            let vtep = 10 + place.0;
            all.push(format!("{ip} {mac}"));
            all.push(format!("{mac} 192.0.2.{vtep}"));
        }
        all.sort();
        Ok(all)
    }

    /// Containers have their addresses, and the bridge has their ends and no other.
    fn check_addresses(&self, host: usize) -> Result<()> {
        let here = self.on.iter().filter(|(place, _)| place.0 == host);
        let mut count = 0;
        for (place, on) in here {
            let addresses = self.container(*place).addresses("eth0")?;
            ensure!(addresses.contains(&format!("{}/24", on.ip)), "{place:?}: {addresses:?}");
            count += 1;
        }
        let on_host = self.site.host(host)?;
        let endpoints = on_host.sh("ls /run/netd/endpoints/*/ | grep -c eth0.json || true")?;
        ensure!(endpoints.stdout.trim() == count.to_string(), "{count}: {endpoints:?}");
        if count > 0 {
            let ends = below(on_host, &self.netns, &["sh", "-c", "ip -o link | grep -c veth"])?;
            ensure!(ends.stdout.trim() == count.to_string(), "{count}: {ends:?}");
        }
        Ok(())
    }

    fn check_names(&self, host: usize) -> Result<()> {
        let Some((place, asks)) = self.on.iter().find(|(place, _)| place.0 == host) else {
            return Ok(());
        };
        let names: Vec<&str> = self.on.values().map(|on| on.name.as_str()).collect();
        let wanted: Vec<String> =
            self.on.values().map(|on| format!("{} {}", on.name, on.ip)).collect();
        let mut last = Vec::new();
        wait_until("every container has its name", PATIENCE, || {
            last = found(self.container(*place), &asks.server, &names).unwrap_or_default();
            last == wanted
        })
        .with_context(|| format!("host{}: {last:?}, and not {wanted:?}", host + 1))
    }
}

/// Names with their addresses, as a container finds them.
fn found(container: &Container, server: &str, names: &[&str]) -> Result<Vec<String>> {
    let names = names.join(" ");
    let script = format!(
        "echo nameserver {server} >/run/churn.resolv
         touch /etc/resolv.conf; mount --bind /run/churn.resolv $(readlink -f /etc/resolv.conf)
         for name in {names}; do
             echo $name $(getent ahostsv4 $name | cut -d' ' -f1 | sort -u)
         done"
    );
    let shown = container.run(&["unshare", "-m", "sh", "-c", &script])?.stdout;
    Ok(shown.lines().map(str::to_owned).collect())
}
