//! Floor 1: whole tables of samples, behind the wall of Polars.
//!
//! What works on hours and days at once lives here, not what runs beside the collectors: only `glasshouse-analyze`, a program
//! that is started when it is asked for, knows this room. It knows no store, no file system and no clock: samples come in as
//! core's types, tables go out to whatever takes bytes.
//!
//! * `samples`: samples as a Parquet file ([`SampleTable`]).
//!
//! A method that looks into tables (anomalies, change points, regressions) is a file beside it.

mod labels;
mod samples;

pub use samples::{Origin, SampleTable, TableError};
