//! How often one caller may ask. What is past it is refused and counted, but not recorded one by one: otherwise whoever
//! has a token could fill the audit log, and a full log denies everybody.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use glasshouse_core::time::Clock;
use governor::clock::Clock as RateClock;
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use super::Caller;

/// Requests a second that a caller may go on with: an agent makes a few, and at most a kilobyte of record each is
/// less than two gigabytes a day.
const REQUESTS_A_SECOND: NonZeroU32 = NonZeroU32::MIN.saturating_add(19);
/// Requests at once: a host that opens several conversations greets, lists and calls in each.
const BURST: NonZeroU32 = NonZeroU32::MIN.saturating_add(39);
/// Callers at a time. A bucket is full again after two seconds and is then forgotten, so these are those of two seconds.
const MOST_CALLERS: usize = 4096;
/// What a caller waits while there is no room to count one more.
const WAIT_FOR_ROOM: Duration = Duration::from_secs(2);

/// A bucket for each caller.
pub(crate) struct Rates {
    buckets: RateLimiter<Caller, HashMapStateStore<Caller>, BootClock, NoOpMiddleware<Duration>>,
}

/// Time since boot: a clock that is set must neither stop nor free anybody.
struct BootClock(Arc<dyn Clock>);

impl RateClock for BootClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        Duration::from_nanos(self.0.moment().boot.nanos())
    }
}

impl fmt::Debug for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rates")
            .field("callers", &self.buckets.len())
            .finish_non_exhaustive()
    }
}

impl Rates {
    /// Full buckets.
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let quota = Quota::per_second(REQUESTS_A_SECOND).allow_burst(BURST);
        Self {
            buckets: RateLimiter::new(quota, HashMapStateStore::default(), BootClock(clock)),
        }
    }

    /// Takes one request out of a caller's bucket.
    ///
    /// # Errors
    /// How long to wait, where it is empty or there is no room for one caller more.
    pub(crate) fn take(&self, caller: &Caller) -> Result<(), Duration> {
        if self.buckets.len() >= MOST_CALLERS {
            self.buckets.retain_recent();
            if self.buckets.len() >= MOST_CALLERS {
                return Err(WAIT_FOR_ROOM);
            }
        }
        let now = RateClock::now(self.buckets.clock());
        self.buckets
            .check_key(caller)
            .map_err(|until| until.wait_time_from(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fakes::Fake;

    fn caller(name: &str) -> Caller {
        Caller {
            issuer: "https://issuer.example".to_owned(),
            subject: name.to_owned(),
        }
    }

    #[test]
    fn a_bucket_empties_and_fills_for_each_caller_alone() {
        let fake = Fake::new();
        let rates = Rates::new(Arc::<Fake>::clone(&fake));
        let good = |name: &str| {
            (0..100)
                .filter(|_| rates.take(&caller(name)).is_ok())
                .count()
        };
        assert_eq!(good("ann"), 40);
        assert_eq!(rates.take(&caller("ann")), Err(Duration::from_millis(50)));
        assert_eq!(good("bob"), 40);
        fake.advance(1);
        assert_eq!(good("ann"), 20);
        fake.advance(3600);
        assert_eq!(good("ann"), 40);
    }

    #[test]
    fn the_table_of_callers_is_bounded_and_forgets() {
        let fake = Fake::new();
        let rates = Rates::new(Arc::<Fake>::clone(&fake));
        for n in 0..MOST_CALLERS {
            assert_eq!(rates.take(&caller(&n.to_string())), Ok(()));
        }
        assert_eq!(rates.take(&caller("new")), Err(WAIT_FOR_ROOM));
        assert_eq!(rates.buckets.len(), MOST_CALLERS);
        fake.advance(3);
        assert_eq!(rates.take(&caller("new")), Ok(()));
        assert_eq!(rates.buckets.len(), 1);
    }
}
