//! What requests mean.

mod direct;
mod host;
mod limits;
mod overlay;
mod pools;
mod requests;
mod words;
