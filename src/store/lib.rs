//! Floor 1: the embedded time series store.

mod error;
pub mod inventory;
mod reader;
mod settings;
mod stat;
mod store;

pub use error::StoreError;
pub use reader::StoreReader;
pub use settings::{Retention, StoreSettings};
pub use stat::{StoreStat, stat};
pub use store::{Batch, Maintenance, Recovery, SeriesRef, Store};
