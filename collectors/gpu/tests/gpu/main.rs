//! The GPU collectors against a stand-in of NVIDIA's library, and against sysfs as `amdgpu` writes it.

// tells the lints that helpers are tests too
#![cfg(test)]

mod amd;
mod answers;
mod events;
mod fake;
mod read_only;
mod refusals;
mod values;
