//! The node agent against the kernel: real processes, real sockets, as two unprivileged users when run as root.

#[cfg(test)]
mod authority;
#[cfg(test)]
mod endings;
#[cfg(test)]
mod host;
#[cfg(test)]
mod launch;
#[cfg(test)]
mod server;
#[cfg(test)]
mod workload_api;
