//! `netd ps`

use std::process::ExitCode;

use cni::json::{Object, Value};

use super::agent::Agent;
use super::columns::natural;
use super::filters::{self, Filter};
use super::listing::{Kind, Listing};
use super::{network, output};
use crate::endpoint::{ListedContainer, ListedEndpoint, ListedPort};

const KIND: Kind = Kind {
    table: "{{.ID}}\t{{.Networks}}\t{{.Addresses}}\t{{.Ports}}\t{{.Names}}",
    raw: "container_id: {{.ID}}\nnetworks: {{.Networks}}\naddresses: {{.Addresses}}\n\
          ports: {{.Ports}}\nnames: {{.Names}}\n",
    raw_ids: "container_id: {{.ID}}",
    headings: &[
        ("Addresses", "ADDRESSES"),
        ("ID", "CONTAINER ID"),
        ("Interfaces", "INTERFACES"),
        ("Names", "NAMES"),
        ("Netns", "NETNS"),
        ("Networks", "NETWORKS"),
        ("Ports", "PORTS"),
    ],
};

/// Arguments of `netd ps`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Show those alone that are meant: network=NAME, name=PART, id=BEGINNING
    #[arg(short = 'f', long = "filter", value_name = "KEY=VALUE", value_parser = filters::parse)]
    filters: Vec<Filter>,
    /// Format output: table, `table TEMPLATE`, raw, json, or a Go template
    #[arg(long = "format", value_name = "FORMAT", default_value = "table")]
    template: String,
    /// Do not truncate the output
    #[arg(long)]
    no_trunc: bool,
    /// Only display container IDs
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    output: output::Output,
    #[command(flatten)]
    agent: Agent,
}

/// Prints the containers, in the natural order of their names.
///
/// # Errors
/// Why they cannot be listed, or that the template makes no sense.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let listing = Listing::read(&KIND, &args.template, args.quiet)?;
    let filters = filters::by_key(&args.filters);
    let mut containers =
        network::ask(&args.agent, async |client| Ok(client.containers(&filters).await?))?;
    let name = |one: &ListedContainer| one.names.first().unwrap_or(&one.id).clone();
    containers.sort_by(|one, other| natural(&name(one), &name(other)));
    if args.output.format == output::Format::Json {
        output::print(&format!("{}\n", cni::json::pretty(&containers)))?;
        return Ok(ExitCode::SUCCESS);
    }
    let none = Object::new();
    let rows = containers.iter().map(|one| listing.row(row(one, args.no_trunc), &none));
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    output::print(&listing.text(rows, &none)?)?;
    Ok(ExitCode::SUCCESS)
}

/// A container as a line of a list: texts only, in order of the keys.
fn row(container: &ListedContainer, no_trunc: bool) -> Object {
    let each = |of: &dyn Fn(&ListedEndpoint) -> Vec<String>| {
        Value::String(container.endpoints.iter().flat_map(of).collect::<Vec<_>>().join(","))
    };
    let ports = container.endpoints.iter().flat_map(|one| {
        let families = (!one.ipv4_address.is_empty(), !one.ipv6_address.is_empty());
        one.ports.iter().flat_map(move |port| shown(port, families))
    });
    // One may lead to two networks, each family's to its own.
    let mut told: Vec<String> = Vec::new();
    ports.for_each(|port| {
        if !told.contains(&port) {
            told.push(port);
        }
    });
    let mut row = Object::new();
    row.insert("Addresses", each(&addresses));
    row.insert("ID", short(&container.id, no_trunc));
    row.insert("Interfaces", each(&|one| vec![one.interface.clone()]));
    row.insert("Names", container.names.join(","));
    row.insert("Netns", container.sandbox_key.display().to_string());
    row.insert("Networks", each(&|one| vec![one.network.clone()]));
    row.insert("Ports", told.join(", "));
    row
}

/// Without the prefix length, as Docker shows a container's.
fn addresses(endpoint: &ListedEndpoint) -> Vec<String> {
    let all = [&endpoint.ipv4_address, &endpoint.ipv6_address].into_iter();
    let bare = |net: &String| net.split('/').next().unwrap_or_default().to_owned();
    all.map(bare).filter(|ip| !ip.is_empty()).collect()
}

/// Of 64 digits twelve name a container well enough. Other ids are words that somebody chose.
fn short(id: &str, no_trunc: bool) -> &str {
    let is_digits = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if no_trunc || !is_digits { id } else { id.get(..12).unwrap_or(id) }
}

/// As Docker shows a port: one that is published on any address, by each family that it is for.
fn shown(port: &ListedPort, (v4, v6): (bool, bool)) -> Vec<String> {
    let to = |host: &str| {
        format!("{host}:{}->{}/{}", port.public_port, port.private_port, port.protocol)
    };
    match port.ip.as_str() {
        "" => {
            let any = [("0.0.0.0", v4), ("[::]", v6)].into_iter();
            any.filter(|(_, is_on)| *is_on).map(|(host, _)| to(host)).collect()
        }
        ip if ip.contains(':') => vec![to(&format!("[{ip}]"))],
        ip => vec![to(ip)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container() -> ListedContainer {
        let port = |ip: &str, protocol: &str| ListedPort {
            ip: ip.to_owned(),
            private_port: 80,
            public_port: 8080,
            protocol: protocol.to_owned(),
        };
        let endpoint = |network: &str, v4: &str, v6: &str, ports| ListedEndpoint {
            network: network.to_owned(),
            network_id: "1".repeat(64),
            endpoint_id: "2".repeat(64),
            interface: "eth0".to_owned(),
            mac_address: "02:00:00:00:00:01".to_owned(),
            ipv4_address: v4.to_owned(),
            ipv6_address: v6.to_owned(),
            gw_priority: 0,
            ports,
        };
        ListedContainer {
            id: "a1".repeat(32),
            names: vec!["web".to_owned(), "api".to_owned()],
            sandbox_key: "/run/netns/x".into(),
            endpoints: vec![
                endpoint("app", "10.1.0.2/24", "fd00::2/64", vec![port("", "tcp")]),
                endpoint("db", "10.2.0.2/24", "", vec![port("127.0.0.1", "udp"), port("", "tcp")]),
                endpoint("six", "", "fd01::2/64", vec![port("fd02::1", "tcp")]),
            ],
        }
    }

    fn text(format: &str, quiet: bool, no_trunc: bool) -> String {
        let listing = Listing::read(&KIND, format, quiet).unwrap();
        let rows = vec![listing.row(row(&container(), no_trunc), &Object::new()).unwrap()];
        listing.text(rows, &Object::new()).unwrap()
    }

    #[test]
    fn a_container_is_one_line_with_all_its_networks() {
        let format = "{{.ID}} {{.Networks}} {{.Addresses}} {{.Names}} {{.Netns}}";
        assert_eq!(
            text(format, false, false),
            "a1a1a1a1a1a1 app,db,six 10.1.0.2,fd00::2,10.2.0.2,fd01::2 web,api /run/netns/x\n"
        );
        assert_eq!(
            text("{{.Ports}}", false, false),
            "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp, 127.0.0.1:8080->80/udp, \
             [fd02::1]:8080->80/tcp\n"
        );
    }

    #[test]
    fn ids_alone_and_headings_are_as_dockers() {
        assert_eq!(text("table", true, false), "a1a1a1a1a1a1\n");
        assert_eq!(text("table", true, true), format!("{}\n", "a1".repeat(32)));
        let table = text("table", false, false);
        let heading = table.lines().next().unwrap();
        assert!(heading.starts_with("CONTAINER ID   NETWORKS     ADDRESSES "), "{heading}");
        assert!(heading.ends_with("NAMES"), "{heading}");
        assert_eq!(short("default-webserver", false), "default-webserver");
    }
}
