//! How the agent stands, as Prometheus reads it (text format 0.0.4).

use std::fmt;

use netd_api::attach::Lease;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeLabelSet, NoLabelSet,
    prometheus_text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use crate::api::status::Report;

pub(super) use prometheus_text::CONTENT_TYPE;

/// All metrics.
///
/// # Errors
/// Never: it is written to memory.
pub(super) fn text(report: Report) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("netd");
    registry.register_collector(Box::new(Metrics(report)));
    let mut text = String::new();
    prometheus_text::encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Metrics(Report);

impl Collector for Metrics {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let mut out = Out(encoder);
        self.agent(&mut out)?;
        self.lease(&mut out)?;
        self.store(&mut out)?;
        self.reconcile(&mut out)?;
        self.peers(&mut out)
    }
}

impl Metrics {
    fn agent(&self, out: &mut Out<'_>) -> fmt::Result {
        let version = [("version", self.0.version.as_str())];
        out.gauges("build_info", "What runs", [(version, 1_u64)])?;
        out.gauge("ready", "Whether containers can be attached and reached", flag(self.0.ready))
    }

    fn lease(&self, out: &mut Out<'_>) -> fmt::Result {
        let lease = &self.0.lease;
        let states = [("none", Lease::None), ("held", Lease::Held), ("lost", Lease::Lost)];
        let states = states.map(|(name, state)| ([("state", name)], flag(state == lease.state)));
        out.gauges("lease_state", "1 for how it stands with this host's lease", states)?;
        out.seconds("lease_age", "How long this agent has had its lease", lease.age_seconds)?;
        out.seconds("lease_ttl", "How long it lives without a sign of life", lease.ttl_seconds)?;
        let kept = lease.since_keep_alive_seconds;
        out.seconds("lease_since_keep_alive", "Since the lease had a sign of life", kept)
    }

    fn store(&self, out: &mut Out<'_>) -> fmt::Result {
        let store = &self.0.store;
        let reachable = flag(store.reachable);
        out.gauge("store_reachable", "Whether the store answered last time", reachable)?;
        let since = store.since_answer_seconds;
        out.seconds("store_since_answer", "Since the store answered", since)?;
        out.counter("store_answers", "Answers of the store, and events of watches", store.answers)?;
        let failures = "Requests and watches that got no answer of the store";
        out.counter("store_failures", failures, store.failures)
    }

    fn reconcile(&self, out: &mut Out<'_>) -> fmt::Result {
        let reconcile = &self.0.reconcile;
        let rounds = [("success", reconcile.rounds), ("failure", reconcile.failed_rounds)];
        let rounds = rounds.map(|(result, count)| ([("result", result)], count));
        out.counters("reconcile_rounds", "Looks at everything in the kernel", rounds)?;
        let last = reconcile.last.as_ref();
        let succeeded = last.map(|last| flag(last.succeeded));
        if let Some(succeeded) = succeeded {
            out.gauge(
                "reconcile_last_success",
                "Whether the last one found or made all well",
                succeeded,
            )?;
        }
        let age = last.map(|last| last.age_seconds);
        out.seconds("reconcile_last_age", "Since the last one ended", age)?;
        let took = last.map(|last| last.duration_seconds);
        out.seconds("reconcile_last_duration", "How long the last one took", took)?;
        let steps = [("applied", reconcile.steps_applied), ("failed", reconcile.steps_failed)];
        let steps = steps.map(|(result, count)| ([("result", result)], count));
        out.counters("reconcile_steps", "Changes to the kernel", steps)?;
        let events = "Events of the kernel that were heard";
        out.counter("kernel_events", events, reconcile.kernel_events)?;
        let losses = "How often events of the kernel were lost";
        out.counter("kernel_event_losses", losses, reconcile.kernel_events_lost)?;
        out.counter("resyncs", "How often the peers were listed anew", reconcile.resyncs)
    }

    fn peers(&self, out: &mut Out<'_>) -> fmt::Result {
        let peers = &self.0.peers;
        out.gauge("peers", "Other hosts of the cluster", peers.total)?;
        let reasons =
            peers.reasons.iter().map(|(kind, count)| ([("reason", kind.as_str())], *count));
        out.gauges("peers_unconnected", "Other hosts that are not connected", reasons)
    }
}

fn flag(on: bool) -> u64 {
    u64::from(on)
}

/// Writes one metric after the other.
struct Out<'a>(DescriptorEncoder<'a>);

impl Out<'_> {
    fn gauge(&mut self, name: &str, help: &str, value: impl EncodeGaugeValue) -> fmt::Result {
        self.0.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)
    }

    /// A time that may be unknown, and is then left out.
    fn seconds(&mut self, name: &str, help: &str, value: Option<f64>) -> fmt::Result {
        let Some(value) = value else { return Ok(()) };
        self.gauge(&format!("{name}_seconds"), help, value)
    }

    fn gauges<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (L, u64)>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in values {
            metric.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        metric.encode_counter::<NoLabelSet, _, u64>(&value, None)
    }

    fn counters<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (L, impl EncodeCounterValue)>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in values {
            metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&value, None)?;
        }
        Ok(())
    }
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
        let text = text(report).unwrap();
        for line in [
            "# TYPE netd_lease_age_seconds gauge",
            "netd_lease_age_seconds 1.5",
            "netd_lease_state{state=\"held\"} 1",
            "netd_lease_state{state=\"lost\"} 0",
            "netd_ready 1",
            "# TYPE netd_reconcile_steps_total counter",
            "netd_reconcile_steps_total{result=\"applied\"} 7",
            "netd_peers 3",
            "netd_peers_unconnected{reason=\"other-backend\"} 2",
        ] {
            assert!(text.lines().any(|there| there == line), "{line}: {text}");
        }
        assert!(!text.contains("netd_lease_ttl_seconds"), "{text}");
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            assert!(line.starts_with("netd_"), "{line}");
        }
    }
}
