//! A machine that never was, for where no recording is at hand: an hour at 1 s, the same on every machine.
//!
//! What its series are like, and how many are so, was counted on an hour of a busy machine with two processors: most
//! never change, a few are noise.

use super::data::Recording;
use super::names::Name;

/// Whence all its chance comes.
const SEED: u64 = 0x676c_6173_7368_6f75;

/// When it begins, in milliseconds: 2026-01-15T10:00:07.250Z. No full hour, as no recording begins at one.
const BEGIN: i64 = 1_768_471_207_250;

/// How long it is.
const SECONDS: i64 = 3600;

/// What a series does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Sizes, limits, versions, states of what works: the same for the whole hour.
    Constant,
    /// A state that changes every few minutes.
    State,
    /// Bytes of memory, open files: a whole number that wanders.
    Level,
    /// Whole events: interrupts, packets, bytes.
    Events,
    /// Seconds of processor time, in hundredths.
    Seconds,
    /// Times measured by a program: as many digits as a float has.
    Measured,
    /// A load, a temperature: few digits.
    Decimal,
    /// Frequencies, ages, rates that somebody computed: all digits are noise.
    Noise,
}

/// What there is, and how many of it.
const MACHINE: &[(Kind, u32, &str)] = &[
    (Kind::Constant, 321, "node_filesystem_size_bytes"),
    (Kind::State, 12, "node_systemd_unit_state"),
    (Kind::Level, 72, "node_memory_part_bytes"),
    (Kind::Events, 25, "node_network_packets_total"),
    (Kind::Seconds, 21, "node_cpu_seconds_total"),
    (Kind::Measured, 3, "node_schedstat_waiting_seconds_total"),
    (Kind::Decimal, 3, "node_load_average"),
    (Kind::Noise, 55, "node_scrape_duration_seconds"),
];

/// The hour.
pub(crate) fn host() -> anyhow::Result<Recording> {
    let mut chance = Chance(SEED);
    let mut names = Vec::new();
    let mut series = Vec::new();
    for (kind, count, metric) in MACHINE {
        for number in 0..*count {
            let name = format!("{metric}{{device=\"d{number}\",instance=\"host.example:9100\"}}");
            names.push(Name::parse(&name));
            let value = f64::from(chance.below(1_000_000));
            series.push((*kind, value, 0.05 + 0.95 * chance.unit()));
        }
    }
    let mut rows = Vec::new();
    for second in 0..SECONDS {
        // collectors are woken a little late, now and then
        let late = i64::from(chance.unit() < 0.1);
        for (number, (kind, value, character)) in (0..).zip(&mut series) {
            *value = next(*kind, *value, *character, &mut chance);
            let shown = shown(*kind, *value);
            rows.push((BEGIN + second * 1000 + late, number, shown));
        }
    }
    Recording::new(names, rows)
}

/// What a series is a second later. `character`, from 0.05 to 1, tells series of a kind apart.
fn next(kind: Kind, value: f64, character: f64, chance: &mut Chance) -> f64 {
    match kind {
        Kind::Constant => value,
        Kind::State if chance.unit() < 0.004 => f64::from(u8::from(value < 0.5)),
        Kind::State => f64::from(u8::from(value >= 0.5)),
        Kind::Level if chance.unit() < character => {
            (value + (chance.unit() - 0.5) * 2000.0).max(0.0).round()
        }
        Kind::Events => value + (chance.unit() * chance.unit() * character * 3000.0).round(),
        Kind::Seconds => value + (chance.unit() * character * 100.0).round() / 100.0,
        Kind::Measured => value + chance.unit() * character,
        Kind::Decimal => (value + (chance.unit() - 0.5) * 0.2).clamp(0.0, 100.0),
        Kind::Noise => character * (0.5 + chance.unit()),
        Kind::Level => value,
    }
}

/// With as many digits as its source has.
fn shown(kind: Kind, value: f64) -> f64 {
    match kind {
        Kind::Seconds | Kind::Decimal => (value * 100.0).round() / 100.0,
        _ => value,
    }
}

/// `SplitMix64`: small, and the same everywhere.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to below the bound.
    fn below(&mut self, bound: u32) -> u32 {
        let high = u32::try_from(self.next() >> 32).unwrap_or(0);
        high % bound.max(1)
    }

    /// From 0 to below 1, with 53 bits.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are left of it")]
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / 9_007_199_254_740_992.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_the_same_each_time_and_like_a_real_one() {
        let recording = host().unwrap();
        assert_eq!(recording.series.len(), 512);
        assert_eq!(recording.samples(), 512 * 3600);
        assert_eq!(recording.left_out, 0);
        let growing = recording.series.iter().filter(|series| series.grows);
        assert_eq!(growing.count(), 25 + 21 + 3);
        let whole = recording.series.iter().filter(|series| series.is_whole);
        assert_eq!(whole.count(), 321 + 12 + 72 + 25);
        let sum: f64 = recording
            .instants()
            .flat_map(|(_, points)| points)
            .map(|point| point.value)
            .sum();
        let again: f64 = host()
            .unwrap()
            .instants()
            .flat_map(|(_, points)| points)
            .map(|point| point.value)
            .sum();
        assert_eq!(sum.to_bits(), again.to_bits());
    }
}
