//! One member of an etcd.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::process::Signal;

use super::secrets;
use crate::host::Host;
use crate::place::Place as _;
use crate::process::Process;
use crate::wait::PATIENCE;

/// Where a member answers etcd's own counters, beside its address.
const METRICS_PORT: u16 = 2381;

/// One member.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) host: Host,
    address: IpAddr,
    url: String,
    words: Vec<String>,
    process: Option<Process>,
}

impl Member {
    /// Starts the member on an address of a host, one of those at `all`. How long they miss their leader
    /// before they choose another one is `election`.
    pub(super) fn start(
        (host, own): (&Host, IpAddr),
        all: &[IpAddr],
        election: Duration,
        secured: bool,
    ) -> Result<Self> {
        let url = format!("{}://{own}:2379", if secured { "https" } else { "http" });
        let cluster: Vec<String> =
            all.iter().map(|address| format!("{address}={}", peer(*address))).collect();
        let mut words = vec![
            "etcd".to_owned(),
            format!("--name={own}"),
            format!("--data-dir=/var/lib/etcd/{own}"),
            format!("--listen-client-urls={url}"),
            format!("--advertise-client-urls={url}"),
            format!("--listen-peer-urls={}", peer(own)),
            format!("--initial-advertise-peer-urls={}", peer(own)),
            format!("--initial-cluster={}", cluster.join(",")),
            format!("--listen-metrics-urls=http://{own}:{METRICS_PORT}"),
        ];
        words.extend(
            ["--unsafe-no-fsync", "--log-level=warn", "--heartbeat-interval=50"].map(str::to_owned),
        );
        words.push(format!("--election-timeout={}", election.as_millis()));
        if secured {
            words.extend(secrets::SERVER.map(str::to_owned));
        }
        let mut member = Self { host: host.clone(), address: own, url, words, process: None };
        member.run()?;
        Ok(member)
    }

    /// What makes its data out of a snapshot, in etcdctl's words.
    pub(super) fn restore<'a>(&'a self, snapshot: &'a str) -> Vec<&'a str> {
        let of_data = ["--name=", "--data-dir=", "--initial-"];
        let words = self.words.iter().map(String::as_str);
        let words = words.filter(|word| of_data.iter().any(|start| word.starts_with(start)));
        ["snapshot", "restore", snapshot].into_iter().chain(words).collect()
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Starts it again, after [`Self::kill`].
    pub(super) fn run(&mut self) -> Result<()> {
        let log = format!("etcd-{}", self.address);
        self.process = Some(self.host.command(&[]).args(&self.words).spawn(&log)?);
        Ok(())
    }

    pub(super) fn runs(&self) -> bool {
        self.process.is_some()
    }

    /// Kills it, and waits until it has ended.
    pub(super) fn kill(&mut self) -> Result<()> {
        let mut process = self.process.take().context("the member is killed already")?;
        process.signal(Signal::KILL)?;
        process.wait(PATIENCE).map(drop)
    }

    pub(super) fn signal(&self, signal: Signal) -> Result<()> {
        self.process.as_ref().map_or(Ok(()), |process| process.signal(signal))
    }

    /// How many messages of a gRPC method it has received.
    pub(super) fn received(&self, method: &str) -> Result<u64> {
        let (metrics, named) = (self.metrics()?, format!("grpc_method=\"{method}\""));
        let of_method = |line: &&str| {
            line.starts_with("grpc_server_msg_received_total") && line.contains(&named)
        };
        let counts = metrics.lines().filter(of_method).filter_map(|l| l.rsplit(' ').next());
        Ok(counts.map(str::parse::<u64>).sum::<Result<u64, _>>()?)
    }

    /// Its counters, as Prometheus reads them.
    fn metrics(&self) -> Result<String> {
        let get = "exec 3<>/dev/tcp/$0/$1; printf 'GET /metrics HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3";
        let (address, port) = (self.address.to_string(), METRICS_PORT.to_string());
        Ok(self.host.command(&["bash", "-c", get, &address, &port]).run()?.stdout)
    }
}

fn peer(address: IpAddr) -> String {
    format!("http://{address}:2380")
}
