//! The server as clients meet it: real TLS, a real store on disk, instances as a node agent would open them.

extern crate tabard_server as server;

mod client;
mod discovery;
mod exchange;
mod floods;
mod forgeries;
mod instance;
mod key_uses;
mod place;
mod proofs;
mod restarts;
mod test_key;
