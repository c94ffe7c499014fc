//! Prints all that NVIDIA's library says of the GPUs of this machine, in the form that the stand-in library of the
//! tests reads: `cargo run -p glasshouse-gpu --example dump [LIBRARY] > tests/fixtures/gpu/NAME.state`.
//! No serial number and no UUID is asked for.

use std::error::Error;
use std::io::Write as _;

fn main() -> Result<(), Box<dyn Error>> {
    let library = std::env::args().nth(1).unwrap_or_default();
    let dump = glasshouse_gpu::dump(&library)?;
    std::io::stdout().write_all(dump.as_bytes())?;
    Ok(())
}
