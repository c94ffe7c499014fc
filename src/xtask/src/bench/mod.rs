//! Measurements, with peers that are started here, so that what is compared ran on one machine in one run.

mod footprint;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// CPU and memory of probe, node and serve beside prometheus-node-exporter, in one run
    Footprint {
        /// How long to measure
        #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(5..=3600))]
        seconds: u32,
    },
}

pub(crate) fn run(what: Bench) -> anyhow::Result<()> {
    match what {
        Bench::Footprint { seconds } => footprint::run(seconds),
    }
}
