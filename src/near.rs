//! The name that somebody probably meant.

/// The most characters of a name that are compared: longer input is no typing mistake.
const LONGEST_COMPARED: usize = 80;

/// A name that begins with so many characters as written is meant, whatever follows.
const SHORTEST_BEGINNING: usize = 4;

/// The candidate nearest to what was written, where one is near enough to suggest: at most a third of it differs.
#[must_use]
pub(crate) fn nearest<'a>(
    written: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let allowed = (written.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| {
            let begun = written.len() >= SHORTEST_BEGINNING && candidate.starts_with(written);
            let distance = if begun {
                1
            } else {
                distance(written, candidate)
            };
            (distance, candidate)
        })
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Names that contain what was written or start alike, best first, at most `most` of them.
#[must_use]
pub(crate) fn similar<'a>(
    written: &str,
    candidates: impl IntoIterator<Item = &'a str>,
    most: usize,
) -> Vec<&'a str> {
    let mut ranked: Vec<(usize, &str)> = candidates
        .into_iter()
        .map(|candidate| {
            let part = candidate.contains(written) || written.contains(candidate);
            let rank = if part {
                0
            } else {
                distance(written, candidate)
            };
            (rank, candidate)
        })
        .filter(|(rank, candidate)| *rank <= candidate.chars().count() / 2)
        .collect();
    ranked.sort_unstable();
    ranked.dedup();
    ranked
        .into_iter()
        .map(|(_, name)| name)
        .take(most)
        .collect()
}

/// Insertions, removals, replacements and swaps of neighbours that turn one name into the other.
fn distance(from: &str, to: &str) -> usize {
    let from: Vec<char> = from.chars().take(LONGEST_COMPARED).collect();
    let to: Vec<char> = to.chars().take(LONGEST_COMPARED).collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (row, left) in from.iter().enumerate() {
        let mut next = vec![row + 1];
        for (column, right) in to.iter().enumerate() {
            let at = |line: &[usize], n: usize| line.get(n).copied().unwrap_or(usize::MAX - 1);
            let replaced = at(&last, column) + usize::from(left != right);
            let mut best = replaced
                .min(at(&last, column + 1) + 1)
                .min(at(&next, column) + 1);
            let swapped = row > 0
                && column > 0
                && from.get(row - 1) == Some(right)
                && to.get(column - 1) == Some(left);
            if swapped {
                best = best.min(at(&before_last, column - 1) + 1);
            }
            next.push(best);
        }
        before_last = std::mem::replace(&mut last, next);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_recognised_and_another_word_is_not() {
        let known = ["enabled", "interval", "exclude"];
        assert_eq!(nearest("intervall", known), Some("interval"));
        assert_eq!(nearest("enalbed", known), Some("enabled"));
        assert_eq!(nearest("inte", known), Some("interval"));
        assert_eq!(nearest("frequency", known), None);
        assert_eq!(nearest("", known), None);
    }

    #[test]
    fn similar_names_come_best_first() {
        let known = ["system.cpu.time", "system.cpu.frequency", "hw.temperature"];
        assert_eq!(similar("system.cpu.tim", known, 1), ["system.cpu.time"]);
        assert_eq!(similar("temperature", known, 3), ["hw.temperature"]);
    }
}
