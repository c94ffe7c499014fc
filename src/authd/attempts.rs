//! How often somebody may try to sign in.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use glasshouse_core::time::BootTime;
use parking_lot::Mutex;

/// Failures after which a browser rests: a person mistypes three times.
const OF_A_BROWSER_MOST: u32 = 10;

/// Failures of all strange browsers together after which a name rests for them: whoever throws cookies away gets no more
/// guesses than this in a minute.
const OF_A_NAME_MOST: u32 = 60;

/// How long failures count.
const WINDOW: Duration = Duration::from_secs(60);

/// The browsers that are remembered for a name; nobody uses more.
const BROWSERS_MOST: usize = 16;

/// Counts failed sign-ins by name and browser, and by name.
///
/// A browser that has signed in with a name before goes by its own count alone: what strangers do, however many, never
/// keeps it out. (What is in its cookie, other servers on this machine may learn; all that they gain is ten guesses.)
/// Names that nobody has share their counts, and no count outlives its minute, so there are few.
#[derive(Debug, Default)]
pub(crate) struct Attempts(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// By name, and by browser where it is not for all.
    taken: HashMap<(Option<String>, Option<String>), Taken>,
    /// The browsers that have signed in with a name, oldest first.
    known: BTreeMap<String, VecDeque<String>>,
}

#[derive(Clone, Copy, Debug)]
struct Taken {
    since: BootTime,
    attempts: u32,
}

impl Attempts {
    /// Takes one attempt of a browser for a user (`None`: no such user), before the password is looked at.
    /// `false`: too many, and the password is not looked at.
    pub(crate) fn take(&self, user: Option<&str>, browser: &str, now: BootTime) -> bool {
        let mut counts = self.0.lock();
        counts
            .taken
            .retain(|_, taken| now.since(taken.since) < WINDOW);
        let own = key(user, Some(browser));
        let all = key(user, None);
        let is_strange = !counts.knows(user, browser);
        if counts.of(&own) >= OF_A_BROWSER_MOST || (is_strange && counts.of(&all) >= OF_A_NAME_MOST)
        {
            return false;
        }
        counts.add(own, now);
        if is_strange {
            counts.add(all, now);
        }
        true
    }

    /// Forgets the attempts of a browser that got in, and remembers the browser.
    pub(crate) fn forgive(&self, user: &str, browser: &str) {
        let mut counts = self.0.lock();
        let own = counts.taken.remove(&key(Some(user), Some(browser)));
        if counts.knows(Some(user), browser) {
            return;
        }
        if let Some(all) = counts.taken.get_mut(&key(Some(user), None)) {
            let forgiven = own.map_or(0, |own| own.attempts);
            all.attempts = all.attempts.saturating_sub(forgiven);
        }
        let known = counts.known.entry(user.to_owned()).or_default();
        known.push_back(browser.to_owned());
        if known.len() > BROWSERS_MOST {
            known.pop_front();
        }
    }
}

impl Counts {
    fn knows(&self, user: Option<&str>, browser: &str) -> bool {
        user.and_then(|user| self.known.get(user))
            .is_some_and(|known| known.iter().any(|one| one == browser))
    }

    fn of(&self, key: &(Option<String>, Option<String>)) -> u32 {
        self.taken.get(key).map_or(0, |taken| taken.attempts)
    }

    fn add(&mut self, key: (Option<String>, Option<String>), now: BootTime) {
        let taken = self.taken.entry(key).or_insert(Taken {
            since: now,
            attempts: 0,
        });
        taken.attempts += 1;
    }
}

fn key(user: Option<&str>, browser: Option<&str>) -> (Option<String>, Option<String>) {
    (user.map(str::to_owned), browser.map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> BootTime {
        BootTime::from_nanos(seconds * 1_000_000_000)
    }

    fn taken(attempts: &Attempts, user: Option<&str>, browser: &str, second: u64) -> usize {
        (0..20)
            .filter(|_| attempts.take(user, browser, at(second)))
            .count()
    }

    #[test]
    fn a_guesser_rests_and_others_do_not() {
        let attempts = Attempts::default();
        assert_eq!(taken(&attempts, Some("alice"), "a", 1), 10);
        assert_eq!(taken(&attempts, None, "a", 1), 10);
        assert!(attempts.take(Some("bob"), "a", at(1)));
        assert!(attempts.take(Some("alice"), "b", at(1)), "another browser");
        assert!(!attempts.take(Some("alice"), "a", at(60)));
        assert!(attempts.take(Some("alice"), "a", at(61)));
        attempts.forgive("alice", "a");
        assert_eq!(taken(&attempts, Some("alice"), "a", 62), 10);
    }

    #[test]
    fn strangers_do_not_lock_a_person_out() {
        let attempts = Attempts::default();
        assert!(attempts.take(Some("alice"), "hers", at(1)));
        attempts.forgive("alice", "hers");
        let guesses: usize = (0..20)
            .map(|n| taken(&attempts, Some("alice"), &format!("stranger {n}"), 2))
            .sum();
        assert_eq!(guesses, 60, "however many browsers");
        assert!(attempts.take(Some("alice"), "hers", at(3)));
        attempts.forgive("alice", "hers");
        assert!(
            !attempts.take(Some("alice"), "stranger 99", at(4)),
            "her success buys no guesses"
        );
        assert_eq!(
            taken(&attempts, Some("alice"), "hers", 5),
            10,
            "a thief of hers gets ten"
        );
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let attempts = Attempts::default();
        for n in 0..1_000 {
            attempts.take(None, &n.to_string(), at(n / 10));
            attempts.take(Some("alice"), &n.to_string(), at(n / 10));
            attempts.forgive("alice", &n.to_string());
        }
        let counts = attempts.0.lock();
        assert!(counts.taken.len() <= 2 * 61, "{}", counts.taken.len());
        assert_eq!(counts.known["alice"].len(), BROWSERS_MOST);
    }
}
