//! The least a proxy can do, the floor of the gateway: HTTP/1.1 in the clear, one header injected, nothing decided,
//! nothing recorded.

use super::{Orders, tell};
use crate::fault::Fault;
use http::{HeaderValue, Uri, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::net::SocketAddr;
use tokio::net::TcpListener;

pub(super) async fn run(mut orders: Orders) -> Result<(), Fault> {
    let upstream: SocketAddr = orders.first().await?;
    let client: Client<_, Incoming> = Client::builder(TokioExecutor::new()).build_http();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    tell(&listener.local_addr()?)?;
    drop(tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(stream.set_nodelay(true));
            let client = client.clone();
            let service = service_fn(move |mut request: http::Request<Incoming>| {
                let client = client.clone();
                async move {
                    let path = request.uri().path().to_owned();
                    let to = Uri::builder()
                        .scheme("http")
                        .authority(upstream.to_string())
                        .path_and_query(path);
                    *request.uri_mut() = to.build()?;
                    request.headers_mut().remove(header::HOST);
                    request
                        .headers_mut()
                        .insert("x-api-key", HeaderValue::from_static("injected"));
                    Ok::<_, Fault>(client.request(request).await?)
                }
            });
            drop(tokio::spawn(
                http1::Builder::new().serve_connection(TokioIo::new(stream), service),
            ));
        }
    }));
    orders.serve_cpu().await
}
