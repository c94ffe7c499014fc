//! Floor 0: the words and the traits of Glasshouse.
//!
//! Everything here is plain data and small pure functions. `core` knows no file system, no serialization and no
//! runtime, so that every other room can depend on it without cost. Read [`metric`] and [`collector`] to see how
//! telemetry begins, [`reader`] to see how it is asked for, and [`access`] to see how a question is allowed.

pub mod access;
mod aggregation;
pub mod audit;
pub mod collector;
pub mod condition;
pub mod fact;
pub mod failure;
pub mod finding;
pub mod hardware;
pub mod identity;
pub mod labels;
pub mod log;
pub mod metric;
pub mod options;
pub mod process;
pub mod reader;
pub mod sample;
pub mod text;
pub mod time;
mod truncation;
pub mod wall_power;
pub mod worker;
