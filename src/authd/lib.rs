//! Floor 2: the built-in authorization server for a lab or one machine.
