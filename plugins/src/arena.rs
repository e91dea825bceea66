//! Memory for a process that lives a few milliseconds: one static block, cut into pieces that are
//! used again.
//!
//! A page that a program touches for the first time costs it about a microsecond, and another when
//! it ends; musl's allocator adds a system call for each page it hands out and for each that gets
//! empty. Here a freed piece waits in the list of its size for the next of that size, so that a
//! plugin gets by with a few dozen pages and no system call. What does not fit any more comes from
//! musl's allocator after all (a GC with thousands of attachments).

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Less than a huge page (2 MiB), so that the kernel clears no more than is touched.
const SIZE: usize = 1 << 20;

/// Alignment of every piece; what needs more is musl's.
const ALIGN: usize = 16;

/// Up to here pieces are multiples of the alignment, above they are powers of two.
const SMALL: usize = 1024;
const SMALL_SIZES: usize = SMALL / ALIGN;
const SIZES: usize = SMALL_SIZES + (SIZE.ilog2() - SMALL.ilog2()) as usize;

/// The block; a page of it costs nothing before it is touched.
#[repr(align(4096))]
struct Memory(UnsafeCell<[u8; SIZE]>);

/// What is free of the block.
struct Free {
    /// Where the part begins that was never handed out.
    next: usize,
    /// The first free piece of each size; its first word points to the next one.
    pieces: [*mut u8; SIZES],
}

/// The allocator; see the module. The block belongs to the thread that asks first: the plugins have
/// one thread. Others get their memory from musl.
pub(crate) struct Arena {
    memory: Memory,
    free: UnsafeCell<Free>,
    /// The address of a variable of the thread that the block belongs to.
    owner: AtomicUsize,
}

thread_local! {
    /// No two threads have it at the same address.
    static HERE: u8 = const { 0 };
}

// SAFETY: `free` is reached by one thread only; a piece has one owner at a time.
#[expect(unsafe_code, reason = "a global allocator is shared between threads")]
unsafe impl Sync for Arena {}

impl Arena {
    /// An allocator with all of its block free.
    pub(crate) const fn new() -> Self {
        Self {
            memory: Memory(UnsafeCell::new([0; SIZE])),
            free: UnsafeCell::new(Free { next: 0, pieces: [null_mut(); SIZES] }),
            owner: AtomicUsize::new(0),
        }
    }

    /// Which size of piece a layout needs.
    fn class(layout: Layout) -> Option<usize> {
        let size = layout.size();
        if layout.align() > ALIGN || size > SIZE || size == 0 {
            return None;
        }
        if size <= SMALL {
            return Some((size - 1) / ALIGN);
        }
        let doublings = (size - 1).ilog2() - SMALL.ilog2();
        Some(SMALL_SIZES + doublings as usize)
    }

    /// How large the pieces of a size are.
    fn size(class: usize) -> usize {
        match class.checked_sub(SMALL_SIZES) {
            None => (class + 1) * ALIGN,
            Some(doublings) => SMALL << (doublings + 1),
        }
    }

    /// Where in the block an address is.
    fn offset(&self, at: *mut u8) -> Option<usize> {
        let offset = (at as usize).wrapping_sub(self.memory.0.get() as usize);
        (offset < SIZE).then_some(offset)
    }

    /// Calls `f` with what is free; nothing in a thread that the block does not belong to.
    fn with<T>(&self, f: impl FnOnce(&mut Free) -> Option<T>) -> Option<T> {
        // A thread that is ending may have no variables any more.
        let here = HERE.try_with(|here| std::ptr::from_ref(here) as usize).ok()?;
        let mut owner = self.owner.load(Ordering::Relaxed);
        if owner == 0 {
            let claim = (Ordering::Relaxed, Ordering::Relaxed);
            owner = match self.owner.compare_exchange(0, here, claim.0, claim.1) {
                Ok(_) => here,
                Err(other) => other,
            };
        }
        if owner != here {
            return None;
        }
        #[expect(unsafe_code, reason = "the owner has made sure that nobody else is here")]
        // SAFETY: this is the one thread that gets here, and `f` does not allocate.
        f(unsafe { &mut *self.free.get() })
    }

    fn take(&self, class: usize) -> Option<*mut u8> {
        self.with(|free| {
            let first = free.pieces.get_mut(class)?;
            if !first.is_null() {
                let piece = *first;
                #[expect(unsafe_code, reason = "the list lies in the free pieces themselves")]
                // SAFETY: a piece in a list is free, and its first word was written by `give`.
                unsafe {
                    *first = piece.cast::<*mut u8>().read();
                }
                return Some(piece);
            }
            let end = free.next.checked_add(Self::size(class)).filter(|end| *end <= SIZE)?;
            let piece = self.memory.0.get().cast::<u8>().wrapping_add(free.next);
            free.next = end;
            Some(piece)
        })
    }

    fn give(&self, piece: *mut u8, class: usize) {
        // In another thread the piece is lost, and that does no harm.
        self.with(|free| {
            let first = free.pieces.get_mut(class)?;
            #[expect(unsafe_code, reason = "the list lies in the free pieces themselves")]
            // SAFETY: the piece is of the block, aligned to 16 and of 16 bytes at least, and its
            // owner has just given it up.
            unsafe {
                piece.cast::<*mut u8>().write(*first);
            }
            *first = piece;
            Some(())
        });
    }

    /// Whether a piece is the last that was cut off, and could be made to be of another size.
    fn resize_last(&self, start: usize, class: usize, wanted: usize) -> bool {
        let resized = self.with(|free| {
            if start + Self::size(class) != free.next {
                return None;
            }
            let end = start.checked_add(Self::size(wanted)).filter(|end| *end <= SIZE)?;
            free.next = end;
            Some(())
        });
        resized.is_some()
    }
}

// SAFETY: what `take` gives is aligned to 16, inside the block, as large as its class, which is as
// large as the layout, and given to nobody else until it is given back; everything else is the
// system allocator's. Which of the two a pointer is of, its address tells.
#[expect(unsafe_code, reason = "GlobalAlloc is an unsafe trait")]
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let piece = Self::class(layout).and_then(|class| self.take(class));
        // SAFETY: the caller's promises are passed on.
        piece.unwrap_or_else(|| unsafe { System.alloc(layout) })
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        match (self.offset(at), Self::class(layout)) {
            (Some(_), Some(class)) => self.give(at, class),
            // SAFETY: it is not of the block, so it is the system allocator's.
            _ => unsafe { System.dealloc(at, layout) },
        }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Some(start) = self.offset(at) else {
            // SAFETY: it is not of the block, so it is the system allocator's.
            return unsafe { System.realloc(at, layout, size) };
        };
        // SAFETY: the caller promises a size that fits the alignment.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        if let (Some(class), Some(wanted)) = (Self::class(layout), Self::class(wanted))
            && (class == wanted || self.resize_last(start, class, wanted))
        {
            return at;
        }
        // SAFETY: the caller promises a size that is not zero; both pieces have at least the
        // smaller of the two sizes, and do not overlap.
        unsafe {
            let new = self.alloc(wanted);
            if !new.is_null() {
                std::ptr::copy_nonoverlapping(at, new, layout.size().min(size));
                self.dealloc(at, layout);
            }
            new
        }
    }
}

#[cfg(test)]
mod tests;
