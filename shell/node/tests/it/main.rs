//! The node agent against the kernel: real processes, real sockets, as two unprivileged users when run as root.

mod authority;
mod host;
mod launch;
mod server;
mod workload_api;
