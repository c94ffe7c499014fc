//! What a run of each collector costs on this machine, and how often it allocates. Nothing is judged: it prints, when
//! asked.
//!
//! `cargo test --release -p glasshouse-performance --test cost -- --ignored --nocapture`

// tells the lints that helpers are tests too
#![cfg(test)]

use std::path::Path;
use std::time::{Duration, Instant};

use glasshouse_core::collector::SampleWriter;
use glasshouse_core::fact::FactDefinition;
use glasshouse_core::failure::{CollectError, FailureReason};
use glasshouse_core::metric::MetricDefinition;
use glasshouse_core::options::Options;
use glasshouse_core::sample::Value;

const WARM_RUNS: u32 = 20;

/// Long against the tick with which the kernel counts a thread's time.
const SPAN: Duration = Duration::from_millis(300);

/// Counts, and keeps nothing.
#[derive(Debug, Default)]
struct Counter {
    samples: u32,
    facts: u32,
}

impl SampleWriter for Counter {
    fn sample(&mut self, _: &'static MetricDefinition, _: &[&str], _: Value) {
        self.samples += 1;
    }

    fn absent(&mut self, _: &'static MetricDefinition, _: &[&str], _: FailureReason) {}

    fn fact(&mut self, _: &'static FactDefinition, _: &str, _: &str) {
        self.facts += 1;
    }

    fn failure(&mut self, _: CollectError) {}

    fn condition(&mut self, _: glasshouse_core::condition::Condition) {}

    fn log(&mut self, _: glasshouse_core::log::LogEntry) {}
}

/// What this thread has run so far: nanoseconds are the first word of the file.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanoseconds = text.split(' ').next().unwrap();
    Duration::from_nanos(nanoseconds.parse().unwrap())
}

#[test]
#[ignore = "prints a table for people"]
fn cost_of_a_run() {
    println!(
        "{:18} {:>8} {:>6} {:>10} {:>12} {:>12}",
        "collector", "samples", "facts", "µs a run", "µs a second", "allocations"
    );
    let mut sum = 0.0;
    let power = glasshouse_power::COLLECTORS.iter().copied();
    for spec in glasshouse_performance::collectors().chain(power) {
        let mut collector = spec.build(Path::new("/"), &Options::defaults(spec.options()));
        let mut counter = Counter::default();
        collector.collect(&mut counter).ok();
        for _ in 0..WARM_RUNS {
            collector.collect(&mut Counter::default()).ok();
        }
        let allocated = allocation_counter::measure(|| {
            collector.collect(&mut Counter::default()).ok();
        });
        let begin = processor_time();
        let (start, mut runs) = (Instant::now(), 0);
        while start.elapsed() < SPAN {
            collector.collect(&mut Counter::default()).ok();
            runs += 1;
        }
        let run = (processor_time() - begin).as_secs_f64() * 1e6 / f64::from(runs);
        let second = run / spec.default_interval().duration().as_secs_f64();
        sum += second;
        println!(
            "{:18} {:>8} {:>6} {run:>10.1} {second:>12.2} {:>12}",
            spec.name(),
            counter.samples,
            counter.facts,
            allocated.count_total
        );
    }
    println!("all at their default intervals: {sum:.0} µs of processor time a second");
}
