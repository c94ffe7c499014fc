//! Floor 1: the embedded time series store.

mod accumulate;
mod bytes;
mod catalog;
mod column;
mod error;
mod files;
mod frame;
mod head;
mod head_view;
mod index;
pub mod inventory;
mod merge;
mod pack;
mod present;
mod range;
mod reader;
mod record;
mod recovery;
mod registry;
mod rollup;
mod seal;
mod segment;
mod settings;
mod stat;
mod store;
mod times;
mod view;

pub use error::StoreError;
pub use reader::StoreReader;
pub use recovery::Recovery;
pub use settings::{Retention, StoreSettings};
pub use stat::{StoreStat, stat};
pub use store::{Batch, Maintenance, SeriesRef, Store};
