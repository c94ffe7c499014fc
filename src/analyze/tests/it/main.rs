//! The program from outside: one binary, so that it links once.

#[cfg(test)]
mod parquet;
