//! The inventory as it is being learnt, and when it is written.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use glasshouse_core::fact::Fact;
use glasshouse_core::identity::NodeId;
use glasshouse_core::reader::{
    CollectorState, CollectorStatus, Inventory, InventoryReader, LinkStatus,
};
use glasshouse_core::text::Untrusted;
use glasshouse_core::time::Timestamp;
use glasshouse_store::inventory::InventoryFile;

use crate::health::Health;

/// Facts of the inventory before the start are kept this long: the probe repeats its facts within a minute.
const KEEP_EARLIER: Duration = Duration::from_secs(90);

/// The most facts of all collectors; 5,000 of a large machine, and room.
const MOST_FACTS: usize = 16 * 1024;

/// What the node knows of itself.
#[derive(Debug)]
pub(crate) struct Sheet {
    node: NodeId,
    host_name: Untrusted,
    facts: BTreeMap<String, Vec<Fact>>,
    /// From before the start, until they must have come again.
    earlier: Vec<Fact>,
    started: Instant,
    statuses: Vec<CollectorStatus>,
    changed: bool,
    written: Option<Instant>,
    writes: Health,
}

impl Sheet {
    /// Begins with what the file in `dir` says, if it is this node's.
    pub(crate) fn load(dir: &Path, node: NodeId, host_name: Untrusted) -> Self {
        let earlier = InventoryFile::new(dir).inventory().ok();
        let earlier = earlier.filter(|inventory| inventory.node == node);
        let (facts, statuses) = earlier.map_or_else(Default::default, |inventory| {
            (inventory.facts.clone(), inventory.collectors.clone())
        });
        Self {
            node,
            host_name,
            facts: BTreeMap::new(),
            earlier: facts,
            started: Instant::now(),
            statuses,
            changed: true,
            written: None,
            writes: Health::new("The inventory can be written"),
        }
    }

    /// Something that stands in the inventory has changed.
    pub(crate) const fn touch(&mut self) {
        self.changed = true;
    }

    /// All facts of one collector.
    pub(crate) fn facts(&mut self, collector: String, facts: Vec<Fact>) {
        let others = self.facts.iter().filter(|(name, _)| **name != collector);
        let others: usize = others.map(|(_, facts)| facts.len()).sum();
        if others.saturating_add(facts.len()) > MOST_FACTS {
            return;
        }
        if self.facts.get(&collector) != Some(&facts) {
            self.changed = true;
            self.facts.insert(collector, facts);
        }
    }

    /// All statuses. Collectors that no longer run take their facts with them.
    pub(crate) fn statuses(&mut self, mut statuses: Vec<CollectorStatus>) {
        statuses.sort_by(|a, b| a.name.cmp(&b.name));
        let essence = |statuses: &[CollectorStatus]| -> Vec<(String, CollectorState)> {
            let pairs = statuses.iter();
            pairs
                .map(|status| (status.name.clone(), status.state))
                .collect()
        };
        self.changed |= essence(&self.statuses) != essence(&statuses);
        self.facts.retain(|name, _| {
            let known = statuses.iter().find(|status| status.name == *name);
            known.is_some_and(|status| status.state != CollectorState::Disabled)
        });
        self.statuses = statuses;
    }

    /// Writes the inventory where it has changed, or where that was `at_least` ago.
    pub(crate) fn write_due(
        &mut self,
        dir: &Path,
        link: LinkStatus,
        now: Timestamp,
        at_least: Duration,
    ) {
        let is_old = self
            .written
            .is_none_or(|written| written.elapsed() >= at_least);
        if self.changed || is_old {
            self.write(dir, link, now);
        }
    }

    /// Writes the inventory.
    pub(crate) fn write(&mut self, dir: &Path, link: LinkStatus, now: Timestamp) {
        let inventory = self.inventory(link, now);
        self.written = Some(Instant::now());
        self.changed = false;
        self.writes
            .told(glasshouse_store::inventory::write(dir, &inventory));
    }

    fn inventory(&mut self, link: LinkStatus, now: Timestamp) -> Inventory {
        if self.started.elapsed() > KEEP_EARLIER {
            self.earlier = Vec::new();
        }
        let mut facts: Vec<Fact> = self.facts.values().flatten().cloned().collect();
        facts.sort();
        // what came again stands in place of what was known before
        let is_new = |fact: &&Fact| {
            !facts
                .iter()
                .any(|known| (&known.component, &known.key) == (&fact.component, &fact.key))
        };
        let earlier: Vec<Fact> = self.earlier.iter().filter(is_new).cloned().collect();
        facts.extend(earlier);
        facts.sort();
        // two collectors may say the same of one part
        facts.dedup();
        Inventory {
            node: self.node,
            host_name: self.host_name.clone(),
            written: now,
            facts,
            collectors: self.statuses.clone(),
            link,
        }
    }
}

#[cfg(test)]
#[path = "inventory_tests.rs"]
mod tests;
