//! The collector against a BMC that is served from a tree: recorded, hostile, slow, silent.

mod faults;
mod hostile;
mod peer;
mod recorded;
mod rig;
mod small;
