//! What a snapshot shows, as a list: a new reading is a line.

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

/// One reading.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) metric: &'static str,
    pub(super) how: How,
    /// The one label that stays where series are folded; empty where all become one; `None` where none are folded.
    pub(super) fold: Option<&'static str>,
    /// Whether zero is no news.
    pub(super) quiet: bool,
}

impl Reading {
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

const fn latest(metric: &'static str) -> Reading {
    Reading {
        metric,
        how: How::Latest,
        fold: None,
        quiet: false,
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
    latest("hw.power"),
    rate("hw.energy"),
    latest("hw.temperature"),
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
