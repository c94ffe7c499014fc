//! The inventory as it is being learnt, and when it is written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use glasshouse_core::fact::Fact;
use glasshouse_core::identity::NodeId;
use glasshouse_core::reader::{
    CollectorState, CollectorStatus, Inventory, InventoryReader, LinkStatus,
};
use glasshouse_core::text::Untrusted;
use glasshouse_core::time::Timestamp;
use glasshouse_store::inventory::{InventoryFile, write, write_without_sync};

use crate::health::Health;
use crate::own::OWN_COLLECTOR;

/// Facts of the inventory before the start are kept this long: the probe repeats its facts within a minute.
const KEEP_EARLIER: Duration = Duration::from_secs(90);

/// The most facts of all collectors; 5,000 of a large machine, and room.
const MOST_FACTS: usize = 16 * 1024;

/// What the node knows of itself.
#[derive(Debug)]
pub(crate) struct Sheet {
    /// As it was written, or will be: put together again only where its parts have changed.
    inventory: Inventory,
    facts: BTreeMap<String, Vec<Fact>>,
    /// From before the start, until they must have come again.
    earlier: Vec<Fact>,
    started: Instant,
    /// What the probe says of its collectors.
    statuses: Vec<CollectorStatus>,
    /// What the node says of itself.
    own: Option<CollectorStatus>,
    /// The facts in `inventory` are not those of `facts` and `earlier`.
    outdated: bool,
    /// Something is to be written soon.
    changed: bool,
    /// Something is to be written that must outlive power loss: facts, and which collectors work.
    unsynced: bool,
    written: Option<Instant>,
    writes: Health,
}

impl Sheet {
    /// Begins with what the file in `dir` says, if it is this node's.
    pub(crate) fn load(dir: &Path, node: NodeId, host_name: Untrusted) -> Self {
        let earlier = InventoryFile::new(dir).inventory().ok();
        let earlier = earlier.filter(|inventory| inventory.node == node);
        let (facts, mut statuses) = earlier.map_or_else(Default::default, |inventory| {
            (inventory.facts.clone(), inventory.collectors.clone())
        });
        statuses.retain(is_probes);
        Self {
            inventory: Inventory {
                node,
                host_name,
                written: Timestamp::default(),
                facts: Vec::new(),
                collectors: Vec::new(),
                link: LinkStatus::default(),
            },
            facts: BTreeMap::new(),
            earlier: facts,
            started: Instant::now(),
            statuses,
            own: None,
            outdated: true,
            changed: true,
            unsynced: true,
            written: None,
            writes: Health::new("The inventory can be written"),
        }
    }

    /// The link has changed.
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
            self.facts.insert(collector, facts);
            self.outdated = true;
            self.changed = true;
            self.unsynced = true;
        }
    }

    /// All statuses. Collectors that no longer run take their facts with them.
    pub(crate) fn statuses(&mut self, mut statuses: Vec<CollectorStatus>) {
        statuses.retain(is_probes);
        statuses.sort_by(|a, b| a.name.cmp(&b.name));
        let essence = |statuses: &[CollectorStatus]| -> Vec<(String, CollectorState)> {
            let pairs = statuses.iter();
            pairs
                .map(|status| (status.name.clone(), status.state))
                .collect()
        };
        if essence(&self.statuses) != essence(&statuses) {
            self.changed = true;
            self.unsynced = true;
        }
        let before = self.facts.len();
        self.facts.retain(|name, _| {
            let known = statuses.iter().find(|status| status.name == *name);
            known.is_some_and(|status| status.state != CollectorState::Disabled)
        });
        self.outdated |= self.facts.len() != before;
        self.statuses = statuses;
    }

    /// What the probe says of its collectors.
    pub(crate) fn of_the_probe(&self) -> &[CollectorStatus] {
        &self.statuses
    }

    /// What the node says of itself.
    pub(crate) fn own(&mut self, own: CollectorStatus) {
        let before = self.own.as_ref().map(|before| before.state);
        self.changed |= before != Some(own.state);
        self.own = Some(own);
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

    /// Writes the inventory; waits for the disk only where that says something lasting.
    pub(crate) fn write(&mut self, dir: &Path, link: LinkStatus, now: Timestamp) {
        if !self.earlier.is_empty() && self.started.elapsed() > KEEP_EARLIER {
            self.earlier = Vec::new();
            self.outdated = true;
            self.unsynced = true;
        }
        if std::mem::take(&mut self.outdated) {
            self.inventory.facts = self.all_facts();
        }
        self.inventory.written = now;
        self.inventory.link = link;
        self.inventory.collectors.clone_from(&self.statuses);
        self.inventory.collectors.extend(self.own.clone());
        self.inventory
            .collectors
            .sort_by(|a, b| a.name.cmp(&b.name));
        self.written = Some(Instant::now());
        self.changed = false;
        let write = if self.unsynced {
            write
        } else {
            write_without_sync
        };
        if self.writes.told(write(dir, &self.inventory)).is_some() {
            self.unsynced = false;
        }
    }

    /// The facts of all collectors, sorted.
    fn all_facts(&self) -> Vec<Fact> {
        let mut facts: Vec<Fact> = self.facts.values().flatten().cloned().collect();
        facts.sort();
        // what came again stands in place of what was known before
        let known: BTreeSet<_> = facts
            .iter()
            .map(|fact| (&fact.component, &fact.key))
            .collect();
        let is_new = |fact: &&Fact| !known.contains(&(&fact.component, &fact.key));
        let earlier: Vec<Fact> = self.earlier.iter().filter(is_new).cloned().collect();
        facts.extend(earlier);
        facts.sort();
        // two collectors may say the same of one part
        facts.dedup();
        facts
    }
}

/// Whether the probe may say this: it does not speak for the node.
fn is_probes(status: &CollectorStatus) -> bool {
    status.name != OWN_COLLECTOR
}

#[cfg(test)]
#[path = "inventory_tests.rs"]
mod tests;
