//! Callers of a gateway or of the floor's proxy, each on a connection that it keeps.

use super::{Orders, tell};
use crate::client::{self, Connection};
use crate::fault::{Fault, fault};
use crate::load::{self, Client, Round};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Request;
use http_body_util::Full;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// Whom to ask for what.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) address: SocketAddr,
    pub(crate) path: String,
    pub(crate) connections: usize,
    /// `None`: in the clear, without a credential.
    pub(crate) bound: Option<Bound>,
}

/// A token and the certificate that it is bound to (RFC 8705 section 3).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Bound {
    pub(crate) token: String,
    /// The gateway's certificate, base64 of DER.
    pub(crate) root: String,
    /// The caller's own.
    pub(crate) certificate: String,
    /// PKCS#8 of its key.
    pub(crate) key: String,
}

struct Caller {
    connection: Connection,
    host: String,
    path: String,
    authorization: Option<String>,
}

impl Client for Caller {
    async fn once(&mut self) -> Result<(), Fault> {
        let mut request = Request::get(&self.path).header("host", &self.host);
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        let (_, body) = self.connection.send(request.body(Full::default())?).await?;
        if body.len() == 1024 {
            Ok(())
        } else {
            Err(fault(format!("{} bytes came back", body.len())))
        }
    }
}

pub(super) async fn run(mut orders: Orders) -> Result<(), Fault> {
    let order: Order = orders.first().await?;
    let tls = match &order.bound {
        None => None,
        Some(bound) => {
            let identity = (
                vec![STANDARD.decode(&bound.certificate)?],
                STANDARD.decode(&bound.key)?,
            );
            Some(client::tls(STANDARD.decode(&bound.root)?, Some(identity))?)
        }
    };
    let mut callers = Vec::new();
    for _ in 0..order.connections {
        callers.push(Caller {
            connection: Connection::open(order.address, tls.clone()).await?,
            host: order.address.to_string(),
            path: order.path.clone(),
            authorization: order
                .bound
                .as_ref()
                .map(|bound| format!("Bearer {}", bound.token)),
        });
    }
    tell(&callers.len())?;
    while let Some(round) = orders.next::<Round>().await? {
        let (back, done) = load::run(callers, round).await?;
        callers = back;
        tell(&done)?;
    }
    Ok(())
}
