//! Decisions for somebody else's proxy: Envoy's `ext_authz` over gRPC (`envoy.service.auth.v3.Authorization/Check`).
//!
//! One check is one request, top to bottom as at our own listener: authenticate the token and its proof, find the upstream
//! and the action, decide, record; only then does the answer carry the upstream's credential, and take out the agent's. What
//! differs is who enforces: a service, known by the X.509-SVID of its connection, for upstreams that name it
//! (`enforced_by`). It forwards the request and sees the answer, so nothing is scrubbed or cut here, and how the call ended
//! is not recorded.
//!
//! Traps, each with a test: Envoy sends the query inside `path` and leaves `query` empty; `//admin` is a path and no
//! authority; values of one header come joined by commas; a body comes only where the filter is told to send it.

mod check;
mod listener;
mod received;
mod reply;
mod tls;

/// Messages and the service, generated from `proto/`. Public for whoever measures or tests the wire.
#[expect(
    missing_docs,
    unused_qualifications,
    clippy::pedantic,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated; the documentation is in the .proto"
)]
pub mod proto {
    pub mod google {
        pub mod rpc {
            tonic::include_proto!("google.rpc");
        }
    }
    pub mod envoy {
        pub mod config {
            pub mod core {
                pub mod v3 {
                    tonic::include_proto!("envoy.config.core.v3");
                }
            }
        }
        pub mod r#type {
            pub mod v3 {
                tonic::include_proto!("envoy.r#type.v3");
            }
        }
        pub mod service {
            pub mod auth {
                pub mod v3 {
                    tonic::include_proto!("envoy.service.auth.v3");
                }
            }
        }
    }
}

use proto::envoy::config::core::v3 as core_v3;
use proto::envoy::service::auth::v3 as auth_v3;
use proto::envoy::r#type::v3 as type_v3;
use proto::google::rpc;
