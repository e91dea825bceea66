//! How the agent stands, as Prometheus reads it (text format 0.0.4).

use std::fmt;

use netd_api::attach::Lease;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeGaugeValue, NoLabelSet, prometheus_text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use crate::api::status::{Answer, Reconcile, Report};

pub(super) use prometheus_text::CONTENT_TYPE;

/// All metrics.
///
/// # Errors
/// Never: it is written to memory.
pub(super) fn text(answer: Answer) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("netd");
    registry.register_collector(Box::new(match answer {
        Answer::One(report) => Metrics(vec![(None, *report)]),
        Answer::Several(several) => {
            Metrics(several.networks.into_iter().map(|(name, one)| (Some(name), one)).collect())
        }
    }));
    let mut text = String::new();
    prometheus_text::encode(&mut text, &registry)?;
    Ok(text)
}

/// Each network's, with its name where there are several.
#[derive(Debug)]
struct Metrics(Vec<(Option<String>, Report)>);

impl Collector for Metrics {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        // What is not of one network is of the agent, and in the report of each.
        let agent = self.0.first().map(|(_, report)| (None, report.clone()));
        let agent = agent.as_slice();
        let mut out = Out { encoder, all: agent };
        build(&mut out)?;
        out.all = &self.0;
        readiness(&mut out)?;
        lease(&mut out)?;
        out.all = agent;
        store(&mut out)?;
        cluster_networks(&mut out)?;
        out.all = &self.0;
        reconcile(&mut out)?;
        peers(&mut out)
    }
}

fn build(out: &mut Out<'_, '_>) -> fmt::Result {
    let version = |report: &Report| vec![(("version", report.version.clone()), 1_u64)];
    out.gauges("build_info", "What runs", version)
}

fn readiness(out: &mut Out<'_, '_>) -> fmt::Result {
    let help = "Whether containers can be attached and reached";
    out.gauge("ready", help, |report| Some(flag(report.ready)))?;
    let help = "Whether the store's network configuration is not the one in force";
    out.gauge("config_refused", help, |r| Some(flag(r.configuration.refused.is_some())))
}

fn lease(out: &mut Out<'_, '_>) -> fmt::Result {
    let states = |report: &Report| {
        let states = [("none", Lease::None), ("held", Lease::Held), ("lost", Lease::Lost)];
        let state =
            |(name, state)| (("state", str::to_owned(name)), flag(state == report.lease.state));
        states.map(state).into()
    };
    out.gauges("lease_state", "1 for how it stands with this host's lease", states)?;
    let help = "How long this agent has had its lease";
    out.gauge("lease_age_seconds", help, |report| report.lease.age_seconds)?;
    let help = "How long it lives without a sign of life";
    out.gauge("lease_ttl_seconds", help, |report| report.lease.ttl_seconds)?;
    let help = "Since the lease had a sign of life";
    out.gauge("lease_since_keep_alive_seconds", help, |r| r.lease.since_keep_alive_seconds)
}

fn store(out: &mut Out<'_, '_>) -> fmt::Result {
    let help = "Whether the store answered last time";
    out.gauge("store_reachable", help, |report| Some(flag(report.store.reachable)))?;
    let help = "Since the store answered";
    out.gauge("store_since_answer_seconds", help, |report| report.store.since_answer_seconds)?;
    let help = "Answers of the store, and events of watches";
    out.counter("store_answers", help, |report| report.store.answers)?;
    let help = "Requests and watches that got no answer of the store";
    out.counter("store_failures", help, |report| report.store.failures)
}

/// Of a host that shares no networks nothing.
fn cluster_networks(out: &mut Out<'_, '_>) -> fmt::Result {
    let of = |report: &Report| report.cluster_networks.clone();
    let help = "Networks that hosts share";
    out.gauge("cluster_networks", help, |report| of(report).map(|of| of.networks))?;
    let help = "Overlays that are not as they should be on this host";
    let count = |report: &Report| of(report).map(|of| of.overlays.len() as u64);
    out.gauge("cluster_networks_troubled", help, count)?;
    let help = "Whether this host gives signs of life to those that share networks";
    out.gauge("cluster_networks_live", help, |report| of(report).map(|of| flag(of.live)))?;
    let help = "Since the store has confirmed what this host claims of shared networks";
    let since = |report: &Report| of(report).and_then(|of| of.since_confirmed_seconds);
    out.gauge("cluster_networks_since_confirmed_seconds", help, since)?;
    let help = "Whether new addresses of shared networks may be given out";
    out.gauge("cluster_networks_allocates", help, |report| {
        of(report).map(|of| flag(of.allocates))
    })?;
    let help = "Whether all that is known of shared networks is of before this start";
    out.gauge("cluster_networks_remembered", help, |report| {
        of(report).map(|of| flag(of.remembered))
    })
}

fn reconcile(out: &mut Out<'_, '_>) -> fmt::Result {
    out.counters("reconcile_rounds", "Looks at everything in the kernel", |report| {
        let Reconcile { rounds, failed_rounds, .. } = report.reconcile;
        results(["success", "failure"], [rounds, failed_rounds])
    })?;
    let last = |report: &Report| report.reconcile.last.clone();
    let help = "Whether the last one found or made all well";
    out.gauge("reconcile_last_success", help, |r| last(r).map(|last| flag(last.succeeded)))?;
    let help = "Since the last one ended";
    out.gauge("reconcile_last_age_seconds", help, |r| last(r).map(|last| last.age_seconds))?;
    let help = "How long the last one took";
    let took = |report: &Report| last(report).map(|last| last.duration_seconds);
    out.gauge("reconcile_last_duration_seconds", help, took)?;
    out.counters("reconcile_steps", "Changes to the kernel", |report| {
        let Reconcile { steps_applied, steps_failed, .. } = report.reconcile;
        results(["applied", "failed"], [steps_applied, steps_failed])
    })?;
    let help = "Events of the kernel that were heard";
    out.counter("kernel_events", help, |report| report.reconcile.kernel_events)?;
    let help = "How often events of the kernel were lost";
    out.counter("kernel_event_losses", help, |report| report.reconcile.kernel_events_lost)?;
    let help = "How often the peers were listed anew";
    out.counter("resyncs", help, |report| report.reconcile.resyncs)
}

fn peers(out: &mut Out<'_, '_>) -> fmt::Result {
    out.gauge("peers", "Other hosts of the cluster", |report| Some(report.peers.total))?;
    let help = "Other hosts that count as there though the store has no lease of theirs";
    out.gauge("peers_missing", help, |report| Some(report.peers.missing))?;
    out.gauges("peers_unconnected", "Other hosts that are not connected", |report| {
        let reasons = report.peers.reasons.iter();
        reasons.map(|(kind, count)| (("reason", kind.clone()), *count)).collect()
    })
}

impl Out<'_, '_> {
    /// One that may be unknown, and is then left out.
    fn gauge<V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        value: impl Fn(&Report) -> Option<V>,
    ) -> fmt::Result {
        if self.all.iter().all(|(_, report)| value(report).is_none()) {
            return Ok(());
        }
        let mut metric = self.encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (network, report) in self.all {
            match (value(report), labels(network, None)) {
                (None, _) => {}
                (Some(value), labels) if labels.is_empty() => metric.encode_gauge(&value)?,
                (Some(value), labels) => metric.encode_family(&labels)?.encode_gauge(&value)?,
            }
        }
        Ok(())
    }

    fn gauges<V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        values: impl Fn(&Report) -> Vec<(Label, V)>,
    ) -> fmt::Result {
        let mut metric = self.encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (network, report) in self.all {
            for (label, value) in values(report) {
                metric.encode_family(&labels(network, Some(label)))?.encode_gauge(&value)?;
            }
        }
        Ok(())
    }

    fn counter(&mut self, name: &str, help: &str, value: impl Fn(&Report) -> u64) -> fmt::Result {
        let mut metric = self.encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (network, report) in self.all {
            let (value, labels) = (value(report), labels(network, None));
            if labels.is_empty() {
                metric.encode_counter::<NoLabelSet, _, u64>(&value, None)?;
            } else {
                let mut metric = metric.encode_family(&labels)?;
                metric.encode_counter::<NoLabelSet, _, u64>(&value, None)?;
            }
        }
        Ok(())
    }

    fn counters(
        &mut self,
        name: &str,
        help: &str,
        values: impl Fn(&Report) -> Vec<(Label, u64)>,
    ) -> fmt::Result {
        let mut metric = self.encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (network, report) in self.all {
            for (label, value) in values(report) {
                let labels = labels(network, Some(label));
                let mut metric = metric.encode_family(&labels)?;
                metric.encode_counter::<NoLabelSet, _, u64>(&value, None)?;
            }
        }
        Ok(())
    }
}

fn labels(network: &Option<String>, label: Option<Label>) -> Vec<Label> {
    let network = network.iter().map(|name| ("network", name.clone()));
    network.chain(label).collect()
}

fn flag(on: bool) -> u64 {
    u64::from(on)
}

fn results(names: [&str; 2], counts: [u64; 2]) -> Vec<(Label, u64)> {
    let name = |name: &str| ("result", name.to_owned());
    names.map(name).into_iter().zip(counts).collect()
}

/// A label's name and value.
type Label = (&'static str, String);

/// Writes one metric after the other, each with the values of all networks.
struct Out<'a, 'e> {
    encoder: DescriptorEncoder<'e>,
    all: &'a [(Option<String>, Report)],
}
#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::status;

    #[test]
    fn names_have_prefix_and_unit_and_what_is_unknown_is_left_out() {
        let lease =
            status::Lease { state: Lease::Held, age_seconds: Some(1.5), ..Default::default() };
        let reasons = [("other-backend".to_owned(), 2)].into();
        let peers = status::Peers { total: 3, unconnected: 2, reasons, ..Default::default() };
        let reconcile = status::Reconcile { steps_applied: 7, ..Default::default() };
        let report = Report { ready: true, lease, peers, reconcile, ..Default::default() };
        let text = text(Answer::One(Box::new(report.clone()))).unwrap();
        for line in [
            "# TYPE netd_lease_age_seconds gauge",
            "netd_lease_age_seconds 1.5",
            "netd_lease_state{state=\"held\"} 1",
            "netd_lease_state{state=\"lost\"} 0",
            "netd_ready 1",
            "netd_config_refused 0",
            "# TYPE netd_reconcile_steps_total counter",
            "netd_reconcile_steps_total{result=\"applied\"} 7",
            "netd_peers 3",
            "netd_peers_missing 0",
            "netd_peers_unconnected{reason=\"other-backend\"} 2",
        ] {
            assert!(text.lines().any(|there| there == line), "{line}: {text}");
        }
        assert!(!text.contains("netd_lease_ttl_seconds"), "{text}");
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            assert!(line.starts_with("netd_"), "{line}");
            assert!(!line.contains("network="), "{line}");
        }
        let networks = ["blue", "green"].map(|name| (name.to_owned(), report.clone()));
        let several = status::Several::new(networks.into(), None);
        let text = super::text(Answer::Several(several)).unwrap();
        for line in [
            "netd_ready{network=\"blue\"} 1",
            "netd_ready{network=\"green\"} 1",
            "netd_lease_age_seconds{network=\"green\"} 1.5",
            "netd_lease_state{network=\"blue\",state=\"held\"} 1",
            "netd_reconcile_steps_total{network=\"blue\",result=\"applied\"} 7",
            "netd_resyncs_total{network=\"blue\"} 0",
            "netd_store_reachable 0",
        ] {
            assert!(text.lines().any(|there| there == line), "{line}: {text}");
        }
        assert_eq!(text.matches("# TYPE netd_ready gauge").count(), 1);
    }
}
