//! `e2e-peak FILE PROGRAM`: runs a program and writes its peak resident memory, in KiB, to a file.
//!
//! The kernel's figure for a child is not less than what its parent had when it started it. This
//! program has next to nothing.

use std::io::{Read as _, Write as _};
use std::process::Command;

use anyhow::{Context as _, Result};
use e2e::load::child;

fn main() -> Result<()> {
    let mut words = std::env::args_os().skip(1);
    let (file, program) = words.next().zip(words.next()).context("a file and a program")?;
    let mut stdin = Vec::new();
    std::io::stdin().read_to_end(&mut stdin)?;
    let ran = child::run(&mut Command::new(program), &stdin)?;
    std::fs::write(&file, ran.cost.memory.to_string())?;
    std::io::stdout().write_all(ran.stdout.as_bytes())?;
    Ok(())
}
