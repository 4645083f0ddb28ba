//! An upstream: answers every request with 1 KiB.

use super::{Orders, tell};
use crate::fault::Fault;
use http::Response;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// Length of every answer.
const BODY: [u8; 1024] = [b'x'; 1024];

pub(super) async fn run(mut orders: Orders) -> Result<(), Fault> {
    let _none: Option<serde_json::Value> = orders.next().await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    tell(&listener.local_addr()?)?;
    drop(tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(stream.set_nodelay(true));
            let service = service_fn(async |request: http::Request<Incoming>| {
                request.into_body().collect().await?;
                Ok::<_, hyper::Error>(Response::new(Full::new(Bytes::from_static(&BODY))))
            });
            drop(tokio::spawn(
                http1::Builder::new().serve_connection(TokioIo::new(stream), service),
            ));
        }
    }));
    orders.serve_cpu().await
}
