//! Fake machines and identity providers for tests.
