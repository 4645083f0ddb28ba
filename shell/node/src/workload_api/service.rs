//! The seven methods. Each begins with the same two steps: the security header, then who the caller is now.

use super::identities::{Bundles, Identities, JwtSvid, X509Svid};
use super::proto::spiffe_workload_api_server::SpiffeWorkloadApi;
use super::proto::{
    JwtBundlesRequest, JwtBundlesResponse, Jwtsvid, JwtsvidRequest, JwtsvidResponse, ValidateJwtsvidRequest,
    ValidateJwtsvidResponse, WitBundlesRequest, WitBundlesResponse, WitsvidRequest, WitsvidResponse,
    X509BundlesRequest, X509BundlesResponse, X509svid, X509svidRequest, X509svidResponse,
};
use super::serve::Caller;
use futures_util::Stream;
use identity::{Audience, SpiffeId};
use peer::Peer;
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

/// Every request carries this metadata with the value `true`, so that no browser and no confused HTTP client can be made
/// to ask (SPIFFE_Workload_Endpoint.md section 6).
const SECURITY_HEADER: &str = "workload.spiffe.io";
/// A JWT-SVID for more audiences than this is a bearer key to the whole house.
const AUDIENCES_MAX: usize = 16;
/// Spread over which a change of the bundles reaches the streams, so that not all clients of a host wake at once
/// (section 4.3). Short against the promise of 100 ms to the first SVID.
const JITTER_MAX: Duration = Duration::from_millis(50);

/// The service over somebody's [`Identities`].
pub(super) struct Service<I>(pub(super) Arc<I>);

type Pushed<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl<I: Identities> Service<I> {
    fn caller<T>(&self, request: &Request<T>) -> Result<(Peer, I::Bound), Status> {
        let mut values = request.metadata().get_all(SECURITY_HEADER).iter();
        if values.next().is_none_or(|value| value != "true") || values.next().is_some() {
            return Err(Status::invalid_argument(
                "the metadata workload.spiffe.io must be \"true\"",
            ));
        }
        let caller = request.extensions().get::<Caller>();
        let peer = caller
            .map(|caller| caller.0.clone())
            .ok_or_else(|| Status::internal("unknown connection"))?;
        let bound = self.0.identify(&peer)?;
        Ok((peer, bound))
    }

    /// Pushes `message` of each value of `watched`, the first at once. The caller is identified anew before each one;
    /// the stream ends with its refusal.
    fn pushed<V, T>(
        &self,
        peer: Peer,
        mut watched: watch::Receiver<V>,
        message: impl Fn(&V) -> Result<T, Status> + Send + 'static,
    ) -> Response<Pushed<T>>
    where
        V: Send + Sync + 'static,
        T: Send + 'static,
    {
        let (to_client, from_us) = mpsc::channel(1);
        let identities = self.0.clone();
        let jitter =
            JITTER_MAX.mul_f64(f64::from(u8::try_from(peer.process.inode() % 256).unwrap_or(0)) / 256.0);
        tokio::spawn(async move {
            loop {
                let next = match identities.identify(&peer) {
                    Ok(_) => message(&watched.borrow_and_update()),
                    Err(why) => Err(why.into()),
                };
                let last = next.is_err();
                if to_client.send(next).await.is_err() || last {
                    return;
                }
                tokio::select! {
                    changed = watched.changed() => if changed.is_err() { return },
                    () = to_client.closed() => return,
                }
                tokio::time::sleep(jitter).await;
            }
        });
        Response::new(Box::pin(ReceiverStream::new(from_us)))
    }
}

#[tonic::async_trait]
impl<I: Identities> SpiffeWorkloadApi for Service<I> {
    type FetchX509SVIDStream = Pushed<X509svidResponse>;
    type FetchX509BundlesStream = Pushed<X509BundlesResponse>;
    type FetchJWTBundlesStream = Pushed<JwtBundlesResponse>;
    type FetchWITSVIDStream = Pushed<WitsvidResponse>;
    type FetchWITBundlesStream = Pushed<WitBundlesResponse>;

    async fn fetch_x509svid(
        &self,
        request: Request<X509svidRequest>,
    ) -> Result<Response<Self::FetchX509SVIDStream>, Status> {
        let (peer, bound) = self.caller(&request)?;
        let svids = self.0.x509_svids(&bound).await?;
        let bundles = self.0.bundles();
        let both = merged(svids, bundles);
        Ok(self.pushed(peer, both, |(svids, bundles)| x509_response(svids, bundles)))
    }

    async fn fetch_x509_bundles(
        &self,
        request: Request<X509BundlesRequest>,
    ) -> Result<Response<Self::FetchX509BundlesStream>, Status> {
        let (peer, _) = self.caller(&request)?;
        Ok(self.pushed(peer, self.0.bundles(), |bundles| {
            let bundles = bundles
                .x509
                .iter()
                .map(|(domain, cas)| (domain.id().to_string(), cas.concat()));
            Ok(X509BundlesResponse {
                crl: Vec::new(),
                bundles: bundles.collect(),
            })
        }))
    }

    async fn fetch_jwtsvid(
        &self,
        request: Request<JwtsvidRequest>,
    ) -> Result<Response<JwtsvidResponse>, Status> {
        let (_, bound) = self.caller(&request)?;
        let request = request.into_inner();
        if request.audience.is_empty() || request.audience.len() > AUDIENCES_MAX {
            return Err(Status::invalid_argument("a JWT-SVID needs 1 to 16 audiences"));
        }
        let audiences = request
            .audience
            .iter()
            .map(|text| text.parse::<Audience>())
            .collect::<Result<Vec<_>, _>>();
        let audiences = audiences.map_err(|error| Status::invalid_argument(error.to_string()))?;
        let only = match request.spiffe_id.as_str() {
            "" => None,
            id => Some(
                id.parse::<SpiffeId>()
                    .map_err(|error| Status::invalid_argument(error.to_string()))?,
            ),
        };
        let svids = self.0.jwt_svids(&bound, &audiences, only.as_ref()).await?;
        let wire = |svid: JwtSvid| Jwtsvid {
            spiffe_id: svid.id.to_string(),
            svid: svid.token.expose().clone(),
            hint: svid.hint,
        };
        Ok(Response::new(JwtsvidResponse {
            svids: svids.into_iter().map(wire).collect(),
        }))
    }

    async fn fetch_jwt_bundles(
        &self,
        request: Request<JwtBundlesRequest>,
    ) -> Result<Response<Self::FetchJWTBundlesStream>, Status> {
        let (peer, _) = self.caller(&request)?;
        Ok(self.pushed(peer, self.0.bundles(), |bundles| {
            let bundles = bundles
                .jwt
                .iter()
                .map(|(domain, keys)| (domain.id().to_string(), keys.clone()));
            Ok(JwtBundlesResponse {
                bundles: bundles.collect(),
            })
        }))
    }

    async fn validate_jwtsvid(
        &self,
        request: Request<ValidateJwtsvidRequest>,
    ) -> Result<Response<ValidateJwtsvidResponse>, Status> {
        self.caller(&request)?;
        let request = request.into_inner();
        let audience: Audience = request
            .audience
            .parse()
            .map_err(|_| Status::invalid_argument("an audience is needed"))?;
        if request.svid.is_empty() {
            return Err(Status::invalid_argument("a JWT-SVID is needed"));
        }
        let valid = self.0.validate_jwt(&audience, &request.svid).await;
        let valid = valid.map_err(|invalid| Status::invalid_argument(invalid.0))?;
        Ok(Response::new(ValidateJwtsvidResponse {
            spiffe_id: valid.id.to_string(),
            claims: Some(structure(valid.claims)),
        }))
    }

    async fn fetch_witsvid(
        &self,
        request: Request<WitsvidRequest>,
    ) -> Result<Response<Self::FetchWITSVIDStream>, Status> {
        self.caller(&request)?;
        Err(Status::unimplemented("the WIT-SVID profile is not offered"))
    }

    async fn fetch_wit_bundles(
        &self,
        request: Request<WitBundlesRequest>,
    ) -> Result<Response<Self::FetchWITBundlesStream>, Status> {
        self.caller(&request)?;
        Err(Status::unimplemented("the WIT-SVID profile is not offered"))
    }
}

type Context = (Arc<Vec<X509Svid>>, Arc<Bundles>);

/// One watch over both: a message is always the complete state of one moment (section 4.3). Ends with either source.
fn merged(
    mut svids: watch::Receiver<Arc<Vec<X509Svid>>>,
    mut bundles: watch::Receiver<Arc<Bundles>>,
) -> watch::Receiver<Context> {
    let now = (
        svids.borrow_and_update().clone(),
        bundles.borrow_and_update().clone(),
    );
    let (tell, told) = watch::channel(now);
    tokio::spawn(async move {
        loop {
            let alive = tokio::select! {
                changed = svids.changed() => changed.is_ok(),
                changed = bundles.changed() => changed.is_ok(),
                () = tell.closed() => false,
            };
            let next = (
                svids.borrow_and_update().clone(),
                bundles.borrow_and_update().clone(),
            );
            if !alive || tell.send(next).is_err() {
                return;
            }
        }
    });
    told
}

fn x509_response(svids: &[X509Svid], bundles: &Bundles) -> Result<X509svidResponse, Status> {
    if svids.is_empty() {
        // Section 5.2.1: at least one; an empty list would be malformed, losing everything is PermissionDenied.
        return Err(Status::permission_denied(
            "TABARD-ATTEST-002 the identity was withdrawn",
        ));
    }
    let bundle_of = |name: &str| bundles.x509.iter().find(|(domain, _)| domain.as_str() == name);
    let own: Vec<_> = svids.iter().map(|svid| svid.id.trust_domain()).collect();
    let mut wire = Vec::with_capacity(svids.len());
    for svid in svids {
        let Some((_, bundle)) = bundle_of(svid.id.trust_domain()) else {
            return Err(Status::unavailable("TABARD-NODE-001 not ready, try again"));
        };
        wire.push(X509svid {
            spiffe_id: svid.id.to_string(),
            x509_svid: svid.chain.concat(),
            x509_svid_key: svid.key.expose().clone(),
            bundle: bundle.concat(),
            hint: svid.hint.clone(),
        });
    }
    let foreign = bundles
        .x509
        .iter()
        .filter(|(domain, _)| !own.contains(&domain.as_str()));
    let federated_bundles: HashMap<_, _> = foreign
        .map(|(domain, cas)| (domain.id().to_string(), cas.concat()))
        .collect();
    Ok(X509svidResponse {
        svids: wire,
        crl: Vec::new(),
        federated_bundles,
    })
}

/// JSON claims as a protobuf structure.
fn structure(claims: serde_json::Map<String, serde_json::Value>) -> prost_types::Struct {
    prost_types::Struct {
        fields: claims
            .into_iter()
            .map(|(name, claim)| (name, value(claim)))
            .collect(),
    }
}

fn value(json: serde_json::Value) -> prost_types::Value {
    use prost_types::value::Kind;
    use serde_json::Value;
    let kind = match json {
        Value::Null => Kind::NullValue(0),
        Value::Bool(truth) => Kind::BoolValue(truth),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => Kind::StringValue(text),
        Value::Array(items) => Kind::ListValue(prost_types::ListValue {
            values: items.into_iter().map(value).collect(),
        }),
        Value::Object(members) => Kind::StructValue(structure(members)),
    };
    prost_types::Value { kind: Some(kind) }
}
