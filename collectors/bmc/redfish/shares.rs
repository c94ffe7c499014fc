//! What the recorder takes of one collector, shared among its BMCs: one that says too much costs itself alone.

use std::time::{Duration, Instant};

use glasshouse_core::collector::SampleWriter;

use super::service::Bmc;

/// Series that are taken of one collector (`MOST_SERIES` of the probe).
const SERIES: usize = 8192;

/// Series of each BMC that come from the collector itself: requests, their limit and duration, the period, the source of
/// events, the power of the machine.
const OWN_SERIES: usize = 16;

/// Bytes of labels that are taken of one collector, a sixteenth of them left for the collector's own.
const LABEL_BYTES: usize = (2 << 20) / 16 * 15;

/// Facts that are taken of one collector (`MOST_FACTS` of the wire).
const FACTS: usize = 2048;

/// Bytes of facts that are taken of one collector.
const FACT_BYTES: usize = 128 * 1024;

/// Log entries that are taken in one run.
const ENTRIES: usize = 4096;

/// Conditions that are taken in one run (`MOST_CONDITIONS` of the wire), one of them the probe's own.
const CONDITIONS: usize = 127;

/// Log entries that wait for their run, over all BMCs: 80 MB of the longest.
const WAITING: usize = 32_768;

/// The most that wait of one BMC.
const MOST_WAITING: usize = 8192;

/// The fewest that may wait of one BMC: more than it is asked for at one look.
const LEAST_WAITING: usize = 512;

/// What one BMC may say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quota {
    /// Series, the collector's own not among them.
    pub(crate) series: usize,
    /// Bytes of their labels.
    pub(crate) label_bytes: usize,
    /// Facts.
    pub(crate) facts: usize,
    /// Bytes of them, as the recorder counts: three texts, each with two bytes of length.
    pub(crate) fact_bytes: usize,
    /// Log entries that wait.
    pub(crate) waiting: usize,
}

impl Quota {
    /// One of so many.
    pub(crate) fn one_of(bmcs: usize) -> Self {
        let bmcs = bmcs.max(1);
        Self {
            series: (SERIES / bmcs).saturating_sub(OWN_SERIES),
            label_bytes: LABEL_BYTES / bmcs,
            facts: FACTS / bmcs,
            fact_bytes: FACT_BYTES / bmcs,
            waiting: (WAITING / bmcs).clamp(LEAST_WAITING, MOST_WAITING),
        }
    }
}

impl Default for Quota {
    fn default() -> Self {
        Self::one_of(1)
    }
}

/// What each gets of `room` that wants so much: all of it, or as much as the others that do not get all.
pub(crate) fn fair(room: usize, wants: &[usize]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..wants.len()).collect();
    order.sort_by_key(|place| wants.get(*place).copied());
    let mut given = vec![0; wants.len()];
    let (mut room, mut left) = (room, wants.len());
    // the most modest first: what they leave is for the others
    for place in order {
        let wanted = wants.get(place).copied().unwrap_or(0);
        let gets = wanted.min(room / left.max(1));
        if let Some(slot) = given.get_mut(place) {
            *slot = gets;
        }
        room = room.saturating_sub(gets);
        left = left.saturating_sub(1);
    }
    given
}

/// Writes what all BMCs have to say, each its share.
pub(crate) fn write(bmcs: &[Bmc], out: &mut dyn SampleWriter, now: Instant, patience: Duration) {
    // before all else: that a BMC is silent must not depend on what another one says
    let mut stated = 0;
    for bmc in bmcs {
        stated += bmc.published().write_health(bmc.name(), out, now, patience);
    }
    let wants: Vec<usize> = bmcs.iter().map(|bmc| bmc.published().stated()).collect();
    let shares = fair(CONDITIONS.saturating_sub(stated), &wants);
    for (bmc, most) in bmcs.iter().zip(shares) {
        bmc.published().write_conditions(most, out);
    }
    let wants: Vec<usize> = bmcs.iter().map(|bmc| bmc.published().waiting()).collect();
    for (bmc, most) in bmcs.iter().zip(fair(ENTRIES, &wants)) {
        bmc.published().write_entries(most, out);
    }
    for bmc in bmcs {
        bmc.published().write(bmc.name(), out, now, patience);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn who_wants_little_gets_all_of_it() {
        assert_eq!(fair(100, &[1000, 3, 1000, 0]), [48, 3, 49, 0]);
        assert_eq!(fair(10, &[1, 2, 3]), [1, 2, 3]);
        assert_eq!(fair(10, &[]), Vec::<usize>::new());
        assert_eq!(fair(1, &[5, 5]).iter().sum::<usize>(), 1);
    }

    proptest! {
        #[test]
        fn nobody_gets_more_than_there_is(room in 0..500_usize, wants in proptest::collection::vec(0..300_usize, 0..70)) {
            let given = fair(room, &wants);
            prop_assert_eq!(given.iter().sum::<usize>(), room.min(wants.iter().sum()));
            let least = room / wants.len().max(1);
            for (gets, wanted) in given.iter().zip(&wants) {
                prop_assert!(gets <= wanted && *gets >= least.min(*wanted));
            }
        }
    }
}
