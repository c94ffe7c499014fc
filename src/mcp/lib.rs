//! Floor 2: the gate and the read-only tools.
