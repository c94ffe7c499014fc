//! The part of Glasshouse that works on whole tables.

const fn main() {}
