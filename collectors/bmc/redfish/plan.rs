//! What to read next: every resource that was found, and when it is due.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::harvest::Follow;
use super::kind::{Kind, Periods, Tier};
use super::path::ResourcePath;

/// The most resources of one BMC: a rack-scale node serves about two thousand of the kinds that are read.
const MOST_RESOURCES: usize = 8192;

/// The most links from the root to a resource; the deepest real one is eight away.
const MOST_DEPTH: u8 = 12;

/// The longest that a resource which fails is left alone, in its periods.
const MOST_BACKOFF: u32 = 16;

/// The part of a period by which a resource is due before it is over: runs come late as well as early.
const SLACK: u32 = 10;

/// Parts in ten of the budget that readings may take; the rest is for logs, health and inventory.
const SHARE_OF_READINGS: u32 = 7;

/// A resource to read.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) path: ResourcePath,
    pub(crate) kind: Kind,
    /// The id of the part that it belongs to.
    pub(crate) parent: Arc<str>,
    /// Whether its members may be asked for along with it: not after that failed or was ignored.
    pub(crate) may_expand: bool,
    found_by: Option<ResourcePath>,
    depth: u8,
    due: Instant,
    /// Whether it was tried at least once.
    visited: bool,
    failures: u32,
    /// It comes along with its collection.
    comes_along: bool,
    /// It brings its members along and is read as often as they.
    brings_members: bool,
    /// It led to other resources when it was read last.
    led_on: bool,
}

/// All resources of one BMC.
#[derive(Debug)]
pub(crate) struct Plan {
    items: BTreeMap<ResourcePath, Item>,
    periods: Periods,
    budget: Share,
    /// The time that reading all that moves takes within the budget; kept, because each choice asks for it.
    stretched: Duration,
    /// When the round began that is under way.
    began: Instant,
}

/// A budget: so many requests in so much time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    /// How many.
    pub(crate) requests: u32,
    /// In a minute, but for tests.
    pub(crate) minute: Duration,
}

impl Plan {
    /// The root alone.
    pub(crate) fn new(bmc: &str, periods: Periods, budget: Share, now: Instant) -> Self {
        let root = Item {
            path: ResourcePath::root(),
            kind: Kind::Root,
            parent: bmc.into(),
            may_expand: false,
            found_by: None,
            depth: 0,
            due: now,
            visited: false,
            failures: 0,
            comes_along: false,
            brings_members: false,
            led_on: false,
        };
        Self {
            items: BTreeMap::from([(root.path.clone(), root)]),
            periods,
            budget,
            stretched: Duration::ZERO,
            began: now,
        }
    }

    /// A round begins: what is read in it is due again one period from here.
    pub(crate) const fn begin(&mut self, now: Instant) {
        self.began = now;
    }

    /// The resource that is most overdue and was not tried yet: first what leads on and was never read, then by how
    /// many of its periods it is late.
    pub(crate) fn next(&self, now: Instant, tried: &BTreeSet<ResourcePath>) -> Option<Item> {
        let due = |item: &&Item| item.due <= now && !tried.contains(&item.path);
        let new = self
            .items
            .values()
            .filter(due)
            .filter(|item| !item.visited && item.kind.leads_on())
            .min_by_key(|item| (item.depth, item.kind));
        new.or_else(|| {
            let late = |item: &&Item| {
                let late = now.saturating_duration_since(item.due) + Duration::from_secs(1);
                // thousandths, so that they can be compared
                late.as_millis() * 1000 / self.period(item).as_millis().max(1)
            };
            self.items.values().filter(due).max_by_key(late)
        })
        .cloned()
    }

    /// How often a resource is read as things are.
    pub(crate) fn period(&self, item: &Item) -> Duration {
        match self.tier(item) {
            Tier::Readings => self.readings_period(),
            tier => self.periods.of(tier),
        }
    }

    fn tier(&self, item: &Item) -> Tier {
        if item.brings_members
            && let Some(member) = item.kind.member()
        {
            return member.tier();
        }
        // of a processor, a module, a drive: many, and slow to move
        let of_a_part = item.kind == Kind::EnvironmentMetrics && item.path.segments().count() > 3;
        if of_a_part {
            Tier::Health
        } else {
            item.kind.tier()
        }
    }

    /// How often what moves is read as things are.
    pub(crate) fn readings_period(&self) -> Duration {
        self.periods.readings.max(self.stretched)
    }

    fn stretch(&mut self) {
        let moving = self
            .items
            .values()
            .filter(|item| !item.comes_along && self.tier(item) == Tier::Readings)
            .count();
        let moving = u32::try_from(moving).unwrap_or(u32::MAX);
        let all = self.budget.minute.saturating_mul(moving);
        self.stretched = all * 10 / self.budget.requests.max(1) / SHARE_OF_READINGS;
    }

    /// Resources were read, and with them what came along. Takes what each led to; gives what they no longer lead to,
    /// and what was below that. All of one answer at once: the plan is looked through once, not for each of its members.
    pub(crate) fn read(
        &mut self,
        read: &[(&ResourcePath, &[Follow])],
        now: Instant,
    ) -> Vec<ResourcePath> {
        let leading: BTreeMap<&ResourcePath, BTreeSet<&ResourcePath>> = read
            .iter()
            .filter(|(path, follow)| self.read_one(path, follow, now))
            .map(|(path, follow)| {
                let found = follow.iter().map(|follow| &follow.path).collect();
                (*path, found)
            })
            .collect();
        if leading.is_empty() {
            return Vec::new();
        }
        let lost: Vec<ResourcePath> = self
            .items
            .values()
            .filter(|item| {
                let by = item.found_by.as_ref().and_then(|by| leading.get(by));
                by.is_some_and(|found| !found.contains(&item.path))
            })
            .map(|item| item.path.clone())
            .collect();
        let removed = self.remove(lost);
        self.stretch();
        removed
    }

    /// Takes what one resource led to; says whether it leads to any, or did.
    fn read_one(&mut self, path: &ResourcePath, follow: &[Follow], now: Instant) -> bool {
        let brings = follow.iter().any(|follow| follow.inline.is_some());
        let Some(item) = self.items.get_mut(path) else {
            return false;
        };
        item.visited = true;
        item.failures = 0;
        item.brings_members = brings;
        let led_on = std::mem::replace(&mut item.led_on, !follow.is_empty());
        let (depth, once) = (item.depth, item.kind.tier() == Tier::Once);
        let item = item.clone();
        // counted from the start of the round and a little less, or what was read late in it would miss the next
        let period = self.period(&item);
        let due = (self.began + period - period / SLACK).max(now);
        if once {
            self.items.remove(path);
        } else if let Some(item) = self.items.get_mut(path) {
            item.due = due;
        }
        for follow in follow {
            self.found(path, follow, depth, now, due);
        }
        !follow.is_empty() || led_on
    }

    fn found(&mut self, by: &ResourcePath, follow: &Follow, depth: u8, now: Instant, due: Instant) {
        let comes_along = follow.inline.is_some();
        if let Some(item) = self.items.get_mut(&follow.path) {
            // what came along need not be read; if it stops coming it is due one period later
            if item.found_by.as_ref() == Some(by) || comes_along {
                item.comes_along = comes_along;
                if comes_along {
                    item.visited = true;
                    item.due = due + due.saturating_duration_since(now);
                }
            }
            return;
        }
        if self.items.len() >= MOST_RESOURCES || depth >= MOST_DEPTH {
            return;
        }
        let item = Item {
            path: follow.path.clone(),
            kind: follow.kind,
            parent: Arc::clone(&follow.parent),
            may_expand: follow.kind.expands(),
            found_by: Some(by.clone()),
            depth: depth + 1,
            due: if comes_along {
                due + due.saturating_duration_since(now)
            } else {
                now
            },
            visited: comes_along,
            failures: 0,
            comes_along,
            brings_members: false,
            led_on: false,
        };
        self.items.insert(follow.path.clone(), item);
    }

    /// Removes resources and all that was found by them.
    fn remove(&mut self, mut lost: Vec<ResourcePath>) -> Vec<ResourcePath> {
        let mut removed = Vec::new();
        if lost.is_empty() {
            return removed;
        }
        let mut below: BTreeMap<ResourcePath, Vec<ResourcePath>> = BTreeMap::new();
        for item in self.items.values() {
            if let Some(by) = &item.found_by {
                below.entry(by.clone()).or_default().push(item.path.clone());
            }
        }
        while let Some(path) = lost.pop() {
            if self.items.remove(&path).is_some() {
                lost.extend(below.remove(&path).unwrap_or_default());
                removed.push(path);
            }
        }
        removed
    }

    /// A resource could not be read, by its own fault: it waits for longer each time.
    pub(crate) fn failed(&mut self, path: &ResourcePath, now: Instant) {
        let Some(item) = self.items.get(path) else {
            return;
        };
        let factor = 1 << item.failures.min(MOST_BACKOFF.ilog2());
        let due = now + self.period(item) * factor;
        if let Some(item) = self.items.get_mut(path) {
            item.visited = true;
            item.failures += 1;
            item.due = due;
        }
    }

    /// Its members do not come along, or asking for them fails.
    pub(crate) fn does_not_expand(&mut self, path: &ResourcePath) {
        if let Some(item) = self.items.get_mut(path) {
            item.may_expand = false;
            item.brings_members = false;
        }
    }

    /// Whether a resource of this kind is known here.
    pub(crate) fn knows(&self, path: &ResourcePath, kind: Kind) -> bool {
        self.items.get(path).is_some_and(|item| item.kind == kind)
    }

    /// Whether all that may replace what older schemas say was tried.
    pub(crate) fn is_settled(&self) -> bool {
        let pending = |item: &Item| !item.visited && item.kind.replaces_older();
        !self.items.values().any(pending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIODS: Periods = Periods {
        readings: Duration::from_secs(15),
        logs: Duration::from_mins(1),
        health: Duration::from_mins(5),
        inventory: Duration::from_hours(1),
    };

    const BUDGET: Share = Share {
        requests: 60,
        minute: Duration::from_mins(1),
    };

    fn follow(path: &str, kind: Kind) -> Follow {
        Follow {
            path: ResourcePath::parse(path).unwrap(),
            kind,
            parent: "r1".into(),
            inline: None,
        }
    }

    #[test]
    fn a_cycle_of_links_ends() {
        let now = Instant::now();
        let mut plan = Plan::new("r1", PERIODS, BUDGET, now);
        let mut tried = BTreeSet::new();
        let mut visits = 0;
        while let Some(item) = plan.next(now, &tried) {
            visits += 1;
            assert!(visits < 100);
            tried.insert(item.path.clone());
            let links = [
                follow("/redfish/v1/Chassis", Kind::ChassisCollection),
                follow("/redfish/v1", Kind::Chassis),
                follow("/redfish/v1/Chassis/1", Kind::Chassis),
            ];
            plan.read(&[(&item.path, &links)], now);
        }
        assert_eq!((visits, plan.items.len()), (3, 3));
    }

    #[test]
    fn readings_stretch_when_the_budget_is_small_and_leave_room_for_the_rest() {
        let now = Instant::now();
        let mut plan = Plan::new("r1", PERIODS, BUDGET, now);
        let mut links: Vec<Follow> = (0..230)
            .map(|n| follow(&format!("/redfish/v1/Chassis/1/Sensors/{n}"), Kind::Sensor))
            .collect();
        links.extend(
            (0..100).map(|n| follow(&format!("/redfish/v1/Systems/1/Memory/{n}"), Kind::Memory)),
        );
        plan.read(&[(&ResourcePath::root(), &links)], now);
        let mut counts: BTreeMap<ResourcePath, usize> = BTreeMap::new();
        // one request a second for an hour
        for second in 1..3600 {
            let now = now + Duration::from_secs(second);
            plan.begin(now);
            if let Some(item) = plan.next(now, &BTreeSet::new()) {
                *counts.entry(item.path.clone()).or_default() += 1;
                let follow = if item.kind == Kind::Root {
                    &links[..]
                } else {
                    &[]
                };
                plan.read(&[(&item.path, follow)], now);
            }
        }
        let of = |word: &str| -> Vec<usize> {
            counts
                .iter()
                .filter(|(path, _)| path.as_str().contains(word))
                .map(|(_, n)| *n)
                .collect()
        };
        let (sensors, modules) = (of("Sensors"), of("Memory"));
        assert_eq!((sensors.len(), modules.len()), (230, 100));
        assert!(sensors.iter().min() >= Some(&8), "{sensors:?}");
        assert!(modules.iter().min() >= Some(&5), "{modules:?}");
    }

    #[test]
    fn members_that_come_along_are_taken_at_once_as_one_after_another() {
        let now = Instant::now();
        let mut links: Vec<Follow> = (0..10_000)
            .map(|n| follow(&format!("/redfish/v1/Chassis/{n}"), Kind::Chassis))
            .collect();
        links
            .iter_mut()
            .for_each(|link| link.inline = Some(serde_json::json!({})));
        let below: Vec<[Follow; 1]> = links
            .iter()
            .map(|link| {
                [follow(
                    &format!("{}/Thermal", link.path.as_str()),
                    Kind::Thermal,
                )]
            })
            .collect();
        let root = ResourcePath::root();
        let few = 50;
        let mut reads: Vec<(&ResourcePath, &[Follow])> = vec![(&root, &links[..few])];
        for (link, below) in links.iter().zip(&below).take(few) {
            reads.push((&link.path, below));
        }
        let mut at_once = Plan::new("r1", PERIODS, BUDGET, now);
        at_once.read(&reads, now);
        let mut one_by_one = Plan::new("r1", PERIODS, BUDGET, now);
        for read in &reads {
            one_by_one.read(&[*read], now);
        }
        let paths = |plan: &Plan| plan.items.keys().cloned().collect::<Vec<_>>();
        assert_eq!(paths(&at_once), paths(&one_by_one));
        assert_eq!(at_once.stretched, one_by_one.stretched);
        assert_eq!(at_once.items.len(), 2 * few + 1);
        // the largest answer: minutes, were the plan looked through for each member
        let mut reads: Vec<(&ResourcePath, &[Follow])> = vec![(&root, &links)];
        for (link, below) in links.iter().zip(&below) {
            reads.push((&link.path, below));
        }
        at_once.read(&reads, now);
        assert_eq!(at_once.items.len(), MOST_RESOURCES);
        assert_eq!(at_once.read(&[(&root, &[])], now).len(), MOST_RESOURCES - 1);
    }

    #[test]
    fn what_is_no_longer_linked_is_gone_with_all_below_it() {
        let now = Instant::now();
        let mut plan = Plan::new("r1", PERIODS, BUDGET, now);
        let chassis = follow("/redfish/v1/Chassis/1", Kind::Chassis);
        plan.read(&[(&ResourcePath::root(), &[chassis])], now);
        let fan = follow("/redfish/v1/Chassis/1/Thermal", Kind::Thermal);
        let path = ResourcePath::parse("/redfish/v1/Chassis/1").unwrap();
        plan.read(&[(&path, &[fan])], now);
        assert_eq!(plan.items.len(), 3);
        assert_eq!(plan.read(&[(&ResourcePath::root(), &[])], now).len(), 2);
        assert_eq!(plan.items.len(), 1);
    }
}
