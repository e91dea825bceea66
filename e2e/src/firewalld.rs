//! Debian's firewalld on a bus of its own, on one host of the lab.
//!
//! Bus, firewalld and rules live in the host's namespaces; the machine's own are not touched.

use anyhow::{Context as _, Result};

use crate::command::Command;
use crate::host::Host;
use crate::place::Place as _;
use crate::process::Process;
use crate::require::require_programs;
use crate::wait::{PATIENCE, wait_for};

/// Where a host's system bus listens by default, and is found without being told.
pub const SYSTEM_BUS: &str = "/run/dbus/system_bus_socket";

const BUS_CONF: &str = include_str!("../assets/firewalld-bus.conf");
const DIR: &str = "/run/firewalld-fixture";

/// A message bus on a host. It ends with this.
#[derive(Debug)]
pub struct Bus {
    host: Host,
    address: String,
    _daemon: Process,
}

impl Bus {
    /// Tells whether this machine has what [`FirewalldFixture`] needs; see
    /// [`require`](crate::require()).
    ///
    /// # Errors
    ///
    /// As [`require`](crate::require()).
    pub fn can_run() -> Result<bool> {
        require_programs(&["dbus-daemon", "firewalld", "firewall-cmd", "nft"])
    }

    /// Starts a bus that listens on `socket`, a path on the host such as [`SYSTEM_BUS`].
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub fn start(host: &Host, socket: &str) -> Result<Self> {
        let address = format!("unix:path={}", escape(socket));
        let conf = format!("{DIR}/bus.conf");
        host.write_file(&conf, BUS_CONF.replace("@ADDRESS@", &address))?;
        let dir = socket.rsplit_once('/').map_or("/", |(dir, _)| dir);
        host.run(&["mkdir", "-p", dir])?;
        let mut daemon = host.spawn(
            "dbus-daemon",
            &[
                "dbus-daemon",
                &format!("--config-file={conf}"),
                "--nofork",
                "--nopidfile",
                "--print-address",
            ],
        )?;
        daemon.wait_for_log("guid=", PATIENCE)?;
        Ok(Self { host: host.clone(), address, _daemon: daemon })
    }

    /// The value for `DBUS_SYSTEM_BUS_ADDRESS`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// A command on the host that finds this bus.
    #[must_use]
    pub fn command(&self, words: &[&str]) -> Command {
        self.host.command(words).env("DBUS_SYSTEM_BUS_ADDRESS", &self.address)
    }
}

/// firewalld on a bus of its own, with the configuration it ships: default zone `public`, zone
/// `trusted` without sources. It ends with this.
#[derive(Debug)]
pub struct FirewalldFixture {
    daemon: Process,
    bus: Bus,
}

impl FirewalldFixture {
    /// Starts a bus that listens on `socket` (see [`Bus::start`]) and firewalld on it.
    ///
    /// # Errors
    ///
    /// When one of them does not start.
    pub fn start(host: &Host, socket: &str) -> Result<Self> {
        Self::start_on(Bus::start(host, socket)?)
    }

    /// Starts firewalld on a bus, which this takes over, and waits until it answers.
    ///
    /// # Errors
    ///
    /// When it does not start; the error shows what it said.
    pub fn start_on(bus: Bus) -> Result<Self> {
        let conf = "DefaultZone=public\nFirewallBackend=nftables\n";
        bus.host.write_file(&format!("{DIR}/etc/firewalld.conf"), conf)?;
        let etc = format!("{DIR}/etc");
        let log = format!("{DIR}/log");
        let words =
            ["firewalld", "--nofork", "--nopid", "--system-config", &etc, "--log-file", &log];
        let daemon = bus.command(&words).spawn("firewalld")?;
        let mut fixture = Self { daemon, bus };
        fixture.wait_until_it_runs().with_context(|| {
            let log = fixture.bus.host.read(&log).unwrap_or_default();
            format!("firewalld said {:?} and {log:?}", fixture.daemon.log())
        })?;
        Ok(fixture)
    }

    /// The value for `DBUS_SYSTEM_BUS_ADDRESS`.
    #[must_use]
    pub fn address(&self) -> &str {
        self.bus.address()
    }

    /// Runs `firewall-cmd` with `words` and gives its answer.
    ///
    /// # Errors
    ///
    /// When firewalld refuses it; the error shows why.
    pub fn cmd(&self, words: &[&str]) -> Result<String> {
        let output = self.bus.command(&["firewall-cmd"]).args(words).run()?;
        Ok(output.stdout.trim().to_owned())
    }

    /// The sources of a zone, sorted.
    ///
    /// # Errors
    ///
    /// When there is no such zone.
    pub fn sources(&self, zone: &str) -> Result<Vec<String>> {
        let listed = self.cmd(&[&format!("--zone={zone}"), "--list-sources"])?;
        let mut sources: Vec<String> = listed.split_whitespace().map(str::to_owned).collect();
        sources.sort();
        Ok(sources)
    }

    /// Ends firewalld, which takes its rules away, and gives the bus back.
    ///
    /// # Errors
    ///
    /// When it does not end.
    pub fn stop(self) -> Result<Bus> {
        self.daemon.stop().context("stop firewalld")?;
        Ok(self.bus)
    }

    fn wait_until_it_runs(&mut self) -> Result<()> {
        wait_for("firewalld to run", PATIENCE, || {
            if !self.daemon.is_alive() {
                return Ok(Some(false));
            }
            let state = self.bus.command(&["firewall-cmd", "--state"]).output()?;
            Ok((state.code == 0).then_some(true))
        })?
        .then_some(())
        .context("it ended")
    }
}

/// A value in an address, as D-Bus' specification has it ("Server Addresses").
fn escape(value: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_/.\\*".contains(&b);
    let one = |b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02x}") };
    value.bytes().map(one).collect()
}
