//! The one map from "why not" to gRPC status codes (SPIFFE_Workload_Endpoint.md section 6 and appendix A).

use identity::DecisionId;
use tonic::Status;

/// The code that a caller without identity learns, whatever the reason was.
pub const NO_IDENTITY: &str = "TABARD-ATTEST-001";

/// Why a caller gets nothing. It learns a fixed code and an id; `tabard explain <id>` tells an operator the rest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WhyNot {
    /// No identity is registered for it, or none any more.
    NoIdentity {
        /// Where the reason is recorded.
        decision: DecisionId,
    },
    /// The server can not be reached or the node is starting: try again.
    Unavailable,
}

impl From<WhyNot> for Status {
    fn from(why: WhyNot) -> Self {
        match why {
            WhyNot::NoIdentity { decision } => {
                Self::permission_denied(format!("{NO_IDENTITY} no identity for this process ({decision})"))
            }
            WhyNot::Unavailable => Self::unavailable("TABARD-NODE-001 not ready, try again"),
        }
    }
}
