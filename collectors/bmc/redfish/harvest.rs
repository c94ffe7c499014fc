//! What one document gave.

use std::sync::Arc;

use glasshouse_core::condition::Condition;
use glasshouse_core::fact::FactDefinition;
use glasshouse_core::failure::FailureReason;
use glasshouse_core::metric::MetricDefinition;
use glasshouse_core::sample::Value;
use serde_json::Value as Json;

use super::document::cut;
use super::kind::Kind;
use super::path::ResourcePath;

/// Readings that are taken of one document: what the recorder takes of the whole collector.
pub(crate) const MOST_READINGS: usize = 8192;

/// Facts that are taken of one document.
const MOST_FACTS: usize = 2048;

/// Where a document stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'p> {
    /// The configured name of the BMC.
    pub(crate) bmc: &'p str,
    /// Its path.
    pub(crate) path: &'p ResourcePath,
    /// The id of the part that it belongs to.
    pub(crate) parent: &'p str,
}

impl Place<'_> {
    /// The id of the part that the document describes: `<bmc>/Chassis/1/Sensors/7`.
    pub(crate) fn id(&self) -> String {
        part_id(self.bmc, self.path)
    }

    /// The id of an entry of the document: `<bmc>/Chassis/1/Thermal#/Fans/0`.
    pub(crate) fn entry_id(&self, list: &str, place: usize) -> String {
        format!("{}#/{list}/{place}", self.id())
    }

    /// The chassis or system that the document belongs to: the first two words of its path.
    pub(crate) fn enclosure(&self) -> String {
        self.path
            .segments()
            .take(2)
            .collect::<Vec<&str>>()
            .join("/")
    }
}

/// The id of a part by its path.
pub(crate) fn part_id(bmc: &str, path: &ResourcePath) -> String {
    match path.below_root() {
        "" => bmc.to_owned(),
        below => format!("{bmc}/{below}"),
    }
}

/// One value of one series.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    /// What it means; an entry of the collector's list.
    pub(crate) metric: &'static MetricDefinition,
    /// Values of the labels.
    pub(crate) labels: Box<[Box<str>]>,
    /// The value, or why there is none.
    pub(crate) value: Result<Value, FailureReason>,
    /// What else may say the same.
    pub(crate) twin: Twin,
}

/// The older schemas say again what the newer ones say; which of both a reading is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Twin {
    /// Nothing else says it.
    None,
    /// Wanted only where no resource [`Harvest::replaces`] one of these keys.
    Second(Box<[Arc<str>]>),
}

/// A resource that the document leads to.
#[derive(Debug)]
pub(crate) struct Follow {
    /// Where it lies.
    pub(crate) path: ResourcePath,
    /// What it should be.
    pub(crate) kind: Kind,
    /// The id of the part that it belongs to.
    pub(crate) parent: Arc<str>,
    /// The resource itself, where it came along.
    pub(crate) inline: Option<Json>,
}

/// A claim on the power of the whole machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct WallPower {
    /// How much it is to be believed; less is better.
    pub(crate) rank: u8,
    /// Watts.
    pub(crate) watts: f64,
}

/// Everything that one document gave.
#[derive(Debug, Default)]
pub(crate) struct Harvest {
    /// Values.
    pub(crate) readings: Vec<Reading>,
    /// Facts: definition, component, value.
    pub(crate) facts: Vec<(&'static FactDefinition, String, String)>,
    /// Resources to read.
    pub(crate) follow: Vec<Follow>,
    /// What is wrong.
    pub(crate) conditions: Vec<Condition>,
    /// Claims on the power of the machine.
    pub(crate) wall: Vec<WallPower>,
    /// Input watts of power supplies, by id.
    pub(crate) supplies: Vec<(String, f64)>,
    /// Whether this resource replaces what older schemas say of the same: keys as of [`Twin`].
    pub(crate) replaces: Vec<Arc<str>>,
    /// Whether it is the chassis that holds the machine: its power is the machine's.
    pub(crate) holds_machine: bool,
}

impl Harvest {
    /// A value of its own.
    pub(crate) fn sample(
        &mut self,
        metric: &'static MetricDefinition,
        labels: &[&str],
        value: Value,
    ) {
        self.push(metric, labels, Ok(value), Twin::None);
    }

    /// A value, or an absence, that something else may say too.
    pub(crate) fn push(
        &mut self,
        metric: &'static MetricDefinition,
        labels: &[&str],
        value: Result<Value, FailureReason>,
        twin: Twin,
    ) {
        if self.readings.len() >= MOST_READINGS {
            return;
        }
        self.readings.push(Reading {
            metric,
            labels: labels.iter().map(|label| cut(label).into()).collect(),
            value,
            twin,
        });
    }

    /// A fact, if there is something to say.
    pub(crate) fn fact(
        &mut self,
        fact: &'static FactDefinition,
        component: &str,
        value: Option<&str>,
    ) {
        if let Some(value) = value.map(str::trim).filter(|value| !value.is_empty()) {
            if self.facts.len() >= MOST_FACTS {
                return;
            }
            let value = super::scrub::scrub(cut(value));
            let component = super::scrub::scrub(cut(component));
            self.facts.push((fact, component, value));
        }
    }

    /// A resource to read.
    pub(crate) fn follow(&mut self, path: Option<ResourcePath>, kind: Kind, parent: &str) {
        if let Some(path) = path {
            self.follow.push(Follow {
                path,
                kind,
                parent: parent.into(),
                inline: None,
            });
        }
    }
}
