//! What delegates are told, and what is kept of it. The delegates are scripts that write down how
//! they are called, or this very program.

mod bench;
mod life;
mod sources;
mod words;
