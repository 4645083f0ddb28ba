//! Clients of the token endpoint (RFC 8693), each on a connection that it keeps.

use super::Orders;
use crate::client::{self, Connection};
use crate::fault::{Fault, fault};
use crate::key::ClientKey;
use crate::load::Client;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use credential::dpop::RequestTarget;
use http::Request;
use http_body_util::Full;
use identity::UnixTime;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

/// Whom to ask, and as whom.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) address: SocketAddr,
    pub(crate) root_pem: PathBuf,
    pub(crate) token_url: String,
    pub(crate) callers: Vec<Caller>,
}

/// One client.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Caller {
    /// PKCS#8, base64.
    pub(crate) key: String,
    /// Its X.509-SVID, base64 of DER, leaf first; empty for a client that proves its key by DPoP.
    pub(crate) chain: Vec<String>,
    /// A file with its JWT-SVIDs, one a line. Each is used once and then never again; the last is used on.
    pub(crate) subjects: PathBuf,
}

struct Exchanger {
    connection: Connection,
    address: String,
    target: RequestTarget,
    key: ClientKey,
    bound: bool,
    subjects: VecDeque<String>,
    nonce: Option<String>,
    number: u64,
    place: usize,
}

/// The form of an exchange (RFC 8693 section 2.1) of a JWT-SVID for an access token.
pub(crate) fn form(subject: &str, audience: &str) -> String {
    format!(
        "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token={subject}\
         &subject_token_type=urn:ietf:params:oauth:token-type:jwt&audience={audience}"
    )
}

pub(crate) fn now() -> UnixTime {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    UnixTime::from_millis(u64::try_from(since.as_millis()).unwrap_or(0))
}

impl Client for Exchanger {
    async fn once(&mut self) -> Result<(), Fault> {
        let subject = if self.subjects.len() > 1 {
            self.subjects.pop_front()
        } else {
            self.subjects.front().cloned()
        };
        let subject = subject.ok_or_else(|| fault("no subject token is left"))?;
        let mut request = Request::post("/oauth/token")
            .header("host", &self.address)
            .header("content-type", "application/x-www-form-urlencoded");
        if !self.bound {
            self.number += 1;
            let jti = format!("{}-{}-{}", std::process::id(), self.place, self.number);
            let proof = self.key.proof(&self.target, &jti, self.nonce.as_deref(), now())?;
            request = request.header("dpop", proof);
        }
        let (headers, _) = self
            .connection
            .send(request.body(Full::from(form(&subject, "invoices")))?)
            .await?;
        if let Some(nonce) = headers.get("dpop-nonce") {
            self.nonce = Some(nonce.to_str()?.to_owned());
        }
        Ok(())
    }
}

impl Exchanger {
    async fn of(order: &Order, caller: &Caller, place: usize, nonce: Option<String>) -> Result<Self, Fault> {
        let root = CertificateDer::from_pem_file(&order.root_pem)?.to_vec();
        let pkcs8 = STANDARD.decode(&caller.key)?;
        let chain: Vec<Vec<u8>> = caller
            .chain
            .iter()
            .map(|der| STANDARD.decode(der))
            .collect::<Result<_, _>>()?;
        let bound = !chain.is_empty();
        let tls = client::tls(root, bound.then(|| (chain, pkcs8.clone())))?;
        let subjects = tokio::fs::read_to_string(&caller.subjects).await?;
        Ok(Self {
            connection: Connection::open(order.address, Some(Arc::clone(&tls))).await?,
            address: order.address.to_string(),
            target: RequestTarget::parse(&order.token_url)?,
            key: ClientKey::from_pkcs8(pkcs8)?,
            bound,
            subjects: subjects.lines().map(str::to_owned).collect(),
            nonce,
            number: 0,
            place,
        })
    }
}

pub(super) async fn run(mut orders: Orders) -> Result<(), Fault> {
    #[derive(Deserialize)]
    struct First {
        order: Order,
        nonce: Option<String>,
    }
    let First { order, nonce } = orders.first().await?;
    let mut clients = Vec::new();
    for (place, caller) in order.callers.iter().enumerate() {
        clients.push(Exchanger::of(&order, caller, place, nonce.clone()).await?);
    }
    orders.serve_rounds(clients).await
}
