//! `netd`, the program.

use std::alloc::{GlobalAlloc, Layout};
use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard, PoisonError};

use dlmalloc::Dlmalloc;

/// musl's own maps and unmaps pages for what the loop needs for a moment, several times per event;
/// with two threads each unmapping interrupts the other processor.
#[global_allocator]
static ALLOCATOR: Allocator = Allocator(Mutex::new(Dlmalloc::new()));

/// dlmalloc behind std's lock: its own is musl's, which takes three times as long, and attaching a
/// container with hundreds of ports allocates thousands of times.
struct Allocator(Mutex<Dlmalloc>);

impl Allocator {
    fn lock(&self) -> MutexGuard<'_, Dlmalloc> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[expect(unsafe_code, reason = "an allocator is unsafe by its trait")]
// SAFETY: dlmalloc keeps what the trait asks for, and one thread at a time uses it; its lock allocates
// nothing.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as of the trait.
        unsafe { self.lock().malloc(layout.size(), layout.align()) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as of the trait.
        unsafe { self.lock().calloc(layout.size(), layout.align()) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: as of the trait.
        unsafe { self.lock().free(ptr, layout.size(), layout.align()) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as of the trait.
        unsafe { self.lock().realloc(ptr, layout.size(), layout.align(), size) }
    }
}

fn main() -> ExitCode {
    netd::cli::main()
}
