//! Floor 2: takes frames, keeps the store.
