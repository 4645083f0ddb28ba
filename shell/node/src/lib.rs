//! The host's side: who runs here, what was started how, and the sockets through which a workload gets its identity.

pub mod workload_api;
