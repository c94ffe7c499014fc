//! Floor 1: the Cedar decision point beside its policies.
