//! The server as clients meet it: real TLS, a real store on disk, instances as a node agent would open them.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

extern crate tabard_server as server;

mod access_requests;
mod admin;
mod approvals;
mod authzen;
mod client;
mod cross_org;
mod decisions;
mod delegation;
mod discovery;
mod documented;
mod exchange;
mod floods;
mod forgeries;
mod hostile_member;
mod idp;
mod instance;
mod key_uses;
mod launches;
mod me;
mod oidc;
mod pdp;
mod people;
mod pep;
mod place;
mod proofs;
mod provider;
mod receiver;
mod renewals;
mod restarts;
mod routes;
mod sessions;
mod terminal;
mod test_key;
mod webhooks;
