//! A network between a client and a BMC that loses, delays, doubles and reorders replies.

use std::collections::VecDeque;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What becomes of one reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrives.
    Pass,
    /// It never arrives.
    Lose,
    /// It arrives, and once more after as many further requests, before the reply to the last of them.
    Double(u64),
    /// It arrives after so long, wherever the client listens by then.
    Delay(Duration),
    /// It waits until as many requests have come after it, and arrives before the reply to the last of them.
    HoldFor(u64),
}

/// A network; it ends with this.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    replies: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

/// Replies that wait.
const MOST_HELD: usize = 1024;

impl Proxy {
    /// Stands before a BMC; `fate` is asked for each reply, by its number.
    ///
    /// # Errors
    /// Where no socket can be had.
    pub fn before(
        bmc: SocketAddr,
        fate: impl FnMut(u64) -> Fate + Send + 'static,
    ) -> std::io::Result<Self> {
        let client_side = UdpSocket::bind("127.0.0.1:0")?;
        let address = client_side.local_addr()?;
        let bmc_side = UdpSocket::bind("127.0.0.1:0")?;
        bmc_side.connect(bmc)?;
        for socket in [&client_side, &bmc_side] {
            socket.set_nonblocking(true)?;
        }
        let stop = Arc::new(AtomicBool::new(false));
        let replies = Arc::new(AtomicU64::new(0));
        let mut network = Network {
            client_side,
            bmc_side,
            client: None,
            requests: 0,
            held: VecDeque::new(),
            replies: Arc::clone(&replies),
            fate,
        };
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                if !network.step() {
                    std::thread::sleep(Duration::from_micros(200));
                }
            }
        });
        Ok(Self {
            address,
            stop,
            replies,
            thread: Some(thread),
        })
    }

    /// Where clients ask.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Replies that the BMC has sent.
    #[must_use]
    pub fn replies(&self) -> u64 {
        self.replies.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

struct Network<F> {
    client_side: UdpSocket,
    bmc_side: UdpSocket,
    client: Option<SocketAddr>,
    requests: u64,
    held: VecDeque<(Held, Vec<u8>)>,
    replies: Arc<AtomicU64>,
    fate: F,
}

enum Held {
    Until(Instant),
    UntilRequest(u64),
}

impl<F: FnMut(u64) -> Fate> Network<F> {
    /// Whether anything happened.
    fn step(&mut self) -> bool {
        let mut buffer = [0; 2048];
        let mut happened = false;
        if let Ok((length, from)) = self.client_side.recv_from(&mut buffer) {
            self.client = Some(from);
            self.requests += 1;
            self.bmc_side
                .send(buffer.get(..length).unwrap_or_default())
                .ok();
            happened = true;
        }
        self.release(|held| matches!(held, Held::Until(when) if *when <= Instant::now()));
        if let Ok(length) = self.bmc_side.recv(&mut buffer) {
            let number = self.replies.fetch_add(1, Ordering::Relaxed);
            let requests = self.requests;
            self.release(|held| matches!(held, Held::UntilRequest(count) if *count <= requests));
            self.reply(number, buffer.get(..length).unwrap_or_default());
            happened = true;
        }
        happened
    }

    fn reply(&mut self, number: u64, reply: &[u8]) {
        let hold = match (self.fate)(number) {
            Fate::Pass => {
                self.send(reply);
                return;
            }
            Fate::Lose => return,
            Fate::Double(requests) => {
                self.send(reply);
                Held::UntilRequest(self.requests + requests)
            }
            Fate::Delay(by) => Held::Until(Instant::now() + by),
            Fate::HoldFor(requests) => Held::UntilRequest(self.requests + requests),
        };
        if self.held.len() < MOST_HELD {
            self.held.push_back((hold, reply.to_vec()));
        }
    }

    fn release(&mut self, is_due: impl Fn(&Held) -> bool) {
        let held = std::mem::take(&mut self.held);
        for (hold, reply) in held {
            if is_due(&hold) {
                self.send(&reply);
            } else {
                self.held.push_back((hold, reply));
            }
        }
    }

    fn send(&self, reply: &[u8]) {
        if let Some(client) = self.client {
            self.client_side.send_to(reply, client).ok();
        }
    }
}
