//! Tests of the whole crate: plans on the simulated kernel.

mod commands;
mod golden;
mod linux;
mod properties;
mod samples;
mod scenes;
mod states;
