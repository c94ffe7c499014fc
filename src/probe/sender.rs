//! The one thread that writes to the link.

use std::time::{Duration, Instant};

use glasshouse_wire::FrameWriter;
use tracing::error;

use crate::link::{Link, Output, Progress, RETRY};
use crate::parcel::Parcel;
use crate::queue::{Queue, Waited};
use crate::stop::Stop;

/// How long the thread sleeps where nothing comes; it is woken when something does.
const IDLE: Duration = Duration::from_secs(60);

/// After the first of several collectors that run at the same tick, the others get this long to come along: a write,
/// and a wake of the node, for all of them. It is also what a kill of the probe may cost more.
const GATHER: Duration = Duration::from_millis(5);

/// After the wish to stop, what waits is still written for this long if somebody reads.
const FLUSH: Duration = Duration::from_secs(1);

/// Takes payloads from the queue and writes their frames until the queue is closed.
pub(crate) fn send(run: u64, output: Output, queue: &Queue, stop: &Stop) {
    let mut writer = FrameWriter::new(run);
    let mut link = Link::new(output);
    let mut parcel = Parcel::default();
    let mut flush_until = None;
    loop {
        if queue.wait(IDLE) == Waited::Yes {
            std::thread::sleep(GATHER);
        }
        let filled = parcel.fill(queue, &mut writer);
        for error in &filled.lost {
            error!(%error, "A message was lost, because it does not fit a frame.");
        }
        let is_written =
            parcel.bytes().is_empty() || send_parcel(&mut link, &parcel, stop, &mut flush_until);
        if !is_written || filled.is_last {
            return;
        }
    }
}

/// Writes a parcel, however long that takes; `false` where the probe stops before it is written.
fn send_parcel(
    link: &mut Link,
    parcel: &Parcel,
    stop: &Stop,
    flush_until: &mut Option<Instant>,
) -> bool {
    let mut written = 0;
    loop {
        match link.write(parcel, &mut written) {
            Progress::Done => return true,
            Progress::NoReader if stop.wait(RETRY) => return false,
            Progress::NoReader => {}
            Progress::Full => {
                if stop.wait(Duration::ZERO) {
                    let now = Instant::now();
                    let until = *flush_until.get_or_insert(now + FLUSH);
                    if now >= until {
                        return false;
                    }
                }
                link.wait_for_room();
            }
        }
    }
}
