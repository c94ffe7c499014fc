//! The description of a collector as plain data.

use std::path::Path;

use glasshouse_core::collector::{Collector, CollectorSpec};
use glasshouse_core::fact::FactDefinition;
use glasshouse_core::metric::MetricDefinition;
use glasshouse_core::options::{OptionDefinition, Options};
use glasshouse_core::time::Interval;

use crate::root::SysRoot;

/// A collector over files, described by its fields; see [`CollectorSpec`] for what each says.
#[derive(Debug)]
pub struct Spec {
    /// Its name in config, labels and answers.
    pub name: &'static str,
    /// What it reads, one sentence.
    pub summary: &'static str,
    /// Every metric that it may write.
    pub metrics: &'static [MetricDefinition],
    /// Every fact that it may write.
    pub facts: &'static [FactDefinition],
    /// Its settings.
    pub options: &'static [OptionDefinition],
    /// How often it runs where nothing is configured, in seconds.
    pub interval_seconds: u64,
    /// What it needs beyond world-readable files.
    pub needs: &'static str,
    /// Makes the reader.
    pub build: fn(SysRoot, &Options) -> Box<dyn Collector>,
}

impl CollectorSpec for Spec {
    fn name(&self) -> &'static str {
        self.name
    }

    fn summary(&self) -> &'static str {
        self.summary
    }

    fn metrics(&self) -> &'static [MetricDefinition] {
        self.metrics
    }

    fn facts(&self) -> &'static [FactDefinition] {
        self.facts
    }

    fn options(&self) -> &'static [OptionDefinition] {
        self.options
    }

    fn default_interval(&self) -> Interval {
        Interval::from_seconds(self.interval_seconds)
    }

    fn needs(&self) -> &'static str {
        self.needs
    }

    fn build(&self, root: &Path, options: &Options) -> Box<dyn Collector> {
        (self.build)(SysRoot::new(root), options)
    }
}
