//! Address allocation: ranges, allocators, and stores on disk.
