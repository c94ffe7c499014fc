//! Floor 1: tables of samples, behind the wall of Polars.
