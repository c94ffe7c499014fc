//! Tests over fakes.
