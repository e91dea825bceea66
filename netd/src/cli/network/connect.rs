//! `netd network connect`

mod names;

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::process::ExitCode;

use netd_api::attach::{self, Attach, Port};

use crate::cli::agent::Agent;
use crate::cli::{containers, output};
use crate::container::{self, Found, Word};
use crate::network::{Driver, Inspect};
use crate::publish::{self, HostPort, Publication};

/// Docker's options of an endpoint.
const IFNAME: &str = "com.docker.network.endpoint.ifname";
const SYSCTLS: &str = "com.docker.network.endpoint.sysctls";

/// Arguments of `netd network connect`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// IPv4 address (e.g., 172.30.100.104)
    #[arg(long, value_name = "IP", default_value = "", hide_default_value = true)]
    ip: String,
    /// IPv6 address (e.g., 2001:db8::33)
    #[arg(long, value_name = "IP", default_value = "", hide_default_value = true)]
    ip6: String,
    /// Another name of the container on the network; may be repeated
    #[arg(long = "alias", value_name = "NAME")]
    aliases: Vec<String>,
    /// Docker's old way to name another container; refused
    #[arg(long = "link", value_name = "CONTAINER")]
    links: Vec<String>,
    /// A link-local address; refused
    #[arg(long = "link-local-ip", value_name = "IP")]
    link_local: Vec<String>,
    /// com.docker.network.endpoint.ifname=NAME, or ...endpoint.sysctls=net.ipv4.conf.IFNAME.KEY=VALUE,...
    #[arg(long = "driver-opt", value_name = "KEY=VALUE")]
    options: Vec<String>,
    /// Highest of several networks gives the default route; the runtime's interface has 0
    #[arg(long, value_name = "NUMBER", default_value_t = 0, allow_negative_numbers = true)]
    gw_priority: i32,
    /// Link-layer address of the interface
    #[arg(long, value_name = "MAC", default_value = "", hide_default_value = true)]
    mac_address: String,
    /// Publish a port, as `IP:HOST:PORT/PROTOCOL` or less of that; may be repeated
    #[arg(short, long = "publish", value_name = "PORT", value_parser = publish::parse)]
    ports: Vec<Ports>,
    /// The network's name, id, or the beginning of its id
    network: String,
    /// The container's id, the beginning of it, its name, pid:N, or netns:PATH
    container: String,
    #[command(flatten)]
    agent: Agent,
}

/// What one `-p` publishes; clap would take a list for several values.
type Ports = Vec<Publication>;

/// Prints nothing, as Docker; notes go to stderr.
///
/// # Errors
/// Why it is not connected; nothing is left of it then.
pub(in crate::cli) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let Options { ifname, sysctls } = options(args)?;
    let word = Word::read(&args.container)?;
    let Found { container, netns, path } = super::ask(&args.agent, async |client| {
        let known = client.containers(&BTreeMap::new()).await?;
        Ok(container::open(&containers::all(&known), &word)?)
    })?;
    let (id, netns_id) = (container.id.clone(), netns.id());
    let given = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    let wanted = Attach {
        network: args.network.clone(),
        names: container.found_by(),
        container: container.id,
        ifname,
        netns: path,
        aliases: args.aliases.clone(),
        ports: args.ports.iter().flatten().map(port).collect(),
        ips: [&args.ip, &args.ip6].into_iter().filter_map(given).collect(),
        mac: given(&args.mac_address),
        gw_priority: args.gw_priority,
        sysctls,
        live: true,
        ..Attach::default()
    };
    let attached = attach::attach(&args.agent.attach_socket()?, wanted, netns.as_fd());
    if !args.ports.is_empty() {
        tell_of_ports(args);
    }
    let attached = attached.map_err(super::of_attach)?;
    if let Ok(netns) = netns_id {
        names::tell(&args.agent, &args.network, &id, netns, &attached.dns.nameservers);
    }
    Ok(ExitCode::SUCCESS)
}

/// Warns where published ports are without effect. The container is connected, whatever comes of this.
fn tell_of_ports(args: &Args) {
    let shown = super::ask(&args.agent, async |client| Ok(client.inspect(&args.network).await?));
    let Some(network) = shown.ok().and_then(|text| serde_json::from_str::<Inspect>(&text).ok())
    else {
        return;
    };
    let name = &network.name;
    if network.driver == Driver::Host.name() {
        // Docker's text.
        output::note("WARNING: Published ports are discarded when using host network mode");
    } else if network.internal {
        output::note(&format!("WARNING: -p has no effect: network {name} is internal"));
    } else if ![Driver::Bridge, Driver::Overlay]
        .map(Driver::name)
        .contains(&network.driver.as_str())
    {
        let driver = &network.driver;
        output::note(&format!("WARNING: -p has no effect on network {name} of driver {driver}"));
    }
}

/// What the options of the driver say.
#[derive(Default)]
struct Options {
    ifname: Option<String>,
    sysctls: BTreeMap<String, String>,
}

/// Refuses what there is not, and reads the options.
fn options(args: &Args) -> anyhow::Result<Options> {
    if !args.links.is_empty() {
        anyhow::bail!(
            "links are not supported: containers of a network reach each other by their names and \
             by --alias"
        );
    }
    if !args.link_local.is_empty() {
        anyhow::bail!("link-local addresses are not supported: leave --link-local-ip out");
    }
    let mut options = Options::default();
    for option in &args.options {
        match option.split_once('=') {
            Some((IFNAME, name)) if !name.is_empty() => options.ifname = Some(name.to_owned()),
            Some((SYSCTLS, all)) => {
                let each = |one: &str| {
                    let (key, value) = one.split_once('=').unwrap_or((one, ""));
                    (key.to_owned(), value.to_owned())
                };
                options.sysctls.extend(all.split(',').map(each));
            }
            // As with `create`: Docker says nothing.
            Some((key, _)) => output::note(&format!(
                "WARNING: option {key} is not known of an endpoint and has no effect"
            )),
            None => anyhow::bail!("invalid driver option {option:?}: write it as KEY=VALUE"),
        }
    }
    Ok(options)
}

fn port(publication: &Publication) -> Port {
    let Publication { host_ip, host_port, container_port, protocol } = publication;
    let (host_port, host_port_end) = match *host_port {
        HostPort::Any => (0, None),
        HostPort::One(port) => (port, None),
        HostPort::OneOf(first, last) => (first, Some(last)),
    };
    Port {
        host_ip: host_ip.map(|ip| ip.to_string()).unwrap_or_default(),
        host_port,
        host_port_end,
        container_port: *container_port,
        protocol: protocol.name().to_owned(),
    }
}
