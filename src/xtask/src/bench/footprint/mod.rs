//! CPU, memory, wake-ups and system calls of Glasshouse beside prometheus-node-exporter and Netdata, in one run on one
//! machine.
//!
//! All sample every second: Glasshouse and Netdata by themselves, the exporter because it is scraped (uncompressed,
//! which is cheaper for it than what Prometheus asks for). `authd` and `up` stand in the table but not in the sum: they
//! are not part of a node. Under root everything runs in namespaces of its own, where the machine is made larger for
//! all alike and of which nothing is left.
#![expect(
    clippy::print_stderr,
    reason = "what is said on the way is no part of the result"
)]

mod calls;
mod exporter;
mod glasshouse;
mod http;
mod netdata;
mod report;
mod running;
mod watch;
mod world;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use clap::Args;

use self::exporter::Exporter;
use self::glasshouse::Glasshouse;
use self::netdata::Netdata;
use self::report::{Facts, Report};
use self::watch::Watched;
use self::world::World;
use crate::project::{self, Profile};

/// The first seconds are start-up: reading all facts, first segments, page faults.
const WARM_UP: Duration = Duration::from_secs(20);

/// How often memory is looked at: reading `smaps_rollup` costs the reader, but it holds the other's memory meanwhile.
const MEMORY_EVERY: u64 = 10;

/// The exporter is scraped and processes are looked at this far behind the full second, when ours have done their work.
const BEHIND_THE_TICK: Duration = Duration::from_millis(500);

/// What is measured, and how long.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How long to measure
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u32).range(5..=86400))]
    seconds: u32,
    /// How long to count system calls and programs started, behind that
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(0..=600))]
    calls_seconds: u32,
    /// Leave Netdata out
    #[arg(long)]
    no_netdata: bool,
    /// The machine as it is: no namespaces, nothing added
    #[arg(long)]
    as_is: bool,
    /// Print one JSON object in place of tables
    #[arg(long)]
    json: bool,
    /// The program to measure, in place of building it
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// This process is in the namespaces already
    #[arg(long, hide = true)]
    inside: bool,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => project::build_glasshouse(&project::shell()?, Profile::Release)?,
    };
    if !options.inside && !options.as_is {
        match world::enter(&binary) {
            world::Entered::Ran(result) => return result,
            world::Entered::Cannot(why) => eprintln!("on the machine as it is: {why}"),
        }
    }
    let world = if options.inside {
        World::enlarge(&binary)?
    } else {
        World::as_it_is()
    };
    measure(options, &binary, &world)
}

fn measure(options: &Options, binary: &Path, world: &World) -> anyhow::Result<()> {
    let glasshouse = Glasshouse::start(binary)?;
    let exporter = Exporter::start()?;
    let netdata = if options.no_netdata {
        None
    } else {
        Netdata::start()?
    };
    eprintln!(
        "measuring for {} s, after {} s of warm-up; {}",
        options.seconds,
        WARM_UP.as_secs(),
        world.words()
    );
    pass(WARM_UP, exporter.as_ref(), &mut [])?;
    let mut watched = glasshouse.processes()?;
    watched.extend(exporter.iter().map(Exporter::process));
    if let Some(netdata) = &netdata {
        watched.extend(netdata.processes()?);
    }
    let numbers = world.newest_process();
    for one in &mut watched {
        one.begin()?;
    }
    let started = Instant::now();
    let seconds = Duration::from_secs(u64::from(options.seconds));
    let scrapes = pass(seconds, exporter.as_ref(), &mut watched)?;
    for one in &mut watched {
        one.end()?;
    }
    let facts = Facts {
        machine: world.words(),
        seconds: started.elapsed().as_secs_f64(),
        scrapes,
        ours: glasshouse.series()?,
        exporter: exporter.as_ref().map(Exporter::series).transpose()?,
        netdata: netdata.as_ref().map(Netdata::series).transpose()?,
        new_processes: numbers
            .zip(world.newest_process())
            .map(|(before, after)| after.saturating_sub(before)),
        calls: calls::count(options.calls_seconds, &watched, exporter.as_ref())?,
    };
    let report = Report::new(&watched, facts);
    if options.json {
        println!("{}", report.json());
    } else {
        report.print();
    }
    Ok(())
}

/// Passes the time, scraping each second and looking at memory now and then; gives how often was scraped.
fn pass(
    time: Duration,
    exporter: Option<&Exporter>,
    watched: &mut [Watched],
) -> anyhow::Result<u64> {
    let start = Instant::now();
    let (mut seconds, mut scrapes) = (0_u64, 0);
    while start.elapsed() < time {
        if let Some(exporter) = exporter {
            exporter.scrape()?;
            scrapes += 1;
        }
        if seconds.is_multiple_of(MEMORY_EVERY) {
            for one in &mut *watched {
                one.look(start.elapsed())?;
            }
        }
        seconds += 1;
        sleep_until_behind_the_tick();
    }
    Ok(scrapes)
}

#[expect(
    clippy::disallowed_methods,
    reason = "what is measured ticks by the wall clock"
)]
fn sleep_until_behind_the_tick() {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let within = Duration::from_nanos(u64::from(now.subsec_nanos()));
    let second = Duration::from_secs(1);
    let mut wait = (second + BEHIND_THE_TICK).saturating_sub(within);
    if wait > second {
        wait -= second;
    }
    // woken a little early, it is the tick that has just been served
    if wait < second / 10 {
        wait += second;
    }
    std::thread::sleep(wait);
}
