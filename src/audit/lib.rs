//! Floor 1: the append-only log of decisions.
