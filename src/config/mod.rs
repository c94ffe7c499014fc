//! The config files: what may stand in them, what does, and what is wrong with it.
//!
//! A config is a TOML file, then the `*.toml` of the folder beside it that bears its name (`glasshouse.toml`, then
//! `glasshouse.d/*.toml` in the order of their names). Tables are merged key by key and a later value replaces an
//! earlier one whole, lists included. What may be written is data (`schema.rs`); the checks, the reference config and
//! the getters are made from the same data.

pub(crate) mod authd;
pub(crate) mod face;
pub(crate) mod layers;
pub(crate) mod main_file;
pub(crate) mod probe_file;
pub(crate) mod problem;
pub(crate) mod reference;
pub(crate) mod remote_write;
pub(crate) mod schema;
pub(crate) mod secret;
pub(crate) mod store;
pub(crate) mod table;

#[cfg(test)]
mod tests;
