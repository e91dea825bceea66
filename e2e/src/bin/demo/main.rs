//! `make demo`: the plugins on a host, and the agent on two, all made of namespaces, narrated.
//!
//! Each step is done by the real programs and shown by the real tools; what is said is checked, so
//! a demo that ends well is true.
#![expect(clippy::print_stdout, reason = "a demo speaks on stdout")]

mod cluster;
mod host;

use anyhow::Result;
use e2e::{Lab, Place};

fn main() -> Result<()> {
    Lab::run(host::show_all)?;
    Lab::run(cluster::show_all)?;
    println!(
        "Next: docs/guide/quickstart.md for the plugins, docs/guide/flannel.md for the agent."
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
