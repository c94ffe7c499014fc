//! Floor 1: the one door to files of `/proc` and `/sys`.
//!
//! Collectors read through a [`SysRoot`]: the live machine, or a tree captured from one. Reads are bounded, errors name
//! the file and the line, what does not exist is told from what failed, and no symbolic link leads out of a captured
//! tree. [`KeptFile`] and [`ReadBuffer`] make a steady reader cheap: one `pread` a file and run, no allocation.

mod buffer;
mod capacity;
mod clock;
#[cfg(feature = "compliance")]
pub mod compliance;
mod devices;
mod host;
mod ioctl;
mod kept;
mod names;
mod parse;
mod power_supplies;
mod records;
mod registers;
mod requests;
mod root;
mod secret;
mod spec;
mod witness;

pub use buffer::ReadBuffer;
pub use capacity::{Capacity, capacity};
pub use clock::{ClockState, clock_state};
pub use devices::stable_device;
pub use host::architecture;
pub use kept::KeptFile;
pub use names::{Patterns, unique_names};
pub use parse::{Fields, finite, malformed, optional, presence, ratio, scaled};
pub use power_supplies::{
    POWER_SUPPLY_DRIVERS, hwmon_chip, is_driver, kernel_sums_supplies, supply_inputs,
};
pub use records::{Record, RecordFile, open_kernel_log};
pub use registers::{Register, read_register};
pub use requests::{ALLOWED, AllowedRequest, DeviceRequest};
pub use root::SysRoot;
pub use secret::{Exposure, exposure};
pub use spec::{Spec, WorkerSpec};
pub use witness::sending;
