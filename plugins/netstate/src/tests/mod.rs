//! Tests of the whole crate: plans on the simulated kernel.

mod properties;
mod states;
