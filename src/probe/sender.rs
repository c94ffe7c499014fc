//! The one thread that writes to the link.

use std::path::Path;
use std::time::{Duration, Instant};

use glasshouse_wire::FrameWriter;
use tracing::error;

use crate::link::{Link, Progress, RETRY};
use crate::queue::{Next, Queue};
use crate::stop::Stop;

/// How long the thread sleeps where nothing comes; it is woken when something does.
const IDLE: Duration = Duration::from_secs(60);

/// After the wish to stop, what waits is still written for this long if somebody reads.
const FLUSH: Duration = Duration::from_secs(1);

/// Takes payloads from the queue and writes their frames until the queue is closed.
pub(crate) fn send(run: u64, frames: &Path, queue: &Queue, stop: &Stop) {
    let mut writer = FrameWriter::new(run);
    let mut link = Link::new(frames);
    let mut frame = Vec::new();
    let mut flush_until = None;
    loop {
        match queue.next(IDLE) {
            Next::Idle => {}
            Next::Closed => return,
            Next::Payload(payload) => {
                if let Err(error) = writer.frame(&payload, &mut frame) {
                    error!(%error, "A message was lost, because it does not fit a frame.");
                } else if !send_frame(&mut link, &frame, stop, &mut flush_until) {
                    return;
                }
            }
        }
    }
}

/// Writes one frame, however long that takes; `false` where the probe stops before it is written.
fn send_frame(
    link: &mut Link,
    frame: &[u8],
    stop: &Stop,
    flush_until: &mut Option<Instant>,
) -> bool {
    let mut written = 0;
    loop {
        match link.write(frame, &mut written) {
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
