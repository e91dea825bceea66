//! `netd`, the program.

use std::process::ExitCode;

/// musl's own maps and unmaps pages for what the loop needs for a moment, several times per event;
/// with two threads each unmapping interrupts the other processor.
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    netd::cli::main()
}
