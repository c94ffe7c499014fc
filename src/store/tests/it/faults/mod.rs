//! Disks that fail, processes that are killed, clocks that step, bits that flip: what was acknowledged is there once,
//! what is lost is said, and everything goes on.

mod broken;
mod clocks;
mod flips;
mod full;
mod kills;
mod life;
mod start;
mod writes;

/// Set to try each place instead of some that are the same in each run.
const ALL: &str = "GLASSHOUSE_STORE_FAULTS";

/// About so many of the places, all of them where [`ALL`] is set to `all`.
fn some(places: u64, most: u64) -> Vec<u64> {
    let is_all = std::env::var(ALL).is_ok_and(|value| value == "all");
    let most = if is_all { places } else { most.min(places) };
    // Spread evenly, each a little off, so that no rhythm of the script hides anything.
    let mut random = Random(0x706c_6163_6573);
    let places = (0..most).map(|n| {
        let (from, to) = (n * places / most, (n + 1) * places / most);
        from + random.next() % (to - from)
    });
    places.collect()
}

/// Numbers that are the same in each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// A folder in memory where there is one: the tests write and sync a great deal.
fn folder() -> tempfile::TempDir {
    let builder = tempfile::Builder::new();
    builder
        .tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}
