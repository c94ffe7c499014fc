//! What needs a process of its own.

#[cfg(test)]
mod kills;
