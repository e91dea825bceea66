#![expect(unsafe_code, reason = "what is tested is an unsafe interface")]

use super::*;

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

fn alloc(arena: &Arena, size: usize) -> *mut u8 {
    // SAFETY: no layout here is of size 0.
    unsafe { arena.alloc(layout(size, 8)) }
}

fn arena() -> Box<Arena> {
    // Larger than a test's stack likes.
    // SAFETY: zeros are a valid arena, with nothing handed out.
    unsafe { Box::new_zeroed().assume_init() }
}

#[test]
fn a_size_has_the_smallest_piece_that_holds_it() {
    for size in 1..=SIZE {
        let class = Arena::class(layout(size, 8)).unwrap();
        assert!(Arena::size(class) >= size, "{size}");
        assert!(class == 0 || Arena::size(class - 1) < size, "{size}");
        assert!(class < SIZES, "{size}");
        assert_eq!(Arena::size(class) % ALIGN, 0, "{size}");
    }
    assert_eq!(Arena::class(layout(SIZE + 1, 8)), None);
    assert_eq!(Arena::class(layout(32, 32)), None);
}

#[test]
fn a_freed_piece_is_used_again() {
    let arena = arena();
    let (a, b) = (alloc(&arena, 100), alloc(&arena, 100));
    assert_ne!(a, b);
    // SAFETY: both are of that layout.
    unsafe {
        arena.dealloc(a, layout(100, 8));
        arena.dealloc(b, layout(100, 8));
    }
    assert_eq!(alloc(&arena, 112), b);
    assert_eq!(alloc(&arena, 97), a);
    assert_eq!(arena.offset(alloc(&arena, 100)), Some(224));
}

#[test]
fn the_last_piece_grows_in_place_and_others_keep_their_bytes() {
    let arena = arena();
    let (first, last) = (alloc(&arena, 16), alloc(&arena, 16));
    // SAFETY: each is of the layout given, and not used after it has moved.
    unsafe {
        assert_eq!(arena.realloc(last, layout(16, 8), 5_000), last);
        first.copy_from_nonoverlapping([7; 16].as_ptr(), 16);
        let moved = arena.realloc(first, layout(16, 8), 64);
        assert_ne!(moved, first);
        assert_eq!(std::slice::from_raw_parts(moved, 16), [7; 16]);
        assert_eq!(alloc(&arena, 16), first);
    }
}

#[test]
fn what_does_not_fit_is_the_systems() {
    let arena = arena();
    let large = alloc(&arena, SIZE + 1);
    assert_eq!(arena.offset(large), None);
    let all = alloc(&arena, SIZE);
    assert_eq!(arena.offset(all), Some(0));
    let more = alloc(&arena, 16);
    assert_eq!(arena.offset(more), None);
    // SAFETY: each is of that layout.
    unsafe {
        arena.dealloc(large, layout(SIZE + 1, 8));
        let more = arena.realloc(more, layout(16, 8), 32);
        assert_eq!(arena.offset(more), None);
        arena.dealloc(more, layout(32, 8));
        arena.dealloc(all, layout(SIZE, 8));
    }
}

#[test]
fn the_block_belongs_to_one_thread() {
    let arena = arena();
    let arena = &*arena;
    let mine = alloc(arena, 100) as usize;
    std::thread::scope(|scope| {
        scope.spawn(move || {
            assert_eq!(arena.offset(alloc(arena, 100)), None);
            // SAFETY: it is of that layout, and nobody uses it.
            unsafe { arena.dealloc(mine as *mut u8, layout(100, 8)) };
        });
    });
    assert_ne!(alloc(arena, 100) as usize, mine, "freed elsewhere, it is lost");
}

#[test]
fn threads_get_pieces_of_their_own() {
    let arena = arena();
    let arena = &*arena;
    std::thread::scope(|scope| {
        for mark in 0..4u8 {
            scope.spawn(move || {
                for size in (8..400).cycle().take(20_000) {
                    let at = alloc(arena, size);
                    // SAFETY: the piece is of this size, and this thread's.
                    unsafe {
                        at.write_bytes(mark, size);
                        assert!(std::slice::from_raw_parts(at, size).iter().all(|b| *b == mark));
                        arena.dealloc(at, layout(size, 8));
                    }
                }
            });
        }
    });
}
