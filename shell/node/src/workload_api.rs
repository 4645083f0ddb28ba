//! The SPIFFE Workload API: a process asks who it is, and gets keys nobody wrote into its configuration.
//!
//! Follows SPIFFE_Workload_Endpoint.md and SPIFFE_Workload_API.md: the X.509 and JWT profiles completely; the incubating WIT
//! profile answers Unimplemented, as section 7 asks. The caller is the process that the kernel names, judged anew at
//! each request and before each pushed message. What it is entitled to is not decided here: see [`Identities`].

mod authority;
mod identities;
pub mod proto;
mod refusal;
mod serve;
mod service;

pub use authority::{
    AuthorityStream, BLOCK_BYTES_MAX, FRAME_BYTES_MAX, HeaderError, LIST_BYTES_MAX, Transcoder,
};
pub use identities::{Bundles, Identities, Invalid, JwtSvid, ValidJwt, X509Svid};
pub use refusal::{NO_IDENTITY, WhyNot};
pub use serve::{CONNECTIONS_MAX, CONNECTIONS_PER_UID_MAX, serve};
