//! The messages and service traits made from `proto/workloadapi.proto` by the build script.
#![expect(
    missing_docs,
    unused_qualifications,
    clippy::pedantic,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated code; SPIFFE_Workload_API.md documents every field"
)]

tonic::include_proto!("_");
