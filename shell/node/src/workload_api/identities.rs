//! What the Workload API asks of the rest of the node agent.

use super::WhyNot;
use identity::{Audience, Secret, SpiffeId, TrustDomain};
use peer::Peer;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use tokio::sync::watch;

/// An X.509-SVID with its key, ready to be handed to its workload.
#[derive(Debug)]
pub struct X509Svid {
    /// Whose it is.
    pub id: SpiffeId,
    /// DER certificates, the leaf first.
    pub chain: Vec<Vec<u8>>,
    /// The leaf's private key, PKCS#8 DER.
    pub key: Secret<Vec<u8>>,
    /// What to use it for, when a workload has several; at most 1024 bytes, unique within an answer (section 5.2.1).
    pub hint: String,
}

/// A JWT-SVID. A bearer credential: never logged.
#[derive(Debug)]
pub struct JwtSvid {
    /// Whose it is.
    pub id: SpiffeId,
    /// The signed token.
    pub token: Secret<String>,
    /// See [`X509Svid::hint`].
    pub hint: String,
}

/// The trust bundles a workload may use. Never pooled: one per trust domain.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Bundles {
    /// Per trust domain, its CA certificates in DER.
    pub x509: BTreeMap<TrustDomain, Vec<Vec<u8>>>,
    /// Per trust domain, its JWT keys as an RFC 7517 document without other keys (section 6.2.2).
    pub jwt: BTreeMap<TrustDomain, Vec<u8>>,
}

/// A JWT-SVID that passed every rule of JWT-SVID.md.
#[derive(Clone, PartialEq, Debug)]
pub struct ValidJwt {
    /// Its subject.
    pub id: SpiffeId,
    /// All its claims.
    pub claims: serde_json::Map<String, serde_json::Value>,
}

/// Why a JWT-SVID was not accepted, as a fixed sentence. Goes to the caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Invalid(pub &'static str);

/// Who callers are and what they are entitled to.
pub trait Identities: Send + Sync + 'static {
    /// A caller that was found to be something. Kept for one request or stream.
    type Bound: Send + Sync + 'static;

    /// Who this caller is *now*. Called at each request and before each pushed message, so it must be cheap, and must look
    /// again whether the process lives and still executes what it was bound with.
    fn identify(&self, peer: &Peer) -> Result<Self::Bound, WhyNot>;

    /// The caller's X.509-SVIDs: the value now, and every later one. An empty list means that it has lost them.
    fn x509_svids(
        &self,
        bound: &Self::Bound,
    ) -> impl Future<Output = Result<watch::Receiver<Arc<Vec<X509Svid>>>, WhyNot>> + Send;

    /// A JWT-SVID for each identity of the caller (or only for `only`), for all of `audiences`.
    fn jwt_svids(
        &self,
        bound: &Self::Bound,
        audiences: &[Audience],
        only: Option<&SpiffeId>,
    ) -> impl Future<Output = Result<Vec<JwtSvid>, WhyNot>> + Send;

    /// The trust bundles: the value now, and every later one.
    fn bundles(&self) -> watch::Receiver<Arc<Bundles>>;

    /// Checks a token by the rules of JWT-SVID.md with the bundle of its subject's trust domain only (section 6.3).
    fn validate_jwt(
        &self,
        audience: &Audience,
        token: &str,
    ) -> impl Future<Output = Result<ValidJwt, Invalid>> + Send;
}
