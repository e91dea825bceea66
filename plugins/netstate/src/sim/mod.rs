//! An in-memory kernel for property tests.
