//! Desired state of each network driver, as pure functions.
