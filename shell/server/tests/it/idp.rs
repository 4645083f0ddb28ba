//! An issuer of users' tokens outside, and what its users may do.

use crate::place::Place;
use crate::test_key::TestKey;
use broker::world::{ClaimRights, TrustSource, User, UserRight};
use broker::{trust, user};
use credential::Jwk;
use identity::OrgId;

pub(crate) const IDP: &str = "https://idp.example";
pub(crate) const ANN: &str = "ann-4711";

pub(crate) struct Idp {
    pub(crate) key: TestKey,
}

impl Idp {
    /// Trusted by `org`.
    pub(crate) async fn of(place: &Place, org: OrgId) -> Self {
        let key = TestKey::new();
        let source = TrustSource {
            org,
            issuer: IDP.into(),
            audience: "tabard".into(),
            keys: format!("{{\"keys\":[{}]}}", Jwk::bare(key.public.clone()).to_json()),
            rights: None,
            pdp: None,
        };
        let draw = place.draw();
        let world = place.installation().store.world();
        let set = trust::set_source(&world, &place.admin(), source, &mut draw.draw());
        drop(place.grant(set).await);
        Self { key }
    }

    /// The same, and a claim of its tokens is worth the right to read invoices of acme-eu through these agents.
    pub(crate) async fn means(&self, place: &Place, claim: &str, value: &str, agents: &[&str]) {
        let values = [(value.to_owned(), vec![Self::reading_through(agents)])];
        let source = TrustSource {
            org: place.org,
            issuer: IDP.into(),
            audience: "tabard".into(),
            keys: format!("{{\"keys\":[{}]}}", Jwk::bare(self.key.public.clone()).to_json()),
            rights: Some(ClaimRights {
                claim: claim.into(),
                values: values.into(),
            }),
            pdp: None,
        };
        let draw = place.draw();
        let world = place.installation().store.world();
        let set = trust::set_source(&world, &place.admin(), source, &mut draw.draw());
        drop(place.grant(set).await);
    }

    fn reading_through(agents: &[&str]) -> UserRight {
        UserRight {
            agents: agents.iter().map(|name| name.parse().unwrap()).collect(),
            services: ["invoices".parse().unwrap()].into(),
            actions: ["invoices.read".parse().unwrap()].into(),
            tenants: ["acme-eu".parse().unwrap()].into(),
        }
    }

    /// Ann, who may read invoices of acme-eu through these agents for an hour.
    pub(crate) async fn ann_through(place: &Place, agents: &[&str]) {
        let ann = User {
            org: place.org,
            issuer: IDP.into(),
            subject: ANN.into(),
            groups: ["office".parse().unwrap()].into(),
            rights: vec![Self::reading_through(agents)],
            expires_at: place.now().plus_secs(3600),
        };
        let draw = place.draw();
        let world = place.installation().store.world();
        let set = user::set(&world, &place.admin(), ann, &mut draw.draw());
        drop(place.grant(set).await);
    }

    /// Claims of a token of now for Ann, with more or others.
    pub(crate) fn claims(place: &Place, change: impl FnOnce(&mut serde_json::Value)) -> String {
        let now = place.now().secs();
        let mut claims =
            serde_json::json!({"iss": IDP, "sub": ANN, "aud": "tabard", "iat": now, "exp": now + 300});
        change(&mut claims);
        claims.to_string()
    }

    /// A token of now for Ann.
    pub(crate) fn token(&self, place: &Place) -> String {
        self.key
            .jws(r#"{"alg":"ES256","typ":"JWT"}"#, &Self::claims(place, |_| {}))
    }
}
