//! How often somebody may try to sign in.

use std::collections::HashMap;
use std::time::Duration;

use glasshouse_core::time::BootTime;
use parking_lot::Mutex;

/// Failures after which a name rests: a person mistypes three times, a guesser gets ten guesses a minute.
const FAILURES_MOST: u32 = 10;

/// How long failures count.
const WINDOW: Duration = Duration::from_secs(60);

/// Counts failed sign-ins by name. Names that nobody has share one count, so the table is as long as the list of users.
#[derive(Debug, Default)]
pub(crate) struct Attempts(Mutex<HashMap<Option<String>, (BootTime, u32)>>);

impl Attempts {
    /// Takes one attempt for a user (`None`: no such user), before the password is looked at.
    /// `false`: too many, and the password is not looked at.
    pub(crate) fn take(&self, user: Option<&str>, now: BootTime) -> bool {
        let mut counts = self.0.lock();
        let (since, taken) = counts.entry(user.map(str::to_owned)).or_insert((now, 0));
        if now.since(*since) >= WINDOW {
            (*since, *taken) = (now, 0);
        }
        if *taken >= FAILURES_MOST {
            return false;
        }
        *taken += 1;
        true
    }

    /// Forgets the attempts of a user who got in.
    pub(crate) fn forgive(&self, user: &str) {
        self.0.lock().remove(&Some(user.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guesser_rests_and_others_do_not() {
        let attempts = Attempts::default();
        let at = |seconds: u64| BootTime::from_nanos(seconds * 1_000_000_000);
        assert_eq!(
            (0..20)
                .filter(|_| attempts.take(Some("alice"), at(1)))
                .count(),
            10
        );
        assert_eq!((0..20).filter(|_| attempts.take(None, at(1))).count(), 10);
        assert!(attempts.take(Some("bob"), at(1)));
        assert!(!attempts.take(Some("alice"), at(60)));
        assert!(attempts.take(Some("alice"), at(61)));
        attempts.forgive("alice");
        assert_eq!(
            (0..20)
                .filter(|_| attempts.take(Some("alice"), at(62)))
                .count(),
            10
        );
    }
}
