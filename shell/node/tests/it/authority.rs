//! A trust domain small enough for a test: one CA, one JWT key, and whoever the test says is entitled.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use identity::{Audience, DecisionId, LogId, Secret, SpiffeId, TrustDomain, UnixTime};
use peer::Peer;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tabard_node::authority::IssuedX509;
use tabard_node::workload_api::{Bundles, Identities, Invalid, JwtSvid, ValidJwt, WhyNot, X509Svid};
use tokio::sync::watch;

/// The id every refusal of a test names.
pub(crate) fn refused() -> WhyNot {
    WhyNot::NoIdentity {
        decision: DecisionId::random(UnixTime::from_secs(1), LogId(0), 1),
    }
}

/// Judges a caller in a test.
pub(crate) type Judge = Box<dyn Fn(&Peer) -> bool + Send + Sync>;

/// The trust domain `test.tabard`.
pub(crate) struct TestAuthority {
    id: SpiffeId,
    ca: rcgen::CertifiedIssuer<'static, rcgen::KeyPair>,
    jwt: EcdsaKeyPair,
    pub(crate) svids: watch::Sender<Arc<Vec<X509Svid>>>,
    pub(crate) bundles: watch::Sender<Arc<Bundles>>,
    pub(crate) judge: Judge,
}

impl TestAuthority {
    pub(crate) fn new(judge: impl Fn(&Peer) -> bool + Send + Sync + 'static) -> Arc<Self> {
        let domain: TrustDomain = "test.tabard".parse().unwrap();
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.key_usages = vec![
            rcgen::KeyUsagePurpose::KeyCertSign,
            rcgen::KeyUsagePurpose::CrlSign,
        ];
        params.subject_alt_names = vec![rcgen::SanType::URI(domain.id().as_str().try_into().unwrap())];
        valid_for(&mut params, Duration::from_hours(1));
        let ca = rcgen::CertifiedIssuer::self_signed(params, rcgen::KeyPair::generate().unwrap()).unwrap();
        let pkcs8 =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        let jwt = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).unwrap();
        let point = jwt.public_key().as_ref();
        let jwks = serde_json::json!({"keys": [{
            "kty": "EC", "crv": "P-256", "kid": "k1", "use": "jwt-svid",
            "x": B64.encode(&point[1..33]), "y": B64.encode(&point[33..65]),
        }]});
        let bundles = Bundles {
            x509: BTreeMap::from([(domain.clone(), vec![ca.der().to_vec()])]),
            jwt: BTreeMap::from([(domain.clone(), jwks.to_string().into_bytes())]),
        };
        let authority = Self {
            id: domain.id_of(&["acme", "agent", "demo"]).unwrap(),
            ca,
            jwt,
            svids: watch::Sender::new(Arc::default()),
            bundles: watch::Sender::new(Arc::new(bundles)),
            judge: Box::new(judge),
        };
        authority.rotate();
        Arc::new(authority)
    }

    pub(crate) fn bundle_changed(&self) {
        self.bundles.send_modify(|bundles| {
            let mut next = Bundles::clone(bundles);
            next.x509
                .insert("other.example".parse().unwrap(), vec![self.ca.der().to_vec()]);
            *bundles = Arc::new(next);
        });
    }

    /// A new X.509-SVID replaces the old one.
    pub(crate) fn rotate(&self) {
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.is_ca = rcgen::IsCa::ExplicitNoCa;
        params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            rcgen::ExtendedKeyUsagePurpose::ServerAuth,
            rcgen::ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.subject_alt_names = vec![rcgen::SanType::URI(self.id.as_str().try_into().unwrap())];
        valid_for(&mut params, Duration::from_mins(10));
        let key = rcgen::KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &self.ca).unwrap();
        self.svids.send_replace(Arc::new(vec![X509Svid {
            id: self.id.clone(),
            chain: vec![leaf.der().to_vec()],
            key: Secret::new(key.serialize_der()),
            hint: String::new(),
        }]));
    }

    /// Signs whatever key and name a certificate request has.
    pub(crate) fn sign(&self, csr: &[u8]) -> IssuedX509 {
        let mut request = rcgen::CertificateSigningRequestParams::from_der(&csr.into()).unwrap();
        request.params.is_ca = rcgen::IsCa::ExplicitNoCa;
        request.params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
        valid_for(&mut request.params, Duration::from_mins(10));
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
            .as_secs();
        IssuedX509 {
            chain: vec![request.signed_by(&self.ca).unwrap().der().to_vec()],
            not_before: UnixTime::from_secs(now),
            not_after: UnixTime::from_secs(now + 600),
        }
    }

    pub(crate) fn token(&self, audiences: &[Audience]) -> String {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let header = r#"{"alg":"ES256","kid":"k1","typ":"JWT"}"#;
        let claims = serde_json::json!({"sub": self.id, "aud": audiences, "exp": now + 300, "iat": now});
        let message = format!("{}.{}", B64.encode(header), B64.encode(claims.to_string()));
        let signature = self.jwt.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        format!("{message}.{}", B64.encode(signature))
    }
}

fn valid_for(params: &mut rcgen::CertificateParams, span: Duration) {
    let now = SystemTime::now();
    params.not_before = (now - Duration::from_secs(5)).into();
    params.not_after = (now + span).into();
}

impl Identities for TestAuthority {
    type Bound = ();
    fn identify(&self, peer: &Peer) -> Result<(), WhyNot> {
        if (self.judge)(peer) {
            Ok(())
        } else {
            Err(refused())
        }
    }
    async fn x509_svids(&self, (): &()) -> Result<watch::Receiver<Arc<Vec<X509Svid>>>, WhyNot> {
        Ok(self.svids.subscribe())
    }
    async fn jwt_svids(
        &self,
        (): &(),
        audiences: &[Audience],
        only: Option<&SpiffeId>,
    ) -> Result<Vec<JwtSvid>, WhyNot> {
        if only.is_some_and(|only| *only != self.id) {
            return Err(refused());
        }
        Ok(vec![JwtSvid {
            id: self.id.clone(),
            token: Secret::new(self.token(audiences)),
            hint: String::new(),
        }])
    }
    fn bundles(&self) -> watch::Receiver<Arc<Bundles>> {
        self.bundles.subscribe()
    }
    async fn validate_jwt(&self, audience: &Audience, token: &str) -> Result<ValidJwt, Invalid> {
        let claims = token
            .split('.')
            .nth(1)
            .and_then(|part| B64.decode(part).ok())
            .ok_or(Invalid("malformed"))?;
        let claims: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(&claims).map_err(|_| Invalid("malformed"))?;
        let for_us = claims["aud"]
            .as_array()
            .is_some_and(|all| all.iter().any(|one| one == audience.as_str()));
        if !for_us {
            return Err(Invalid("the token is for another audience"));
        }
        Ok(ValidJwt {
            id: self.id.clone(),
            claims,
        })
    }
}
