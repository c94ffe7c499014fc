//! Floor 1: from a bearer token to a principal.
