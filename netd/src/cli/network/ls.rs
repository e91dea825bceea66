//! `netd network ls`

use std::process::ExitCode;

use cni::json::Object;

use crate::cli::agent::Agent;
use crate::cli::columns::natural;
use crate::cli::filters::{self, Filter};
use crate::cli::listing::{Kind, Listing};
use crate::cli::output;
use crate::network::Brief;
use crate::template::TemplateError;

const KIND: Kind = Kind {
    table: "{{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}",
    raw: "network_id: {{.ID}}\nname: {{.Name}}\ndriver: {{.Driver}}\nscope: {{.Scope}}\n",
    raw_ids: "network_id: {{.ID}}",
    headings: &[
        ("CreatedAt", "CREATED AT"),
        ("Driver", "DRIVER"),
        ("ID", "NETWORK ID"),
        ("IPv4", "IPV4"),
        ("IPv6", "IPV6"),
        ("Internal", "INTERNAL"),
        ("Labels", "LABELS"),
        ("Name", "NAME"),
        ("Scope", "SCOPE"),
    ],
};

/// Arguments of `netd network ls`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Provide filter values (as in driver=bridge)
    #[arg(short = 'f', long = "filter", value_name = "KEY=VALUE", value_parser = filters::parse)]
    filters: Vec<Filter>,
    /// Format output: table, `table TEMPLATE`, raw, json, or a Go template
    #[arg(long, default_value = "table")]
    format: String,
    /// Do not truncate the output
    #[arg(long)]
    no_trunc: bool,
    /// Only display network IDs
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    agent: Agent,
}

/// Prints the networks, in the natural order of their names.
///
/// # Errors
/// Why they cannot be listed, or that the template makes no sense.
pub(in crate::cli) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let listing = Listing::read(&KIND, &args.format, args.quiet)?;
    let filters = filters::by_key(&args.filters);
    let mut networks = super::ask(&args.agent, async |client| Ok(client.list(&filters).await?))?;
    networks.sort_by(|one, other| natural(&one.name, &other.name));
    let rows = networks.iter().map(|network| shown(&listing, network, args.no_trunc));
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    let mut methods = Object::new();
    methods.insert("Label", Object::new());
    output::print(&listing.text(rows, &methods)?)?;
    Ok(ExitCode::SUCCESS)
}

fn shown(listing: &Listing, network: &Brief, no_trunc: bool) -> Result<String, TemplateError> {
    let mut methods = Object::new();
    let mut labels = Object::new();
    network.labels.iter().for_each(|(key, value)| labels.insert(key, value.as_str()));
    methods.insert("Label", labels);
    listing.row(row(network, no_trunc), &methods)
}

/// A network as a line of a list: texts only, in order of the keys.
fn row(network: &Brief, no_trunc: bool) -> Object {
    let labels: Vec<String> =
        network.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let created = network.moment().map(|moment| moment.go()).unwrap_or_default();
    let id = if no_trunc { network.id.as_str() } else { network.id.get(..12).unwrap_or_default() };
    let mut row = Object::new();
    row.insert("CreatedAt", created);
    row.insert("Driver", network.driver.as_str());
    row.insert("ID", id);
    row.insert("IPv4", network.enable_ipv4.to_string());
    row.insert("IPv6", network.enable_ipv6.to_string());
    row.insert("Internal", network.internal.to_string());
    row.insert("Labels", labels.join(","));
    row.insert("Name", network.name.as_str());
    row.insert("Scope", network.scope.as_str());
    row
}
