//! What each command does; the roles and `up` have rooms of their own.

pub(crate) mod analyze;
pub(crate) mod audit;
pub(crate) mod check;
pub(crate) mod collect;
pub(crate) mod collectors;
pub(crate) mod events;
pub(crate) mod export;
pub(crate) mod generate;
pub(crate) mod logs;
pub(crate) mod mcp;
pub(crate) mod policy;
pub(crate) mod query;
pub(crate) mod small;
pub(crate) mod store;
