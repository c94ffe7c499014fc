//! Floor 1: the embedded time series store.
