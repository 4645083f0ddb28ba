//! Clients that ask the same thing over HTTP again and again, each on a connection that it keeps: a decision, or nothing at
//! all, of a server of ours or of somebody else's.

use super::Orders;
use crate::client::{Connection, Identity};
use crate::fault::{Fault, fault};
use crate::load::Client;
use http::Request;
use http_body_util::Full;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// Whom to ask, and what.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) address: SocketAddr,
    /// `None`: in the clear.
    pub(crate) tls: Option<Identity>,
    /// One client each.
    pub(crate) questions: Vec<Question>,
}

/// What one client asks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Question {
    pub(crate) path: String,
    /// `None` is a GET.
    pub(crate) body: Option<String>,
    /// What every answer holds.
    pub(crate) answer: String,
}

struct Asker {
    connection: Connection,
    host: String,
    question: Question,
}

impl Client for Asker {
    async fn once(&mut self) -> Result<(), Fault> {
        let Question { path, body, answer } = &self.question;
        let request = match body {
            None => Request::get(path),
            Some(_) => Request::post(path).header("content-type", "application/json"),
        };
        let request = request.header("host", &self.host);
        let body = Full::from(body.clone().unwrap_or_default());
        let (_, found) = self.connection.send(request.body(body)?).await?;
        let found = String::from_utf8_lossy(&found);
        if found.contains(answer.as_str()) {
            Ok(())
        } else {
            Err(fault(format!("not {answer}: {found}")))
        }
    }
}

pub(super) async fn run(mut orders: Orders) -> Result<(), Fault> {
    let order: Order = orders.first().await?;
    let tls = order.tls.as_ref().map(Identity::tls).transpose()?;
    let mut askers = Vec::new();
    for question in order.questions {
        askers.push(Asker {
            connection: Connection::open(order.address, tls.clone()).await?,
            host: order.address.to_string(),
            question,
        });
    }
    orders.serve_rounds(askers).await
}
