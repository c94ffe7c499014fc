//! Glasshouse.
