//! Whose call runs now. Calls are few at a time, and no caller has all of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Caller;

/// Calls that read at the same time; more wait. Each may hold some megabytes of decoded samples.
const CALLS_AT_ONCE: usize = 8;
/// Those of one caller: two callers that ask all they can leave room for a third.
const CALLS_OF_ONE: usize = 3;
/// Calls of one caller that run or wait. An agent asks for a handful side by side; more is a flood.
const CALLS_OF_ONE_HERE: usize = 16;

/// The turns, and who has or waits for one.
#[derive(Clone, Debug)]
pub(crate) struct Turns {
    all: Arc<Semaphore>,
    callers: Arc<Mutex<HashMap<Caller, Own>>>,
}

/// What one caller has here. It is there as long as a call is.
#[derive(Debug)]
struct Own {
    turns: Arc<Semaphore>,
    here: usize,
}

/// A turn; given back when dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    _all: OwnedSemaphorePermit,
    _own: OwnedSemaphorePermit,
    _place: Place,
}

/// A place among the calls of a caller, running or waiting.
#[derive(Debug)]
struct Place {
    turns: Turns,
    caller: Caller,
}

impl Turns {
    /// All of them free.
    pub(crate) fn new() -> Self {
        Self {
            all: Arc::new(Semaphore::new(CALLS_AT_ONCE)),
            callers: Arc::default(),
        }
    }

    /// Waits for a turn; `None` at once where too many calls of this caller are here already.
    pub(crate) async fn take(&self, caller: &Caller) -> Option<Turn> {
        let (place, own) = self.enter(caller)?;
        let own = own.acquire_owned().await.ok()?;
        let all = Arc::clone(&self.all).acquire_owned().await.ok()?;
        Some(Turn {
            _all: all,
            _own: own,
            _place: place,
        })
    }

    fn enter(&self, caller: &Caller) -> Option<(Place, Arc<Semaphore>)> {
        let mut callers = self.callers();
        let own = callers.entry(caller.clone()).or_insert_with(|| Own {
            turns: Arc::new(Semaphore::new(CALLS_OF_ONE)),
            here: 0,
        });
        if own.here >= CALLS_OF_ONE_HERE {
            return None;
        }
        own.here += 1;
        let place = Place {
            turns: self.clone(),
            caller: caller.clone(),
        };
        Some((place, Arc::clone(&own.turns)))
    }

    fn callers(&self) -> MutexGuard<'_, HashMap<Caller, Own>> {
        self.callers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut callers = self.turns.callers();
        if let Some(own) = callers.get_mut(&self.caller) {
            own.here = own.here.saturating_sub(1);
            if own.here == 0 {
                callers.remove(&self.caller);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn caller(name: &str) -> Caller {
        Caller {
            issuer: "https://issuer.example".to_owned(),
            subject: name.to_owned(),
        }
    }

    async fn soon(turns: &Turns, name: &str) -> Option<Turn> {
        let caller = caller(name);
        let turn = tokio::time::timeout(Duration::from_secs(1), turns.take(&caller)).await;
        turn.ok().flatten()
    }

    #[tokio::test(start_paused = true)]
    async fn one_caller_leaves_turns_to_the_others() {
        let turns = Turns::new();
        let mut held = Vec::new();
        for (name, turn) in [("ann", 3), ("bob", 3), ("eve", 2)] {
            for _ in 0..turn {
                held.push(soon(&turns, name).await.unwrap());
            }
            if name != "eve" {
                assert!(soon(&turns, name).await.is_none(), "{name}");
            }
        }
        assert!(soon(&turns, "eve").await.is_none(), "all are taken");
        held.remove(0);
        held.push(soon(&turns, "eve").await.unwrap());
        held.clear();
        assert!(turns.callers().is_empty(), "nobody is remembered");
        assert!(soon(&turns, "ann").await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_one_caller_does_not_wait() {
        let turns = Turns::new();
        let held = soon(&turns, "ann").await.unwrap();
        let waiting: Vec<_> = (1..CALLS_OF_ONE_HERE)
            .map(|_| turns.enter(&caller("ann")).unwrap())
            .collect();
        assert!(turns.take(&caller("ann")).await.is_none());
        assert!(turns.take(&caller("bob")).await.is_some());
        drop((held, waiting));
        assert!(turns.take(&caller("ann")).await.is_some());
    }
}
