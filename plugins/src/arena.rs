//! Memory for a process that lives a few milliseconds: taken from one static block, hardly ever
//! given back.
//!
//! musl's allocator asks the kernel for each page it hands out and returns each that gets empty,
//! which is a third of a plugin's system calls and page faults. Here only what was handed out last
//! can be taken back or grown in place, and what does not fit any more comes from musl's allocator
//! after all (a GC with thousands of attachments).

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Less than a huge page (2 MiB), so that the kernel clears no more than is touched.
const SIZE: usize = 1 << 20;

/// The block; a page of it costs nothing before it is touched.
#[repr(align(4096))]
struct Block(UnsafeCell<[u8; SIZE]>);

// SAFETY: ranges of the block are handed out once, to one owner, by an atomic counter.
#[expect(unsafe_code, reason = "a global allocator shares its block between threads")]
unsafe impl Sync for Block {}

static BLOCK: Block = Block(UnsafeCell::new([0; SIZE]));
/// Where the free part of the block begins.
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// The allocator; see the module.
pub(crate) struct Arena;

impl Arena {
    /// Moves the beginning of the free part, if it is still there.
    fn step(from: usize, to: usize) -> bool {
        NEXT.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Where in the block an address is.
    fn offset(at: *mut u8) -> Option<usize> {
        let offset = (at as usize).wrapping_sub(BLOCK.0.get() as usize);
        (offset < SIZE).then_some(offset)
    }

    fn take(layout: Layout) -> Option<*mut u8> {
        let block = BLOCK.0.get().cast::<u8>();
        loop {
            let next = NEXT.load(Ordering::Relaxed);
            // The block is aligned to 4096 bytes, which is the most that is asked for here.
            let start = next.checked_next_multiple_of(layout.align())?;
            let end = start.checked_add(layout.size()).filter(|end| *end <= SIZE)?;
            if layout.align() > 4096 {
                return None;
            }
            if Self::step(next, end) {
                return Some(block.wrapping_add(start));
            }
        }
    }
}

// SAFETY: what `take` gives is aligned, inside the block, and given to nobody else until it is
// given back; everything else is the system allocator's.
#[expect(unsafe_code, reason = "GlobalAlloc is an unsafe trait")]
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are passed on.
        Self::take(layout).unwrap_or_else(|| unsafe { System.alloc(layout) })
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        match Self::offset(at) {
            Some(start) => {
                Self::step(start + layout.size(), start);
            }
            // SAFETY: it is not of the block, so it is the system allocator's.
            None => unsafe { System.dealloc(at, layout) },
        }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Some(start) = Self::offset(at) else {
            // SAFETY: it is not of the block, so it is the system allocator's.
            return unsafe { System.realloc(at, layout, size) };
        };
        let (old_end, new_end) = (start + layout.size(), start.saturating_add(size));
        if new_end <= SIZE && Self::step(old_end, new_end) {
            return at;
        }
        if size <= layout.size() {
            return at;
        }
        // SAFETY: the caller promises a size that is not zero and fits the alignment; both blocks
        // have at least the old size, and do not overlap.
        unsafe {
            let new = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !new.is_null() {
                std::ptr::copy_nonoverlapping(at, new, layout.size());
                self.dealloc(at, layout);
            }
            new
        }
    }
}
