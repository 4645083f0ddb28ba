//! The bytes of every credential: read, verify, and build up to the signature.
//!
//! Time and keys are arguments. A verifier returns a value that only it can make ([`Verified`], [`dpop::DpopProof`],
//! [`x509_svid::X509Svid`], …), or a [`Rejection`] for the audit entry. Private keys stay behind [`SigningKey`],
//! which only the shell implements.
//!
//! One module a credential: [`access_token`], [`dpop`], [`jwt_svid`], [`x509_svid`] with [`csr`] and [`authority`];
//! [`agent_task`] is what a token grants, [`token_exchange`] how one is asked for. [`jose`], [`json`] and [`jwk`] are
//! the strict readers below them. [`webauthn`] is how people prove who they are.

pub mod access_token;
mod act;
pub mod agent_task;
mod algorithm;
pub mod authority;
pub mod bundle;
mod class;
pub mod csr;
mod der;
pub mod dpop;
pub mod federation_assertion;
pub mod foreign_token;
pub mod form;
#[doc(hidden)]
pub mod fuzzing;
mod hash;
pub mod id_token;
pub mod jose;
pub mod json;
pub mod jwk;
pub mod jwks;
pub mod jwt_svid;
pub mod key;
pub mod logout_token;
pub mod media_type;
pub mod public_key;
mod rejection;
mod serial;
#[cfg(test)]
mod testing;
pub mod token_exchange;
pub mod webauthn;
pub mod x509_svid;

pub use access_token::{AccessTokenClaims, Binding, EntryPlace};
pub use agent_task::{AgentTask, AgentTaskError, Amount, Constraints, Disjoint, Rate, Widened};
pub use algorithm::Algorithm;
pub use authority::{Authority, AuthorityTemplate, IssueError, SvidTemplate};
pub use bundle::TrustBundle;
pub use class::TokenClass;
pub use csr::{CsrError, ProvenKey};
pub use dpop::{DpopProof, NonceKey};
pub use federation_assertion::{AssertionError, FederationAssertion};
pub use foreign_token::ForeignClaims;
pub use form::{Form, FormError};
pub use hash::sha256;
pub use id_token::IdTokenClaims;
pub use jose::{HeaderSegment, Jws, Unsigned, Verified};
pub use jwk::{Jwk, JwkError};
pub use jwks::{Jwks, JwksError};
pub use jwt_svid::{JwtSvidClaims, JwtSvidTemplate};
pub use key::{SignError, SigningKey, VerifyingKey, VerifyingKeys};
pub use logout_token::LogoutClaims;
pub use media_type::MediaType;
pub use public_key::{Curve, PublicKey, PublicKeyError};
pub use rejection::{Part, Rejection};
pub use serial::Serial;
pub use token_exchange::{ExchangeFormError, TokenExchangeForm, TokenType};
pub use x509_svid::{TrustRoots, X509Rejection, X509Svid};
