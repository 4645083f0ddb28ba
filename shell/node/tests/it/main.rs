//! The node agent against the kernel: real processes, real sockets, as two unprivileged users when run as root.

mod authority;
mod workload_api;
