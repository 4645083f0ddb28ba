//! The server: everything between the network and the core.
//!
//! Each request takes the five lines: gather, decide (`broker`), record (`store`), sign ([`signer`]), respond. One
//! folder a surface, one file an endpoint. Start reading at `token/endpoint.rs`, then `token/errors.rs`.

pub mod admin;
mod approval;
pub mod clock;
pub mod config;
pub mod connection;
mod content_type;
mod decisions;
mod discovery;
pub mod entropy;
mod fetch;
pub mod followers;
pub mod founding;
pub mod health;
pub mod housekeeping;
pub mod human;
pub mod installation;
pub mod keys;
mod log;
mod members;
pub mod problem;
pub mod published;
pub mod secrets;
pub mod serve;
mod services;
mod settle;
pub mod signer;
pub mod surface;
mod tls;
mod token;
mod webhook;

pub use config::Config;
pub use founding::Founder;
pub use installation::Installation;
pub use serve::{NotAdmitted, Opening, Running, Server, StartError};
pub use signer::{Credential, Signer};
