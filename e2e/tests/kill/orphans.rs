//! What no record tells of.
