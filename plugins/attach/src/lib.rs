//! The life of an attachment: recorded, wired, taken back, repaired.
//!
//! A [`Record`] is written before the first change to the kernel and says all that the attachment
//! is about to own; whoever takes the attachment away undoes the record and need not search, nor
//! be told the configuration, the addresses or the ports. [`wiring`] applies plans and takes back
//! what was acknowledged when one fails; [`claim`] takes host ports. [`tables`] keeps the constant nf_tables tables there.
//!
//! What an attachment consists of is not decided here but in crate `drivers`.

pub mod claim;
pub mod direct;
mod error;
pub mod flows;
pub mod forward;
pub mod overlay;
pub mod record;
mod repair;
pub mod tables;
mod trace;
pub mod wiring;

pub use error::{Error, Refusal, kernel_code};
pub use record::{Namespace, Record, Store};
pub use repair::repair;
