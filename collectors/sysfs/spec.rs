//! The description of a collector as plain data.

use std::path::Path;

use glasshouse_core::collector::{Collector, CollectorSpec, Presence};
use glasshouse_core::fact::FactDefinition;
use glasshouse_core::metric::MetricDefinition;
use glasshouse_core::options::{OptionDefinition, Options};
use glasshouse_core::time::Interval;
use glasshouse_core::worker::Worker;

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

/// A collector that runs in a worker.
#[derive(Debug)]
pub struct WorkerSpec {
    /// What it is besides.
    pub spec: Spec,
    /// Which worker.
    pub worker: Worker,
    /// Whether it is worth a worker, see [`CollectorSpec::look`].
    pub look: fn(&SysRoot, &Options) -> Presence,
}

impl CollectorSpec for WorkerSpec {
    fn name(&self) -> &'static str {
        self.spec.name
    }

    fn summary(&self) -> &'static str {
        self.spec.summary
    }

    fn metrics(&self) -> &'static [MetricDefinition] {
        self.spec.metrics
    }

    fn facts(&self) -> &'static [FactDefinition] {
        self.spec.facts
    }

    fn options(&self) -> &'static [OptionDefinition] {
        self.spec.options
    }

    fn default_interval(&self) -> Interval {
        self.spec.default_interval()
    }

    fn needs(&self) -> &'static str {
        self.spec.needs
    }

    fn worker(&self) -> Option<Worker> {
        Some(self.worker)
    }

    fn look(&self, root: &Path, options: &Options) -> Presence {
        (self.look)(&SysRoot::new(root), options)
    }

    fn build(&self, root: &Path, options: &Options) -> Box<dyn Collector> {
        self.spec.build(root, options)
    }
}
