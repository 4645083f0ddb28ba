//! The host's side: who runs here, what was started how, and the sockets through which a workload gets its identity.
//!
//! [`launch`] starts agents and binds them, [`runs`] knows who is bound, [`workload_api`] hands out SVIDs, [`listener`]
//! takes calls, and [`authority`] is all that is asked of the server.

pub mod authority;
pub mod calls;
pub mod identities;
pub mod instance_key;
pub mod launch;
pub mod listener;
pub mod runs;
pub mod server_link;
pub mod workload_api;
