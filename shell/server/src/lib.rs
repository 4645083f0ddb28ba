//! The server: everything between the network and the core.
//!
//! Each request takes the five lines: gather, decide (`broker`), record (`store`), sign ([`signer`]), respond. One
//! folder a surface, one file an endpoint.

pub mod clock;
pub mod config;
pub mod entropy;
pub mod keys;
pub mod secrets;
