//! Wrong input: a CNI error with the specification's code that names key and value, and nothing
//! is changed.

mod attached;
mod configurations;
mod environment;
mod ports;
mod site;
mod snapshot;
mod versions;
