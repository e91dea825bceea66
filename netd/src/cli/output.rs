//! The one way to stdout and stderr.

use std::io::{self, ErrorKind, Write};

use anyhow::Context;
use cni::json;

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// For people
    Table,
    /// For programs
    Json,
}

/// The option of all commands that print a table.
#[derive(Debug, clap::Args)]
pub(super) struct Output {
    /// How to print
    #[arg(long = "output", value_enum, default_value = "table", value_name = "FORMAT")]
    pub(super) format: Format,
}

impl Output {
    /// Prints a document in the format asked for. A table without rows prints nothing.
    ///
    /// # Errors
    /// As [`print()`].
    pub(super) fn print(&self, table: &Table, document: &serde_json::Value) -> anyhow::Result<()> {
        match self.format {
            Format::Table => print(&table.text()),
            Format::Json => print(&format!("{}\n", json::pretty(document))),
        }
    }
}

/// Rows below headings.
#[derive(Debug)]
pub(super) struct Table(Vec<Vec<String>>);

impl Table {
    /// A table without rows.
    pub(super) fn new<const N: usize>(headings: [&str; N]) -> Self {
        Self(vec![headings.map(str::to_owned).to_vec()])
    }

    /// Adds a row, of as many cells as there are headings.
    pub(super) fn row<const N: usize>(&mut self, cells: [&str; N]) {
        // A cell is one line, whatever an error said.
        self.0.push(cells.map(|cell| cell.replace('\n', " ")).to_vec());
    }

    fn text(&self) -> String {
        if self.0.len() < 2 {
            return String::new();
        }
        let mut widths: Vec<usize> = Vec::new();
        for row in &self.0 {
            widths.resize(row.len(), 0);
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        let mut text = String::new();
        for row in &self.0 {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(&format!("{cell:width$}  "));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// Writes a result to stdout. A reader that has gone (`netd ... | head`) has what it wanted.
///
/// # Errors
/// Where stdout takes nothing more for another reason.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("write the result")
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes lines to stderr.
pub(super) fn note(text: &str) {
    // Nobody is left to be told of a failure.
    let _ = writeln!(io::stderr().lock(), "{text}");
}
