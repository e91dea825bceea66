//! The one program behind all plugins; see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    plugins::run(std::env::args_os())
}
