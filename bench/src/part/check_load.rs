//! Envoy's check, asked as Envoy asks it: gRPC over mutual TLS, many at once on each connection. And a server that answers
//! without looking: the floor, and whom the peer asks.

use super::{Orders, tell};
use crate::client::Identity;
use crate::fault::{Fault, fault};
use crate::load::Client;
use gateway::ext_authz::proto::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer, Request};
use gateway::ext_authz::proto::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use gateway::ext_authz::proto::envoy::service::auth::v3::authorization_server::{
    Authorization, AuthorizationServer,
};
use gateway::ext_authz::proto::envoy::service::auth::v3::{
    AttributeContext, CheckRequest, CheckResponse, OkHttpResponse, check_response::HttpResponse,
};
use gateway::ext_authz::proto::google::rpc;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint, Uri};

/// Connections; a proxy has one for each of its threads.
const CONNECTIONS: usize = 4;
/// Checks of each connection at once.
const TOGETHER: usize = 16;

/// Whom to ask, and about whom.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) address: SocketAddr,
    /// `None`: in the clear.
    pub(crate) service: Option<Identity>,
    /// A declared host of the upstream, and the path.
    pub(crate) host: String,
    pub(crate) path: String,
    /// A token, and the certificate and name that it is bound to (base64 of DER).
    pub(crate) token: String,
    pub(crate) certificate: String,
    pub(crate) principal: String,
}

struct Envoy {
    client: AuthorizationClient<Channel>,
    request: CheckRequest,
}

impl Client for Envoy {
    async fn once(&mut self) -> Result<(), Fault> {
        let answer = self.client.check(self.request.clone()).await?.into_inner();
        match answer.http_response {
            Some(HttpResponse::OkResponse(_)) => Ok(()),
            other => Err(fault(format!("{other:?}"))),
        }
    }
}

fn request(order: &Order) -> CheckRequest {
    let base64 = order.certificate.replace('+', "%2B");
    let certificate = format!("-----BEGIN%20CERTIFICATE-----%0A{base64}%0A-----END%20CERTIFICATE-----%0A");
    let headers = HashMap::from([
        ("authorization".to_owned(), format!("Bearer {}", order.token)),
        ("accept".to_owned(), "application/json".to_owned()),
        ("user-agent".to_owned(), "bench".to_owned()),
        (
            "x-request-id".to_owned(),
            "6f6d2a0e-4a0a-4c1d-9f37-5b6c6a4a8f10".to_owned(),
        ),
    ]);
    CheckRequest {
        attributes: Some(AttributeContext {
            source: Some(Peer {
                principal: order.principal.clone(),
                certificate,
            }),
            request: Some(Request {
                http: Some(HttpRequest {
                    method: "GET".into(),
                    headers,
                    path: order.path.clone(),
                    host: order.host.clone(),
                    scheme: "https".into(),
                    ..HttpRequest::default()
                }),
            }),
        }),
    }
}

fn tls(service: &Identity) -> Result<TlsConnector, Fault> {
    let mut config = ClientConfig::clone(&*service.tls()?);
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

async fn connect(order: &Order) -> Result<AuthorizationClient<Channel>, Fault> {
    let address = order.address;
    let endpoint = Endpoint::from_static("http://tabard");
    let channel = match &order.service {
        None => {
            let dial = tower::service_fn(move |_: Uri| async move {
                TcpStream::connect(address).await.map(TokioIo::new)
            });
            endpoint.connect_with_connector(dial).await?
        }
        Some(service) => {
            let tls = tls(service)?;
            let dial = tower::service_fn(move |_: Uri| {
                let tls = tls.clone();
                async move {
                    let stream = TcpStream::connect(address).await?;
                    stream.set_nodelay(true)?;
                    let name = ServerName::IpAddress(address.ip().into());
                    tls.connect(name, stream).await.map(TokioIo::new)
                }
            });
            endpoint.connect_with_connector(dial).await?
        }
    };
    Ok(AuthorizationClient::new(channel))
}

pub(super) async fn run(mut orders: Orders) -> Result<(), Fault> {
    let order: Order = orders.first().await?;
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let client = connect(&order).await?;
        for _ in 0..TOGETHER {
            clients.push(Envoy {
                client: client.clone(),
                request: request(&order),
            });
        }
    }
    orders.serve_rounds(clients).await
}

/// Lets everything pass.
#[derive(Debug, Clone)]
struct Nothing;

#[tonic::async_trait]
impl Authorization for Nothing {
    async fn check(
        &self,
        _: tonic::Request<CheckRequest>,
    ) -> Result<tonic::Response<CheckResponse>, tonic::Status> {
        Ok(tonic::Response::new(CheckResponse {
            status: Some(rpc::Status::default()),
            http_response: Some(HttpResponse::OkResponse(OkHttpResponse::default())),
        }))
    }
}

/// The floor: says where it listens, then its CPU time whenever it is asked.
pub(super) async fn run_nothing(orders: Orders) -> Result<(), Fault> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    tell(&listener.local_addr()?)?;
    drop(tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(stream.set_nodelay(true));
            drop(tokio::spawn(async move {
                let service = TowerToHyperService::new(AuthorizationServer::new(Nothing));
                hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service)
                    .await
            }));
        }
    }));
    orders.serve_cpu().await
}
