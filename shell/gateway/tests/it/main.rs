//! The gateway against real upstreams on loopback, over raw sockets.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test fails by panicking, in its helpers too"
)]

mod approvals;
mod attacks;
mod authority;
mod delegation;
mod desk;
mod ext_authz;
mod fixture;
mod forwarding;
mod homes;
mod leaks;
mod refused;
mod revocation;
mod state;
mod tls;
mod tokens;
mod unrecorded;
