//! The sender against receivers: made up ones in virtual time, ones on a socket, and those of others.

mod begin;
mod delivery;
mod network;
mod peers;
mod receiver;
mod world;
