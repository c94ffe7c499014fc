//! Measurements, with peers that are started here, so that what is compared ran on one machine in one run.

mod footprint;
mod store;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// CPU, memory and wake-ups of a whole node beside prometheus-node-exporter and Netdata, in one run
    Footprint(footprint::Options),
    /// Bytes, CPU, memory and answers of the store beside Prometheus and VictoriaMetrics, in one run
    Store(store::Options),
}

pub(crate) fn run(what: Bench) -> anyhow::Result<()> {
    match what {
        Bench::Footprint(options) => footprint::run(&options),
        Bench::Store(options) => store::run(&options),
    }
}
