//! The Workload API as its callers meet it: the header rule, the codes, the streams.

use crate::authority::TestAuthority;
use peer::Listener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tabard_node::workload_api::proto::spiffe_workload_api_client::SpiffeWorkloadApiClient;
use tabard_node::workload_api::proto::{
    JwtBundlesRequest, JwtsvidRequest, ValidateJwtsvidRequest, WitBundlesRequest, WitsvidRequest,
    X509BundlesRequest, X509svidRequest,
};
use tabard_node::workload_api::serve;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request};

struct Served {
    authority: Arc<TestAuthority>,
    path: PathBuf,
    task: tokio::task::JoinHandle<()>,
    _dir: tempfile::TempDir,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn served(judge: impl Fn(&peer::Peer) -> bool + Send + Sync + 'static) -> Served {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("workload.sock");
    let authority = TestAuthority::new(judge);
    let listener = Listener::bind(&path).unwrap();
    let task = tokio::spawn(serve(listener, authority.clone(), std::future::pending()));
    Served {
        authority,
        path,
        task,
        _dir: dir,
    }
}

impl Served {
    /// A client that sends the `:authority` which clients on gRPC's C library send on Unix sockets is made by other
    /// people's tests; this one sends a plain one.
    async fn client(&self) -> SpiffeWorkloadApiClient<Channel> {
        let path = self.path.clone();
        let connect = tower::service_fn(move |_: http::Uri| {
            let path = path.clone();
            async move {
                Ok::<_, std::io::Error>(hyper_util::rt::TokioIo::new(
                    tokio::net::UnixStream::connect(path).await?,
                ))
            }
        });
        let channel = Endpoint::from_static("http://localhost")
            .connect_with_connector(connect)
            .await
            .unwrap();
        SpiffeWorkloadApiClient::new(channel)
    }
}

fn asked<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request
        .metadata_mut()
        .insert("workload.spiffe.io", "true".parse().unwrap());
    request
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), future)
        .await
        .expect("within ten seconds")
}

#[tokio::test]
async fn every_method_refuses_a_request_without_the_security_header() {
    let served = served(|_| true);
    let mut client = served.client().await;
    let mut wrong = Request::new(X509svidRequest {});
    wrong
        .metadata_mut()
        .insert("workload.spiffe.io", "True".parse().unwrap());
    let codes = [
        client.fetch_x509svid(wrong).await.err(),
        client.fetch_x509svid(X509svidRequest {}).await.err(),
        client.fetch_x509_bundles(X509BundlesRequest {}).await.err(),
        client
            .fetch_jwtsvid(JwtsvidRequest {
                audience: vec!["a".into()],
                spiffe_id: String::new(),
            })
            .await
            .err(),
        client.fetch_jwt_bundles(JwtBundlesRequest {}).await.err(),
        client
            .validate_jwtsvid(ValidateJwtsvidRequest::default())
            .await
            .err(),
        client.fetch_witsvid(WitsvidRequest::default()).await.err(),
        client.fetch_wit_bundles(WitBundlesRequest {}).await.err(),
    ];
    for status in codes {
        assert_eq!(status.unwrap().code(), Code::InvalidArgument);
    }
}

#[tokio::test]
async fn a_caller_without_identity_learns_a_code_and_an_id_and_nothing_else() {
    let served = served(|_| false);
    let mut client = served.client().await;
    let status = client
        .fetch_x509svid(asked(X509svidRequest {}))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    assert!(
        status
            .message()
            .starts_with("TABARD-ATTEST-001 no identity for this process (dec_")
    );
    for status in [
        client
            .fetch_x509_bundles(asked(X509BundlesRequest {}))
            .await
            .err(),
        client.fetch_jwt_bundles(asked(JwtBundlesRequest {})).await.err(),
        client.fetch_wit_bundles(asked(WitBundlesRequest {})).await.err(),
    ] {
        assert_eq!(status.unwrap().code(), Code::PermissionDenied);
    }
}

#[tokio::test]
async fn svids_come_at_once_and_again_when_they_rotate() {
    let served = served(|_| true);
    let mut client = served.client().await;
    let mut stream = client
        .fetch_x509svid(asked(X509svidRequest {}))
        .await
        .unwrap()
        .into_inner();
    let first = soon(stream.message()).await.unwrap().unwrap();
    assert_eq!(first.svids[0].spiffe_id, "spiffe://test.tabard/acme/agent/demo");
    assert!(!first.svids[0].bundle.is_empty() && first.federated_bundles.is_empty());
    served.authority.rotate();
    let second = soon(stream.message()).await.unwrap().unwrap();
    assert_ne!(first.svids[0].x509_svid, second.svids[0].x509_svid);
    served.authority.bundle_changed();
    let third = soon(stream.message()).await.unwrap().unwrap();
    assert_eq!(third.svids[0].x509_svid, second.svids[0].x509_svid);
    assert!(third.federated_bundles.contains_key("spiffe://other.example"));
}

#[tokio::test]
async fn losing_every_svid_ends_the_stream_with_permission_denied() {
    let served = served(|_| true);
    let mut client = served.client().await;
    let mut stream = client
        .fetch_x509svid(asked(X509svidRequest {}))
        .await
        .unwrap()
        .into_inner();
    soon(stream.message()).await.unwrap().unwrap();
    served.authority.svids.send_replace(Arc::default());
    assert_eq!(
        soon(stream.message()).await.unwrap_err().code(),
        Code::PermissionDenied
    );
}

#[tokio::test]
async fn a_caller_that_stops_being_entitled_gets_no_further_message() {
    let entitled = Arc::new(AtomicBool::new(true));
    let judge = entitled.clone();
    let served = served(move |_| judge.load(Ordering::SeqCst));
    let mut client = served.client().await;
    let mut stream = client
        .fetch_jwt_bundles(asked(JwtBundlesRequest {}))
        .await
        .unwrap()
        .into_inner();
    let first = soon(stream.message()).await.unwrap().unwrap();
    assert!(first.bundles.contains_key("spiffe://test.tabard"));
    entitled.store(false, Ordering::SeqCst);
    served.authority.bundle_changed();
    assert_eq!(
        soon(stream.message()).await.unwrap_err().code(),
        Code::PermissionDenied
    );
}

#[tokio::test]
async fn jwt_svids_need_an_audience_and_are_given_only_for_own_names() {
    let served = served(|_| true);
    let mut client = served.client().await;
    let request = |audience: &[&str], id: &str| {
        asked(JwtsvidRequest {
            audience: audience.iter().map(ToString::to_string).collect(),
            spiffe_id: id.into(),
        })
    };
    for (bad, code) in [
        (request(&[], ""), Code::InvalidArgument),
        (request(&[""], ""), Code::InvalidArgument),
        (request(&["a"; 17], ""), Code::InvalidArgument),
        (request(&["a"], "http://x"), Code::InvalidArgument),
        (
            request(&["a"], "spiffe://test.tabard/acme/agent/other"),
            Code::PermissionDenied,
        ),
    ] {
        assert_eq!(client.fetch_jwtsvid(bad).await.unwrap_err().code(), code);
    }
    let svids = client
        .fetch_jwtsvid(request(&["a", "b"], ""))
        .await
        .unwrap()
        .into_inner()
        .svids;
    assert_eq!(svids.len(), 1);
    let valid = client
        .validate_jwtsvid(asked(ValidateJwtsvidRequest {
            audience: "b".into(),
            svid: svids[0].svid.clone(),
        }))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(valid.spiffe_id, svids[0].spiffe_id);
    assert!(valid.claims.unwrap().fields.contains_key("exp"));
    for (audience, svid) in [("c", svids[0].svid.as_str()), ("", "x"), ("b", "")] {
        let request = ValidateJwtsvidRequest {
            audience: audience.into(),
            svid: svid.into(),
        };
        assert_eq!(
            client.validate_jwtsvid(asked(request)).await.unwrap_err().code(),
            Code::InvalidArgument
        );
    }
}

#[tokio::test]
async fn the_incubating_profile_is_unimplemented() {
    let served = served(|_| true);
    let mut client = served.client().await;
    let svid = client
        .fetch_witsvid(asked(WitsvidRequest::default()))
        .await
        .unwrap_err();
    let bundles = client
        .fetch_wit_bundles(asked(WitBundlesRequest {}))
        .await
        .unwrap_err();
    assert_eq!(
        (svid.code(), bundles.code()),
        (Code::Unimplemented, Code::Unimplemented)
    );
}
