//! Callers of a gateway, of the floor's proxy or of the peer, each on a connection that it keeps.

use super::Orders;
use crate::client::{Connection, Identity};
use crate::fault::{Fault, fault};
use crate::load::Client;
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
    pub(crate) identity: Identity,
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
    let tls = order
        .bound
        .as_ref()
        .map(|bound| bound.identity.tls())
        .transpose()?;
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
    orders.serve_rounds(callers).await
}
