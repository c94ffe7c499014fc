//! Floor 1: collectors of power and heat.
