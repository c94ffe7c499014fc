//! Exact quantiles of samples that come in the order of their files.

use std::collections::{BTreeMap, BTreeSet};

/// The samples of the steps of one series that are not over yet.
#[derive(Debug)]
pub(crate) struct Held {
    /// Which share of the samples is at most the quantile.
    share: f64,
    /// By step.
    steps: BTreeMap<usize, Vec<f64>>,
    /// Samples in all steps.
    count: usize,
    /// Steps that had too many samples.
    given_up: BTreeSet<usize>,
}

impl Held {
    pub(crate) const fn new(share: f64) -> Self {
        Self {
            share,
            steps: BTreeMap::new(),
            count: 0,
            given_up: BTreeSet::new(),
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn push(&mut self, step: usize, value: f64) {
        if !self.given_up.is_empty() && self.given_up.contains(&step) {
            return;
        }
        self.steps.entry(step).or_default().push(value);
        self.count += 1;
    }

    /// The quantiles of the steps before this one, whose samples are no longer held.
    pub(crate) fn take(&mut self, before: usize) -> Vec<(usize, f64)> {
        let open = self.steps.split_off(&before);
        let over = std::mem::replace(&mut self.steps, open);
        let mut quantiles = Vec::with_capacity(over.len());
        for (step, mut values) in over {
            self.count = self.count.saturating_sub(values.len());
            if let Some(value) = quantile(&mut values, self.share) {
                quantiles.push((step, value));
            }
        }
        quantiles
    }

    /// Lets go of all that is held; what still comes for these steps is not taken.
    pub(crate) fn give_up(&mut self) {
        let steps = std::mem::take(&mut self.steps);
        self.given_up.extend(steps.into_keys());
        self.count = 0;
    }
}

/// The quantile of some values: the one at `share * (n - 1)` of those that are sorted, between two of them in proportion.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a place in a list that fits memory"
)]
fn quantile(values: &mut [f64], share: f64) -> Option<f64> {
    let rank = share * (values.len().checked_sub(1)? as f64);
    let below = rank.floor();
    let (_, low, above) = values.select_nth_unstable_by(below as usize, f64::total_cmp);
    let part = rank - below;
    let high = above.iter().copied().min_by(f64::total_cmp);
    match high.filter(|_| part > 0.0) {
        // Two values of opposite signs near the largest float must not become infinite on the way.
        Some(high) => Some(*low * (1.0 - part) + high * part),
        None => Some(*low),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f64], share: f64) -> Option<f64> {
        quantile(&mut values.to_vec(), share)
    }

    #[test]
    fn quantiles_are_those_of_sorted_samples() {
        assert_eq!(of(&[], 0.5), None);
        assert_eq!(of(&[7.0], 0.99), Some(7.0));
        assert_eq!(of(&[3.0, 1.0], 0.5), Some(2.0));
        assert_eq!(of(&[4.0, 1.0, 3.0, 2.0], 0.5), Some(2.5));
        assert_eq!(of(&[5.0, 1.0, 3.0], 0.5), Some(3.0));
        let hundred: Vec<f64> = (0..=100).rev().map(f64::from).collect();
        for share in [0.5, 0.9, 0.95, 0.99] {
            let value = of(&hundred, share).unwrap();
            assert!((value - share * 100.0).abs() < 1e-9, "{share} {value}");
        }
        let wide = of(&[f64::MAX, -f64::MAX], 0.5).unwrap();
        assert!(wide.is_finite(), "{wide}");
    }

    #[test]
    fn steps_are_worked_out_when_they_are_over_and_given_up_ones_never() {
        let mut held = Held::new(0.5);
        for (step, value) in [(0, 1.0), (1, 5.0), (0, 3.0), (2, 9.0)] {
            held.push(step, value);
        }
        assert_eq!(held.len(), 4);
        assert_eq!(held.take(1), [(0, 2.0)]);
        assert_eq!(held.len(), 2);
        held.give_up();
        held.push(1, 4.0);
        held.push(3, 8.0);
        assert_eq!((held.len(), held.take(9)), (1, vec![(3, 8.0)]));
    }
}
