//! The whole diode: a probe and a node on a real FIFO.

mod fake;
mod kills;
mod link;
mod notices;
mod start;
