//! `netd network create`

use std::collections::BTreeMap;
use std::process::ExitCode;

use crate::cli::agent::Agent;
use crate::cli::output;
use crate::network::{ConfigFrom, CreateRequest, Ipam, PUBLISH, SubnetFlags, assemble};

/// Arguments of `netd network create`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Driver to manage the network
    #[arg(short, long, default_value = "bridge")]
    driver: String,
    /// Set driver specific options
    #[arg(short, long = "opt", value_name = "KEY=VALUE")]
    options: Vec<String>,
    /// Subnet in CIDR format that represents a network segment; 0.0.0.0/24 is any of that size
    #[arg(long = "subnet", value_name = "CIDR", value_delimiter = ',')]
    subnets: Vec<String>,
    /// IPv4 or IPv6 gateway for the subnet
    #[arg(long = "gateway", value_name = "IP", value_delimiter = ',')]
    gateways: Vec<String>,
    /// Allocate container addresses from a sub-range
    #[arg(long = "ip-range", value_name = "CIDR", value_delimiter = ',')]
    ranges: Vec<String>,
    /// Auxiliary addresses that are never given to containers
    #[arg(long = "aux-address", value_name = "NAME=IP")]
    aux: Vec<String>,
    /// Address management: default
    #[arg(long, default_value = "default")]
    ipam_driver: String,
    /// Set address management options
    #[arg(long = "ipam-opt", value_name = "KEY=VALUE")]
    ipam_options: Vec<String>,
    /// Enable or disable IPv4 addresses
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL", value_parser = super::boolean)]
    ipv4: Option<bool>,
    /// Enable or disable IPv6 addresses
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL", value_parser = super::boolean)]
    ipv6: Option<bool>,
    /// Write the network's CNI list also where the host's runtimes look for networks
    #[arg(long)]
    publish_cni: bool,
    /// Restrict external access to the network
    #[arg(long)]
    internal: bool,
    /// Enable manual container attachment: always so on one host
    #[arg(long)]
    attachable: bool,
    /// Swarm's; refused
    #[arg(long)]
    ingress: bool,
    /// Who has the network: local is this host, global all hosts of the cluster (overlay, always; macvlan and ipvlan)
    #[arg(long, default_value = "", value_name = "SCOPE")]
    scope: String,
    /// Swarm's; refused
    #[arg(long)]
    config_only: bool,
    /// Swarm's; refused
    #[arg(long, default_value = "", value_name = "NETWORK")]
    config_from: String,
    /// Set metadata on a network
    #[arg(long = "label", value_name = "KEY=VALUE")]
    labels: Vec<String>,
    /// The network's name
    network: String,
    #[command(flatten)]
    agent: Agent,
}

/// Prints the new network's id.
///
/// # Errors
/// Why there is none.
pub(in crate::cli) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let request = request(args)?;
    let made = super::ask(&args.agent, async |client| Ok(client.create(&request).await?))?;
    made.warning.lines().for_each(|line| output::note(&format!("warning: {line}")));
    output::print(&format!("{}\n", made.id))?;
    Ok(ExitCode::SUCCESS)
}

fn request(args: &Args) -> anyhow::Result<CreateRequest> {
    let aux = pairs(&args.aux);
    let mut options = pairs(&args.options);
    if args.publish_cni {
        options.insert(PUBLISH.to_owned(), "true".to_owned());
    }
    let subnets: Vec<String> = args.subnets.iter().map(|subnet| whole(subnet)).collect();
    let flags = SubnetFlags {
        subnets: &subnets,
        ranges: &args.ranges,
        gateways: &args.gateways,
        aux: &aux,
    };
    Ok(CreateRequest {
        name: args.network.clone(),
        driver: args.driver.clone(),
        scope: args.scope.clone(),
        enable_ipv4: args.ipv4,
        enable_ipv6: args.ipv6,
        ipam: Ipam {
            driver: args.ipam_driver.clone(),
            options: pairs(&args.ipam_options),
            config: assemble(flags)?,
        },
        internal: args.internal,
        attachable: args.attachable,
        ingress: args.ingress,
        config_only: args.config_only,
        config_from: ConfigFrom { network: args.config_from.clone() },
        options,
        labels: pairs(&args.labels),
    })
}

/// An address is a subnet of that address alone.
fn whole(subnet: &str) -> String {
    match subnet.parse::<std::net::IpAddr>() {
        Ok(ip) => ipnetwork::IpNetwork::from(ip).to_string(),
        Err(_) => subnet.to_owned(),
    }
}

/// `KEY=VALUE`; a key alone has the empty value. The last one counts.
fn pairs(given: &[String]) -> BTreeMap<String, String> {
    let pair = |text: &String| {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        (key.to_owned(), value.to_owned())
    };
    given.iter().map(pair).collect()
}
