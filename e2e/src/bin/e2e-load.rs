//! Attaches containers as told, see [`e2e::load`].
//!
//! `e2e-load TARGET...`: reads commands from standard input and answers each by a line of JSON.

use std::io::{BufRead as _, Write as _};

use anyhow::Result;
use e2e::load::work::Work;
use serde_json::json;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut work = Work::new(&words)?;
    let mut out = std::io::stdout();
    for line in std::io::stdin().lock().lines() {
        let answer = work.obey(&line?).unwrap_or_else(|e| json!({"error": format!("{e:#}")}));
        writeln!(out, "{answer}")?;
    }
    Ok(())
}
