//! Tasks of this workspace: up, test, gen, bench.
fn main() {}
