//! Which of a BMC's claims is the power of the whole machine.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::harvest::{Harvest, WallPower};
use super::path::ResourcePath;

/// Added to the rank of a claim by a chassis that does not hold the machine.
const ELSEWHERE: u8 = 10;

/// Runs after which a supply that was not read again is left out, and with it the sum.
const RUNS_OF_A_SUPPLY: u32 = 3;

/// Claims of all resources.
#[derive(Debug, Default)]
pub(crate) struct Wall {
    claims: BTreeMap<ResourcePath, (WallPower, Instant)>,
    supplies: BTreeMap<String, (f64, Instant)>,
    machines: BTreeSet<String>,
}

impl Wall {
    /// The resource that the series counts as said by: the root's name is not that of any document with readings.
    pub(crate) fn place(root: &ResourcePath) -> ResourcePath {
        ResourcePath::parse(&format!("{}/Chassis/@wall", root.as_str()))
            .unwrap_or_else(|| root.clone())
    }

    /// Takes what a resource claims.
    pub(crate) fn take(&mut self, path: &ResourcePath, harvest: &Harvest, now: Instant) {
        if harvest.holds_machine {
            self.machines.insert(path.below_root().to_owned());
        }
        let best = harvest.wall.iter().min_by_key(|claim| claim.rank);
        match best {
            Some(claim) => {
                self.claims.insert(path.clone(), (*claim, now));
            }
            None => {
                self.claims.remove(path);
            }
        }
        for (id, watts) in &harvest.supplies {
            self.supplies.insert(id.clone(), (*watts, now));
        }
    }

    /// Watts of the best claim, if it was made since then; without any claim, the sum of the power supplies. Both are
    /// the word of the BMC: the sum that others make of the supplies that they see is another series.
    pub(crate) fn best(&self, since: Instant, period: Duration) -> Option<f64> {
        let rank = |path: &ResourcePath, claim: &WallPower| {
            let enclosure: Vec<&str> = path.segments().take(2).collect();
            let holds = self.machines.contains(&enclosure.join("/"));
            claim.rank + if holds { 0 } else { ELSEWHERE }
        };
        let claimed = self
            .claims
            .iter()
            .min_by_key(|(path, (claim, _))| rank(path, claim));
        if let Some((_, (claim, at))) = claimed {
            return (*at >= since).then_some(claim.watts);
        }
        self.sum(since, period)
    }

    /// The resource is gone, and what it claimed.
    pub(crate) fn lose(&mut self, path: &ResourcePath) {
        self.claims.remove(path);
        self.machines.remove(path.below_root());
        let below = format!("/{}", path.below_root());
        self.supplies.retain(|id, _| !id.contains(&below));
    }

    /// The input of all supplies, by the newer schema where both tell; nothing where one of them is not fresh.
    fn sum(&self, since: Instant, period: Duration) -> Option<f64> {
        let is_old_style = |id: &str| id.contains('#');
        let newer = self.supplies.keys().any(|id| !is_old_style(id));
        let counted = || {
            self.supplies
                .iter()
                .filter(|(id, _)| !newer || !is_old_style(id))
                .map(|(_, supply)| supply)
        };
        let is_fresh = |at: &Instant| *at + period * RUNS_OF_A_SUPPLY >= since;
        let fresh = counted().all(|(_, at)| is_fresh(at));
        let moved = counted().any(|(_, at)| *at >= since);
        (fresh && moved).then(|| counted().map(|(watts, _)| watts).sum())
    }
}
