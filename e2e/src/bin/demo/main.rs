//! `make demo`: the plugins on a host, the agent on two, and a network that both have, all made of namespaces,
//! narrated.
//!
//! Each step is done by the real programs and shown by the real tools; what is said is checked, so
//! a demo that ends well is true.
#![expect(clippy::print_stdout, reason = "a demo speaks on stdout")]

mod cluster;
mod host;
mod overlay;

use anyhow::Result;
use e2e::{Lab, Place};

fn main() -> Result<()> {
    Lab::run(host::show_all)?;
    Lab::run(cluster::show_all)?;
    Lab::run(overlay::show_all)?;
    println!(
        "Plugins alone: docs/guide/quickstart.md. In flannel's place: docs/guide/flannel.md.\n\
         Next: docs/guide/networks.md and docs/guide/overlay.md, the networks of one host and of all."
    );
    Ok(())
}

fn title(text: &str) {
    println!("\n\x1b[1m{text}\x1b[0m\n");
}

fn say(text: &str) {
    println!("{text}");
}

fn show(place: &dyn Place, words: &[&str]) -> Result<()> {
    println!("  {} $ {}", place.name(), words.join(" "));
    for line in place.run(words)?.stdout.lines() {
        println!("    {}", line.replace('\t', "  "));
    }
    Ok(())
}
