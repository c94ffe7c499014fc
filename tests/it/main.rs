//! What can only be seen from outside: the rooms and their edges, and the shipped binary with clients of others.

// `cfg(test)` tells the lints that helpers are tests too
#[cfg(test)]
mod support;

#[cfg(test)]
mod absences;
#[cfg(test)]
mod cli;
#[cfg(test)]
mod collectors;
#[cfg(test)]
mod config;
#[cfg(test)]
mod diode;
#[cfg(test)]
mod eight_steps;
#[cfg(test)]
mod export;
#[cfg(test)]
mod floors;
#[cfg(test)]
mod hanging;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod policy_schema;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod survival;
