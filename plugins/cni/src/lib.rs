//! The Container Network Interface protocol: both sides of it.
