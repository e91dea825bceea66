//! The client against buses that behave, and buses that do not.

mod addresses;
mod answers;
mod fake_bus;
mod messages;

use std::ffi::OsStr;
use std::time::Duration;

use super::{Error, Firewalld};
use fake_bus::FakeBus;

/// Long enough for a busy machine: tests that expect an answer must not fail for this.
const PATIENT: Duration = Duration::from_secs(20);
/// For tests that expect none.
const HASTY: Duration = Duration::from_millis(100);

fn connect(bus: &FakeBus, patience: Duration) -> Result<Option<Firewalld>, Error> {
    Firewalld::connect_to(Some(OsStr::new(bus.address())), patience)
}

/// `error` with its causes, as the plugin prints them.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |e| e.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
