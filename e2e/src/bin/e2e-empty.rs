//! Nothing: what starting any process costs, see [`e2e::load::floor`].

fn main() {}
