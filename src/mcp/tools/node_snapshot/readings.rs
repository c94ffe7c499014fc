//! What a snapshot shows, as a list: a new reading is a line.

use glasshouse_core::reader::SeriesInfo;
use glasshouse_core::text::Untrusted;
use glasshouse_core::wall_power::HOST_POWER;

/// How a reading is made from the samples of its metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// The newest sample; added up where series are folded.
    Latest,
    /// The mean of the newest samples of the folded series.
    LatestMean,
    /// Increase a second of a counter; added up where series are folded.
    Rate,
    /// The rate as a part of the sum of all rates of the metric.
    Share,
}

impl How {
    pub(super) const fn is_rate(self) -> bool {
        matches!(self, Self::Rate | Self::Share)
    }
}

/// Which series of a metric a reading takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All.
    All,
    /// Those of GPUs.
    Gpus,
    /// All but those of GPUs.
    Others,
    /// That of the most trusted source of wall power.
    Trusted,
}

/// One reading.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) metric: &'static str,
    pub(super) part: Part,
    pub(super) how: How,
    /// The one label that stays where series are folded; empty where all become one; `None` where none are folded.
    pub(super) fold: Option<&'static str>,
    /// Whether zero is no news.
    pub(super) quiet: bool,
    /// Whether the largest values stand first.
    pub(super) largest_first: bool,
}

impl Reading {
    /// Whether it takes a series of its metric. `trusted` says whether the series is the wall power to believe.
    pub(super) fn takes(&self, info: &SeriesInfo, trusted: bool) -> bool {
        match self.part {
            Part::All => true,
            Part::Gpus => is_of_a_gpu(info),
            Part::Others => !is_of_a_gpu(info),
            Part::Trusted => trusted,
        }
    }

    /// Whether nothing is said where there is none: most machines have no GPU.
    pub(super) fn is_optional(&self) -> bool {
        self.part == Part::Gpus || self.metric.starts_with("hw.gpu.")
    }

    /// The word for how it was made.
    pub(super) const fn aggregation(&self) -> &'static str {
        match (self.how, self.fold.is_some()) {
            (How::Latest, false) => "latest",
            (How::Latest, true) => "sum of latest",
            (How::LatestMean, _) => "mean of latest",
            (How::Rate, false) => "rate",
            (How::Rate, true) => "sum of rates",
            (How::Share, _) => "share of rates",
        }
    }
}

/// By its kind of part where it has that label, else by who reads it.
fn is_of_a_gpu(info: &SeriesInfo) -> bool {
    let kind = info.labels.get("hw.type").map(Untrusted::raw);
    kind.map_or_else(
        || info.collector.split('_').any(|word| word == GPU),
        |kind| kind == GPU,
    )
}

/// The kind of part, and the word in the names of collectors.
const GPU: &str = "gpu";

const fn latest(metric: &'static str) -> Reading {
    Reading {
        metric,
        part: Part::All,
        how: How::Latest,
        fold: None,
        quiet: false,
        largest_first: false,
    }
}

const fn part(reading: Reading, part: Part) -> Reading {
    Reading { part, ..reading }
}

const fn largest_first(reading: Reading) -> Reading {
    Reading {
        largest_first: true,
        ..reading
    }
}

const fn rate(metric: &'static str) -> Reading {
    Reading {
        how: How::Rate,
        ..latest(metric)
    }
}

const fn quiet(reading: Reading) -> Reading {
    Reading {
        quiet: true,
        ..reading
    }
}

const fn folded(reading: Reading, how: How, label: &'static str) -> Reading {
    Reading {
        how,
        fold: Some(label),
        ..reading
    }
}

/// Every reading, most important first: what does not fit is cut from the end.
pub(super) static READINGS: &[Reading] = &[
    latest("system.uptime"),
    folded(rate("system.cpu.time"), How::Share, "cpu.mode"),
    latest("system.cpu.logical.count"),
    latest("system.cpu.load_average.1m"),
    latest("system.cpu.load_average.5m"),
    latest("system.cpu.load_average.15m"),
    folded(latest("system.cpu.frequency"), How::LatestMean, ""),
    quiet(folded(
        rate("system.cpu.linux.throttle.count"),
        How::Rate,
        "",
    )),
    latest("system.process.linux.runnable"),
    quiet(latest("system.process.linux.blocked")),
    latest("system.memory.limit"),
    latest("system.memory.linux.available"),
    latest("system.memory.usage"),
    latest("system.paging.usage"),
    quiet(rate("system.paging.operations")),
    quiet(rate("system.memory.linux.oom_kills")),
    latest("system.linux.pressure.share"),
    part(latest(HOST_POWER), Part::Trusted),
    latest("hw.power"),
    rate("hw.energy"),
    latest("hw.gpu.utilization"),
    latest("hw.gpu.memory.utilization"),
    part(largest_first(latest("hw.temperature")), Part::Gpus),
    quiet(latest("hw.gpu.clock.reason")),
    part(largest_first(latest("hw.temperature")), Part::Others),
    latest("hw.fan.speed"),
    latest("system.filesystem.limit"),
    latest("system.filesystem.usage"),
    quiet(latest("system.filesystem.linux.read_only")),
    rate("system.disk.io"),
    rate("system.disk.io_time"),
    quiet(rate("system.disk.operations")),
    rate("system.network.io"),
    quiet(rate("system.network.errors")),
    quiet(rate("system.network.packet.dropped")),
    latest("hw.network.up"),
];
