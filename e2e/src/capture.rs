//! What passes an interface, as `tcpdump` tells it.

use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::place::Place;
use crate::process::Process;
use crate::wait::{PATIENCE, wait_until};

/// A running capture of one interface.
#[derive(Debug)]
pub struct Capture {
    name: String,
    tcpdump: Process,
}

/// One line of `tcpdump -n`: a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// The source, `address` or `address.port` as tcpdump writes it; empty for what is not IP.
    pub source: String,
    /// The destination in the same form.
    pub destination: String,
    /// The whole line, without the time.
    pub text: String,
    /// When it passed, since 1970; zero for what the packet of the line before carries.
    pub at: Duration,
}

impl Capture {
    /// Starts a capture on `interface` of the packets that match `filter` (tcpdump's language);
    /// when this returns, tcpdump listens.
    ///
    /// # Errors
    ///
    /// When tcpdump does not start: no such interface, or a bad filter.
    pub fn start(place: &dyn Place, interface: &str, filter: &str) -> Result<Self> {
        let name = format!("{interface} of {}", place.name());
        let log = format!("capture-{}-{interface}", place.name().replace('/', "-"));
        let options = ["tcpdump", "-i", interface, "-nn", "-tt", "-l", "--immediate-mode", filter];
        let mut tcpdump = place.spawn(&log, &options)?;
        tcpdump.wait_for_log("listening on", PATIENCE).context("start a capture")?;
        Ok(Self { name, tcpdump })
    }

    /// The packets up to now.
    #[must_use]
    pub fn packets(&self) -> Vec<Packet> {
        self.tcpdump.log().lines().filter_map(parse).collect()
    }

    /// Waits until `wanted` says the packets are all there.
    ///
    /// # Errors
    ///
    /// When they do not come; the error shows what came.
    pub fn wait_for(
        &self,
        what: &str,
        mut wanted: impl FnMut(&[Packet]) -> bool,
    ) -> Result<Vec<Packet>> {
        wait_until(&format!("{what} on {}", self.name), PATIENCE, || wanted(&self.packets()))
            .with_context(|| format!("captured: {}", self.tcpdump.log()))?;
        Ok(self.packets())
    }

    /// The same, and ends the capture.
    ///
    /// # Errors
    ///
    /// As [`Self::wait_for`].
    pub fn stop_when(
        self,
        what: &str,
        wanted: impl FnMut(&[Packet]) -> bool,
    ) -> Result<Vec<Packet>> {
        self.wait_for(what, wanted)
    }
}

impl Packet {
    /// The source without its port.
    #[must_use]
    pub fn source_is(&self, address: std::net::IpAddr) -> bool {
        is(&self.source, address)
    }

    /// The destination without its port.
    #[must_use]
    pub fn destination_is(&self, address: std::net::IpAddr) -> bool {
        is(&self.destination, address)
    }
}

fn is(end: &str, address: std::net::IpAddr) -> bool {
    let address = address.to_string();
    end == address || end.rsplit_once('.').is_some_and(|(host, _)| host == address)
}

/// `1764412800.000001 IP 10.0.0.1.1234 > 10.0.0.2.80: Flags ...`; lines that tcpdump says about itself are none.
fn parse(line: &str) -> Option<Packet> {
    const KINDS: [&str; 3] = ["IP ", "IP6 ", "ARP, "];
    let (time, rest) = line.split_once(' ')?;
    let time = time.split_once('.').and_then(|(seconds, micros)| {
        let at = Duration::from_secs(seconds.parse().ok()?);
        Some(at + Duration::from_micros(micros.parse().ok()?))
    });
    // What a packet carries is a line of its own, without a time.
    let (at, line) = time.map_or((Duration::ZERO, line), |at| (at, rest));
    let kind = KINDS.iter().find(|kind| line.starts_with(**kind))?;
    let (source, rest) = line.get(kind.len()..)?.split_once(" > ").unwrap_or_default();
    let (destination, _) = rest.split_once(": ").unwrap_or_default();
    Some(Packet {
        source: source.to_owned(),
        destination: destination.to_owned(),
        text: line.to_owned(),
        at,
    })
}

#[cfg(test)]
mod tests;
