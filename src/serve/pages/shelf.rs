//! Something that takes time to make: made by one thread at a time, and shared for a while.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// For how long something is shared, from the moment on at which it was begun. A little less than a second: who asks every
/// second must not get the same thing twice because a clock ticked early.
const SHARED_FOR: Duration = Duration::from_millis(900);

/// One place, with what was made last.
#[derive(Debug)]
pub(super) struct Shelf<T>(Mutex<State<T>>);

#[derive(Debug)]
enum State<T> {
    Empty,
    /// Begun at this time; whoever began it may have left since.
    Making(Instant, JoinHandle<T>),
    /// Good until this time.
    Made(Instant, T),
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self(Mutex::new(State::Empty))
    }
}

impl<T: Clone + Send + 'static> Shelf<T> {
    /// What is there, or what `make` gives. `None` where that takes longer than `deadline`: it goes on being made, and
    /// nobody begins another before it is done.
    pub(super) async fn get(
        &self,
        deadline: Duration,
        make: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        tokio::time::timeout(deadline, self.take(make))
            .await
            .unwrap_or_default()
    }

    async fn take(&self, make: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let mut state = self.0.lock().await;
        if let State::Made(until, value) = &*state
            && Instant::now() < *until
        {
            return Some(value.clone());
        }
        if !matches!(*state, State::Making(..)) {
            // what is old is not kept beside what is new
            *state = State::Making(Instant::now(), tokio::task::spawn_blocking(make));
        }
        let State::Making(begun, making) = &mut *state else {
            return None;
        };
        // where this future is dropped here, the handle stays for the next one who asks
        let made = making.await;
        let (begun, now) = (*begun, Instant::now());
        match made {
            Ok(value) => {
                // never more than half of the time is spent on making it, however slow that is
                let until = (begun + SHARED_FOR).max(now + now.duration_since(begun));
                *state = State::Made(until, value.clone());
                Some(value)
            }
            Err(error) => {
                tracing::error!(%error, "A page could not be made.");
                *state = State::Empty;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_crowd_gets_one_thing_and_later_another() {
        let shelf = Arc::new(Shelf::default());
        let made = Arc::new(AtomicU32::new(0));
        let ask = || {
            let (shelf, made) = (Arc::clone(&shelf), Arc::clone(&made));
            async move {
                shelf
                    .get(LONG, move || made.fetch_add(1, Ordering::SeqCst))
                    .await
            }
        };
        let start = Instant::now();
        let crowd: Vec<_> = (0..100).map(|_| tokio::spawn(ask())).collect();
        for one in crowd {
            assert_eq!(one.await.unwrap(), Some(0));
        }
        // waits for the clock and not for a number: a slow machine only waits longer
        while ask().await == Some(0) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(start.elapsed() >= SHARED_FOR);
        assert_eq!(made.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn what_is_late_is_waited_for_by_the_next_and_made_once() {
        let shelf = Arc::new(Shelf::default());
        let (finish, wait) = mpsc::channel::<u32>();
        let late = shelf.get(Duration::from_millis(50), move || wait.recv().unwrap());
        assert_eq!(late.await, None);
        let never = || -> u32 { panic!("a second one was begun") };
        assert_eq!(shelf.get(Duration::from_millis(50), never).await, None);
        finish.send(7).unwrap();
        assert_eq!(shelf.get(LONG, never).await, Some(7));
    }

    #[tokio::test]
    async fn a_maker_that_breaks_leaves_room_for_the_next() {
        let shelf = Shelf::<u32>::default();
        assert_eq!(shelf.get(LONG, || panic!("on purpose")).await, None);
        assert_eq!(shelf.get(LONG, || 1).await, Some(1));
    }
}
