//! `netd`, the program.

use std::process::ExitCode;

fn main() -> ExitCode {
    netd::cli::main()
}
