//! `netd network inspect`

use std::process::ExitCode;

use anyhow::Context;
use cni::json::{self, Object, Value};

use crate::cli::agent::Agent;
use crate::cli::output;
use crate::template::{Data, Template};

/// What is left out of JSON where it is empty.
const OPTIONAL: [&str; 3] = ["IPRange", "Gateway", "AuxiliaryAddresses"];
/// Docker's names in its program, which its templates use.
const ALIASES: [(&str, &str); 1] = [("ID", "Id")];

/// Arguments of `netd network inspect`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Format output with a Go template; json is one line of JSON
    #[arg(short, long, default_value = "")]
    format: String,
    /// Verbose output for diagnostics: on one host there is no more to say
    #[arg(short, long)]
    verbose: bool,
    /// Names, ids, or beginnings of ids
    #[arg(required = true, value_name = "NETWORK")]
    networks: Vec<String>,
    #[command(flatten)]
    agent: Agent,
}

/// Prints what is known of networks.
///
/// # Errors
/// No agent runs, or the template makes no sense.
pub(in crate::cli) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let template = match args.format.as_str() {
        "" | "json" => None,
        format => Some(Template::parse(format)?),
    };
    let (found, failures) = super::for_each(&args.agent, &args.networks, async |client, word| {
        client.inspect(word).await
    })?;
    let found = found.iter().map(|text| json::parse(text.as_bytes())).collect::<Result<_, _>>();
    let found: Vec<Value> = found.context("read the answer of netd")?;
    let text = match template {
        Some(template) => {
            let methods = Object::new();
            let rendered = found.iter().map(|root| {
                let data = Data { root, methods: &methods, optional: &OPTIONAL, aliases: &ALIASES };
                Ok(format!("{}\n", template.render(&data)?))
            });
            rendered.collect::<anyhow::Result<String>>()?
        }
        None if args.format.is_empty() => format!("{}\n", json::pretty(&Value::Array(found))),
        None => format!("{}\n", Value::Array(found)),
    };
    output::print(&text)?;
    Ok(super::told(&failures))
}
