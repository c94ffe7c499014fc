//! GPUs of NVIDIA, through the library of their driver.
//!
//! `question` is all that can be asked, `library` (and the room's `ffi`) who answers, `session` one begun library for
//! both collectors, `machine` what is the same for both: which GPUs there are, and the four answers where there are
//! none. `now` is what changes by the second, `health` and the files beside it what changes seldom.

mod convert;
mod dump;
mod events;
mod facts;
mod health;
mod library;
mod limits;
mod links;
mod machine;
mod memory;
mod now;
mod pci;
mod pcie;
mod question;
mod reading;
mod refusal;
mod session;
mod xid;

pub use dump::{DumpError, dump};
pub(crate) use health::NVIDIA_GPU_HEALTH;
pub(crate) use library::{one, several};
pub(crate) use now::NVIDIA_GPU;
pub(crate) use question::{Answer, Field, MOST_NUMBERS, Number, Question, Text, allowed};
pub(crate) use refusal::Refusal;

/// Where the loader finds the library if nothing else is said.
const LIBRARY: &str = "libnvidia-ml.so.1";
