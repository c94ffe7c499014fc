//! The store from outside: one binary, so that it links once.

#[cfg(test)]
mod absent;
#[cfg(test)]
mod common;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod model;
#[cfg(test)]
mod rotation;
#[cfg(test)]
mod scan;
#[cfg(test)]
mod tail;
#[cfg(test)]
mod upkeep;
