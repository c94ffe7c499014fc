//! One GPU: which of the driver's files it has, and what they say.

use glasshouse_core::collector::SampleWriter;
use glasshouse_core::failure::CollectError;
use glasshouse_core::metric::MetricDefinition;
use glasshouse_core::sample::Value;
use glasshouse_sysfs::{KeptFile, ReadBuffer, SysRoot, malformed, optional, ratio};

use super::firmware;
use super::{
    CLOCK_LIMIT, CLOCK_REASON, CLOCK_SPEED, ECC_ERRORS, FACTS, MEMORY_ACTIVITY, MEMORY_LIMIT,
    MEMORY_USAGE, MEMORY_UTILIZATION, PCIE_REPLAY, SHARED_LIMIT, SHARED_USAGE, UTILIZATION,
};

const PERCENT: u64 = 100;
const HERTZ_A_MEGAHERTZ: f64 = 1e6;

/// Levels of one clock: the driver has at most 16.
const MOST_LEVELS: usize = 64;

/// Blocks with error counters: the driver knows some twenty.
const MOST_BLOCKS: usize = 64;

#[derive(Debug)]
pub(super) struct Card {
    address: String,
    directory: String,
    facts: Vec<(usize, String)>,
    component: String,
    power_state: KeptFile,
    busy: KeptFile,
    memory_busy: KeptFile,
    memory_used: KeptFile,
    memory_total: KeptFile,
    shared: [KeptFile; 2],
    clocks: Vec<(&'static str, KeptFile)>,
    /// Names of blocks and their counters.
    errors: Vec<(String, KeptFile)>,
    replays: KeptFile,
}

impl Card {
    pub(super) fn new(
        root: &SysRoot,
        directory: String,
        address: String,
        out: &mut dyn SampleWriter,
    ) -> Self {
        let file = |name: &str| KeptFile::attribute(root, &format!("{directory}/{name}"));
        let clocks = [
            ("graphics", "pp_dpm_sclk"),
            ("memory", "pp_dpm_mclk"),
            ("soc", "pp_dpm_socclk"),
        ];
        Self {
            facts: facts(root, &directory, out),
            component: format!("gpu/{address}"),
            power_state: file("power/runtime_status"),
            busy: file("gpu_busy_percent"),
            memory_busy: file("mem_busy_percent"),
            memory_used: file("mem_info_vram_used"),
            memory_total: file("mem_info_vram_total"),
            shared: [file("mem_info_gtt_used"), file("mem_info_gtt_total")],
            clocks: clocks.map(|(clock, name)| (clock, file(name))).into(),
            errors: blocks(root, &directory, out),
            replays: file("pcie_replay_count"),
            address,
            directory,
        }
    }

    pub(super) fn write(
        &mut self,
        root: &SysRoot,
        buffer: &mut ReadBuffer,
        out: &mut dyn SampleWriter,
    ) {
        for (place, value) in &self.facts {
            if let Some(fact) = FACTS.get(*place) {
                out.fact(fact, &self.component, value);
            }
        }
        // a GPU that sleeps would be woken by the question, and kept awake by asking again
        if told(optional(self.power_state.read(buffer)), out)
            .is_some_and(|state| state.trim() == "suspended")
        {
            return;
        }
        self.write_use(buffer, out);
        self.write_clocks(buffer, out);
        self.write_reasons(root, buffer, out);
        self.write_errors(buffer, out);
        self.write_link(buffer, out);
    }

    fn write_use(&mut self, buffer: &mut ReadBuffer, out: &mut dyn SampleWriter) {
        for (file, metric, task) in [
            (&mut self.busy, UTILIZATION, Some("general")),
            (&mut self.memory_busy, MEMORY_ACTIVITY, None),
        ] {
            let labels: &[&str] = &[&self.address, task.unwrap_or_default()];
            let labels = labels
                .get(..1 + usize::from(task.is_some()))
                .unwrap_or_default();
            let share = file.read_u64(buffer).and_then(|percent| {
                if percent > PERCENT {
                    let found = percent.to_string();
                    return Err(malformed(file.path(), None, "a percentage", &found));
                }
                Ok(Value::F64(ratio(percent, 100)))
            });
            put(metric, labels, share, out);
        }
        let used = self.memory_used.read_u64(buffer);
        let total = self.memory_total.read_u64(buffer);
        if let (Ok(used), Ok(total)) = (&used, &total)
            && *total > 0
            && used <= total
        {
            let share = ratio(*used, 1) / ratio(*total, 1);
            out.sample(MEMORY_UTILIZATION, &[&self.address], Value::F64(share));
        }
        put(MEMORY_USAGE, &[&self.address], used.map(Value::U64), out);
        put(MEMORY_LIMIT, &[&self.address], total.map(Value::U64), out);
        for (file, metric) in self.shared.iter_mut().zip([SHARED_USAGE, SHARED_LIMIT]) {
            let amount = file.read_u64(buffer).map(Value::U64);
            put(metric, &[&self.address], amount, out);
        }
    }

    fn write_clocks(&mut self, buffer: &mut ReadBuffer, out: &mut dyn SampleWriter) {
        for (clock, file) in &mut self.clocks {
            let labels = [&*self.address, clock];
            let levels = read_levels(file, buffer);
            let (speed, most) = match levels {
                Ok(levels) => (levels.now, Some(levels.most)),
                Err(error) => {
                    put(CLOCK_SPEED, &labels, Err(error), out);
                    continue;
                }
            };
            for (metric, megahertz) in [(CLOCK_SPEED, speed), (CLOCK_LIMIT, most)] {
                if let Some(megahertz) = megahertz {
                    let hertz = f64::from(megahertz) * HERTZ_A_MEGAHERTZ;
                    out.sample(metric, &labels, Value::F64(hertz));
                }
            }
        }
    }

    /// The firmware's own table says why the clocks are low, in versions that are known.
    fn write_reasons(&self, root: &SysRoot, buffer: &mut ReadBuffer, out: &mut dyn SampleWriter) {
        let path = format!("{}/gpu_metrics", self.directory);
        let table = match root.read_bytes(&path, buffer) {
            Ok([]) => return,
            Ok(table) => table,
            Err(error) => {
                told(optional::<()>(Err(error)), out);
                return;
            }
        };
        match firmware::reasons(table) {
            Ok(Some(reasons)) => {
                for (reason, is_active) in reasons.iter() {
                    let state = Value::State(u16::from(is_active));
                    out.sample(CLOCK_REASON, &[&self.address, reason], state);
                }
            }
            Ok(None) => {}
            Err(found) => out.failure(malformed(&path, None, "a table of its own length", &found)),
        }
    }

    fn write_errors(&mut self, buffer: &mut ReadBuffer, out: &mut dyn SampleWriter) {
        for (block, file) in &mut self.errors {
            let counts = file.read(buffer).map(parse_errors);
            let counts = match counts {
                Ok(Some(counts)) => counts,
                Ok(None) => {
                    out.failure(malformed(
                        file.path(),
                        None,
                        "`ue: N` and `ce: N`",
                        "neither",
                    ));
                    continue;
                }
                Err(error) => {
                    told(optional::<()>(Err(error)), out);
                    continue;
                }
            };
            for (error, count) in ["uncorrected", "corrected"].into_iter().zip(counts) {
                let labels = [&*self.address, error, "volatile", block];
                out.sample(ECC_ERRORS, &labels, Value::U64(count));
            }
        }
    }

    fn write_link(&mut self, buffer: &mut ReadBuffer, out: &mut dyn SampleWriter) {
        let replays = self.replays.read_u64(buffer).map(Value::U64);
        put(PCIE_REPLAY, &[&self.address], replays, out);
    }
}

fn facts(root: &SysRoot, directory: &str, out: &mut dyn SampleWriter) -> Vec<(usize, String)> {
    let mut read = |file: &str| {
        let word = root.read_optional_trimmed(&format!("{directory}/{file}"));
        told(word, out)
    };
    let model = read("product_name").or_else(|| read("device"));
    [
        (0, Some("AMD".to_owned())),
        (1, model),
        (2, read("vbios_version")),
        (3, read("product_number")),
    ]
    .into_iter()
    .filter_map(|(place, value)| Some((place, value?)))
    .collect()
}

/// The blocks that count errors: `ras/umc_err_count` is that of the memory.
fn blocks(root: &SysRoot, directory: &str, out: &mut dyn SampleWriter) -> Vec<(String, KeptFile)> {
    let ras = format!("{directory}/ras");
    let names = told(optional(root.list(&ras)), out).unwrap_or_default();
    names
        .iter()
        .filter_map(|name| {
            let block = name.strip_suffix("_err_count")?;
            let place = if block == "umc" { "dram" } else { block };
            let file = KeptFile::attribute(root, &format!("{ras}/{name}"));
            (!place.is_empty()).then(|| (place.to_owned(), file))
        })
        .take(MOST_BLOCKS)
        .collect()
}

/// What was read, or the failure told.
fn told<T>(read: Result<Option<T>, CollectError>, out: &mut dyn SampleWriter) -> Option<T> {
    match read {
        Ok(value) => value,
        Err(error) => {
            out.failure(error);
            None
        }
    }
}

/// A value, nothing where there is no such file, or its absence with the failure.
fn put(
    metric: &'static MetricDefinition,
    labels: &[&str],
    value: Result<Value, CollectError>,
    out: &mut dyn SampleWriter,
) {
    match optional(value) {
        Ok(Some(value)) => out.sample(metric, labels, value),
        Ok(None) => {}
        Err(error) => {
            out.absent(metric, labels, error.reason);
            out.failure(error);
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Levels {
    /// The level that is chosen, in MHz.
    now: Option<u32>,
    /// The highest.
    most: u32,
}

fn read_levels(file: &mut KeptFile, buffer: &mut ReadBuffer) -> Result<Levels, CollectError> {
    let path = file.path().to_owned();
    let text = file.read(buffer)?;
    parse_levels(text).ok_or_else(|| malformed(&path, None, "levels like `1: 2100Mhz *`", text))
}

/// `0: 500Mhz` a line, the chosen one with `*`; a sleeping clock has a line `S: 19Mhz *` besides.
fn parse_levels(text: &str) -> Option<Levels> {
    let mut levels = Levels { now: None, most: 0 };
    for line in text.lines().take(MOST_LEVELS) {
        let (_, rest) = line.split_once(':')?;
        let mut words = rest.split_ascii_whitespace();
        let speed = words.next()?;
        let number = speed
            .get(..speed.len().checked_sub("Mhz".len())?)
            .filter(|_| speed.to_ascii_lowercase().ends_with("mhz"))?;
        let megahertz: u32 = number.parse().ok()?;
        levels.most = levels.most.max(megahertz);
        if words.next() == Some("*") {
            levels.now = Some(megahertz);
        }
    }
    (levels.most > 0).then_some(levels)
}

/// `ue: 0` and `ce: 0`, uncorrected first.
fn parse_errors(text: &str) -> Option<[u64; 2]> {
    let count = |kind: &str| {
        let mut lines = text.lines();
        lines.find_map(|line| line.strip_prefix(kind)?.trim().parse().ok())
    };
    Some([count("ue:")?, count("ce:")?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_of_a_clock() {
        assert_eq!(
            parse_levels("0: 500Mhz\n1: 1700Mhz *\n2: 2100Mhz\n"),
            Some(Levels {
                now: Some(1700),
                most: 2100
            })
        );
        // newer drivers, with a clock that sleeps
        assert_eq!(
            parse_levels("S: 19Mhz *\n0: 615MHz \n1: 800Mhz \n"),
            Some(Levels {
                now: Some(19),
                most: 800
            })
        );
        for bad in [
            "",
            "0: Mhz",
            "0: -5Mhz",
            "0: 5Ghz",
            "x",
            "0: 0Mhz *",
            "0: é",
        ] {
            assert_eq!(parse_levels(bad), None, "{bad}");
        }
    }

    #[test]
    fn counts_of_errors() {
        assert_eq!(parse_errors("ue: 1\nce: 22\n"), Some([1, 22]));
        assert_eq!(parse_errors("ue: 1\n"), None);
        assert_eq!(parse_errors("ue: x\nce: 1\n"), None);
    }
}
