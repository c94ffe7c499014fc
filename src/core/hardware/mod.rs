//! What several collectors say of hardware, defined once: one name is one definition, whoever reads it.
//!
//! Names, labels and words are those of OpenTelemetry's semantic conventions for hardware where they have one. A
//! collector takes a definition from here and says where it reads it:
//!
//! ```
//! use glasshouse_core::hardware;
//! use glasshouse_core::metric::MetricDefinition;
//!
//! static TEMPERATURE: MetricDefinition = hardware::temperature("/sys/class/hwmon/*/temp*_input");
//! ```
//!
//! A test over all collectors of the binary holds that equal names have equal definitions but for the source.

pub mod facts;
mod labels;
mod limit;
mod metrics;
mod state;

pub use labels::*;
pub use limit::{LimitType, PowerCap};
pub use metrics::*;
pub use state::HardwareState;
