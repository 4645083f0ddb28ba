//! The gateway against real upstreams on loopback, over raw sockets.

mod attacks;
mod authority;
mod fixture;
mod forwarding;
mod leaks;
mod revocation;
mod tokens;
