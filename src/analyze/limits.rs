//! What this program may take from a machine that has other things to do.

use rustix::process::{Resource, Rlimit, getrlimit, nice, setrlimit};

/// Behind everything that is not as nice.
const NICE: i32 = 10;

/// Memory of its own, beyond what any job should need (200 MiB): rather its end than that of another process.
const MOST_MEMORY: u64 = 512 << 20;

/// Takes the limits. A system that refuses them is no reason not to work.
pub(crate) fn set() {
    nice(NICE).ok();
    let now = getrlimit(Resource::Data);
    let most = now
        .maximum
        .map_or(MOST_MEMORY, |most| most.min(MOST_MEMORY));
    let limit = Rlimit {
        current: Some(most),
        maximum: Some(most),
    };
    setrlimit(Resource::Data, limit).ok();
}
