//! The one program behind all plugins; see the library.

mod arena;

use std::process::ExitCode;

#[global_allocator]
static MEMORY: arena::Arena = arena::Arena::new();

fn main() -> ExitCode {
    plugins::run(std::env::args_os())
}
