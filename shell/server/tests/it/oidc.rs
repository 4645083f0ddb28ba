//! Logins at an identity provider, and the attacks on them; what users say about agents that act for them.

use crate::people::{Browser, Town};
use crate::provider::Op;
use crate::test_key::TestKey;
use broker::world::{Account, Role, TrustSource, User, UserRight};
use credential::Jwk;
use http::Method;
use serde_json::{Value, json};
use std::sync::Arc;

/// The header of a logout token.
const LOGOUT: &str = r#"{"alg":"ES256","typ":"logout+jwt"}"#;

pub(crate) struct Setting {
    pub(crate) town: Town,
    pub(crate) op: Arc<Op>,
    _folder: tempfile::TempDir,
}

impl Setting {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let op = Op::new(folder.path()).await;
        Self {
            town: Town::with(op.providers()).await,
            op,
            _folder: folder,
        }
    }

    /// Goes to the provider; gives what it leads back with.
    async fn leave(&self, browser: &Browser, action: &str, fields: &str) -> String {
        let headers = [
            ("sec-fetch-site", "same-origin"),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        let body = format!("provider=corp&{fields}");
        let page = browser.send(Method::POST, action, &headers, &body).await;
        assert_eq!(page.status, 200, "{}", page.text());
        let text = page.text();
        let there = text
            .split("<a href=\"https://")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap();
        self.op
            .visited(&format!("https://{}", there.replace("&amp;", "&")))
    }

    /// Comes back as a browser does: from another site, and then once more from our own page.
    async fn back(&self, browser: &Browser, query: &str) -> crate::client::Answer {
        let path = format!("/ui/login/return?{query}");
        let from = |site| {
            [
                ("sec-fetch-site", site),
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-dest", "document"),
            ]
        };
        let first = browser.send(Method::GET, &path, &from("cross-site"), "").await;
        assert!(
            first.text().contains("http-equiv=\"refresh\""),
            "{}",
            first.text()
        );
        assert!(browser.session().is_none() || !first.headers.contains_key("set-cookie"));
        browser.send(Method::GET, &path, &from("same-origin"), "").await
    }

    pub(crate) async fn log_in(&self, browser: &Browser) -> crate::client::Answer {
        let query = self.leave(browser, "/ui/login/account", "to=/ui/me").await;
        self.back(browser, &query).await
    }

    /// Proves to be there, at the provider.
    async fn verify(&self, browser: &Browser) -> crate::client::Answer {
        let page = browser.get("/ui/verify").await.text();
        let rest = page.split("name=\"token\" value=\"").nth(1).unwrap();
        let token = format!("token={}", rest.split('"').next().unwrap());
        let query = self.leave(browser, "/ui/verify/account", &token).await;
        self.back(browser, &query).await
    }

    async fn link(&self, name: &str) {
        let place = &self.town.place;
        let (source, world) = (place.draw(), place.installation().store.world());
        let principal = world.principal(&name.parse().unwrap()).unwrap();
        let account = Account {
            issuer: self.op.issuer.clone(),
            subject: "4711".into(),
        };
        let linked = broker::principal::link(&world, &place.admin(), principal, account, &mut source.draw());
        drop(place.grant(linked).await);
    }

    /// A logout token as the provider makes them for its user 4711, with other members.
    fn logout(&self, change: &Value) -> String {
        let now = self.town.place.now().secs();
        let event = "http://schemas.openid.net/event/backchannel-logout";
        let mut claims = json!({
            "iss": self.op.issuer, "sub": "4711", "aud": "tabard", "iat": now, "exp": now + 120,
            "jti": "out-1", "events": {event: {}},
        });
        for (name, value) in change.as_object().unwrap() {
            claims[name] = value.clone();
        }
        // What is null is not there.
        claims
            .as_object_mut()
            .unwrap()
            .retain(|_, value| !value.is_null());
        claims.to_string()
    }

    /// Has somebody bring a logout token where that provider's belong.
    async fn says(&self, provider: &str, token: &str) -> u16 {
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let path = format!("/ui/login/backchannel/{provider}");
        let server = self.town.browser();
        let body = format!("logout_token={token}");
        let answer = server.send(Method::POST, &path, &form, &body).await;
        assert_eq!(answer.header("cache-control"), "no-store");
        answer.status.as_u16()
    }

    /// The org trusts the provider, and its user 4711 may have invoices read.
    pub(crate) async fn trust(&self) {
        let place = &self.town.place;
        let source = TrustSource {
            rights: None,
            pdp: None,
            org: place.org,
            issuer: self.op.issuer.clone(),
            audience: "tabard".into(),
            keys: format!(
                "{{\"keys\":[{}]}}",
                Jwk::bare(self.op.key.public.clone()).to_json()
            ),
        };
        let (draw, world) = (place.draw(), place.installation().store.world());
        let set = broker::trust::set_source(&world, &place.admin(), source, &mut draw.draw());
        drop(place.grant(set).await);
        let user = User {
            org: place.org,
            issuer: self.op.issuer.clone(),
            subject: "4711".into(),
            groups: ["office".parse().unwrap()].into(),
            rights: vec![UserRight {
                agents: ["demo-billing".parse().unwrap()].into(),
                services: ["invoices".parse().unwrap()].into(),
                actions: ["invoices.read".parse().unwrap()].into(),
                tenants: ["acme-eu".parse().unwrap()].into(),
            }],
            expires_at: place.now().plus_secs(86_400),
        };
        let (draw, world) = (place.draw(), place.installation().store.world());
        let set = broker::user::set(&world, &place.admin(), user, &mut draw.draw());
        drop(place.grant(set).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_opens_only_what_it_was_linked_to() {
    let setting = Setting::new().await;
    let browser = setting.town.browser();
    let stranger = setting.log_in(&browser).await;
    assert_eq!(stranger.status, 422);
    assert!(stranger.text().contains("ACCOUNT_UNKNOWN"), "{}", stranger.text());
    assert!(!browser.is_in().await);
    setting.town.add("ann", &[Role::Viewer]).await;
    setting.link("ann").await;
    let entered = setting.log_in(&browser).await;
    assert_eq!(
        (entered.status.as_u16(), entered.header("location")),
        (303, "/ui/me")
    );
    let status = browser.script(Method::GET, "/v1/status", &json!({})).await.json();
    assert_eq!(
        (&status["you"]["name"], &status["you"]["roles"]),
        (&json!("ann"), &json!(["viewer"]))
    );
    // Unlinked: the session that the account opened ends.
    let place = &setting.town.place;
    let (source, world) = (place.draw(), place.installation().store.world());
    let principal = world.principal(&"ann".parse().unwrap()).unwrap();
    let account = principal.accounts.first().unwrap().clone();
    let unlinked = broker::principal::unlink(&world, &place.admin(), principal, &account, &mut source.draw());
    drop(place.grant(unlinked).await);
    assert!(!browser.is_in().await);
    setting.town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_token_of_another_client_login_issuer_or_key_is_refused() {
    let setting = Setting::new().await;
    setting.town.add("ann", &[Role::Admin]).await;
    setting.link("ann").await;
    let browser = setting.town.browser();
    let changes: [fn(&mut Value); 8] = [
        |claims| claims["aud"] = "other-client".into(),
        |claims| claims["aud"] = json!(["tabard", "other-client"]),
        |claims| claims["azp"] = "other-client".into(),
        |claims| claims["nonce"] = "of-another-login".into(),
        |claims| claims["iss"] = "https://evil.example".into(),
        |claims| claims["exp"] = 1.into(),
        |claims| claims["sub"] = "".into(),
        |claims| drop(claims.as_object_mut().unwrap().remove("nonce")),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        setting.op.change(change);
        let answer = setting.log_in(&browser).await;
        assert!(
            answer.text().contains("ACCOUNT_UNPROVEN"),
            "{number}: {}",
            answer.text()
        );
        assert!(!browser.is_in().await);
    }
    setting.op.change(|_| {});
    *setting.op.forger.lock().unwrap() = Some(TestKey::new());
    let answer = setting.log_in(&browser).await;
    assert!(answer.text().contains("ACCOUNT_UNPROVEN"), "{}", answer.text());
    *setting.op.forger.lock().unwrap() = None;
    assert_eq!(setting.log_in(&browser).await.status, 303);
    setting.town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_finished_where_it_began_and_once() {
    let setting = Setting::new().await;
    setting.town.add("ann", &[Role::Viewer]).await;
    setting.link("ann").await;
    let (ann, other) = (setting.town.browser(), setting.town.browser());
    // The victim is led to the attacker's answer: their own browser never asked.
    let query = setting.leave(&ann, "/ui/login/account", "").await;
    assert!(
        setting
            .back(&other, &query)
            .await
            .text()
            .contains("LOGIN_NOT_BEGUN")
    );
    // They asked, but something else.
    setting.leave(&other, "/ui/login/account", "").await;
    assert!(
        setting
            .back(&other, &query)
            .await
            .text()
            .contains("LOGIN_NOT_BEGUN")
    );
    // Another provider answers, or nobody says who did.
    let query = setting.leave(&ann, "/ui/login/account", "").await;
    for iss in ["&iss=https://evil.example", ""] {
        let flow = ann.jar.lock().unwrap().clone();
        let changed = format!("{}{iss}", query.split("&iss=").next().unwrap());
        assert!(
            setting
                .back(&ann, &changed)
                .await
                .text()
                .contains("ACCOUNT_UNPROVEN"),
            "{iss}"
        );
        *ann.jar.lock().unwrap() = flow;
    }
    let flow = ann.jar.lock().unwrap().clone();
    assert_eq!(setting.back(&ann, &query).await.status, 303);
    // The same answer again, in a browser that kept its state: the nonce is spent.
    *ann.jar.lock().unwrap() = flow;
    let again = setting.back(&ann, &query).await;
    assert_ne!(again.status, 303, "{}", again.text());
    setting.town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_is_asked_once_however_many_bring_the_same() {
    let setting = Setting::new().await;
    setting.town.add("ann", &[Role::Viewer]).await;
    setting.link("ann").await;
    let ann = setting.town.browser();
    // The answer to one login, sixteen times at once, and then once more.
    let query = setting.leave(&ann, "/ui/login/account", "").await;
    assert_eq!(setting.op.described(), 1);
    let flow = ann.jar.lock().unwrap().clone();
    let path = format!("/ui/login/return?{query}");
    let headers = [
        ("sec-fetch-site", "same-origin"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
    ];
    let browsers: Vec<Browser> = (0..16).map(|_| setting.town.browser()).collect();
    let bring = async |browser: &Browser| {
        *browser.jar.lock().unwrap() = flow.clone();
        browser
            .send(Method::GET, &path, &headers, "")
            .await
            .status
            .as_u16()
    };
    let mut statuses = futures_util::future::join_all(browsers.iter().map(&bring)).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [[303].as_slice(), &[403; 15]].concat());
    assert_eq!(bring(&ann).await, 403);
    assert_eq!(setting.op.traded(), 1);
    // Tokens by a key that nobody has: its keys are looked at anew, by one for all of them.
    setting.town.place.pass(60);
    let stranger = TestKey::new().jws(
        r#"{"alg":"ES256","typ":"logout+jwt","kid":"k"}"#,
        &setting.logout(&json!({})),
    );
    let says = (0..16).map(|_| setting.says("corp", &stranger));
    assert_eq!(futures_util::future::join_all(says).await, [400; 16]);
    assert_eq!(setting.op.described(), 2);
    // The same where it gives no answer: who came meanwhile takes the one that there is.
    setting.town.place.pass(20);
    setting.op.fails(true);
    let says = (0..16).map(|_| setting.says("corp", &stranger));
    assert_eq!(futures_util::future::join_all(says).await, [400; 16]);
    assert!(setting.op.described() <= 2 + 8, "{}", setting.op.described());
    setting.op.fails(false);
    assert_eq!(
        setting.log_in(&ann).await.status,
        303,
        "and nobody remembers it against it"
    );
    setting.town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn verifying_at_a_provider_takes_a_login_of_just_now_by_the_same_account() {
    let setting = Setting::new().await;
    setting.town.add("ann", &[Role::Admin]).await;
    setting.link("ann").await;
    let ann = setting.town.browser();
    assert_eq!(setting.log_in(&ann).await.status, 303);
    let verify = async |ann: &Browser| setting.verify(ann).await;
    setting
        .op
        .change(|claims| claims["auth_time"] = (claims["auth_time"].as_u64().unwrap() - 600).into());
    assert!(verify(&ann).await.text().contains("ACCOUNT_NOT_ASKED"));
    setting
        .op
        .change(|claims| drop(claims.as_object_mut().unwrap().remove("auth_time")));
    assert!(verify(&ann).await.text().contains("ACCOUNT_NOT_ASKED"));
    setting.op.change(|claims| claims["sub"] = "4712".into());
    assert!(verify(&ann).await.text().contains("ACCOUNT_OF_ANOTHER"));
    setting.op.change(|_| {});
    let before = ann.session();
    assert_eq!(verify(&ann).await.status, 303);
    assert_ne!(ann.session(), before);
    setting.town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invited_person_links_their_own_account_once() {
    let setting = Setting::new().await;
    setting.town.add("ann", &[Role::Viewer]).await;
    let code = setting.town.invite("ann").await;
    let ann = setting.town.browser();
    let query = setting
        .leave(&ann, "/ui/invite/account", &format!("code={code}"))
        .await;
    let answer = setting.back(&ann, &query).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("location")),
        (303, "/ui/login")
    );
    assert_eq!(setting.log_in(&ann).await.status, 303);
    // The account is ann's now; it cannot be ben's as well.
    setting.town.add("ben", &[Role::Admin]).await;
    let code = setting.town.invite("ben").await;
    let query = setting
        .leave(&ann, "/ui/invite/account", &format!("code={code}"))
        .await;
    assert!(setting.back(&ann, &query).await.text().contains("ACCOUNT_TAKEN"));
    setting.town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_sees_what_acts_for_them_and_stops_it() {
    let setting = Setting::new().await;
    setting.trust().await;
    let user = setting.town.browser();
    assert_eq!(setting.log_in(&user).await.status, 303);
    let may = || {
        let place = &setting.town.place;
        let world = place.installation().store.world();
        let scope = identity::OrgScope::Only(place.org);
        let said = world.said(scope, place.org, &setting.op.issuer, "4711");
        let name = |text: &str| text.parse::<identity::Name>().unwrap();
        said.lets(
            &name("demo-billing"),
            &"invoices".parse().unwrap(),
            &name("invoices.read"),
            Some(&name("acme-eu")),
            place.now(),
        )
    };
    let page = user.get("/ui/me").await.text();
    assert!(
        page.contains("demo-billing") && page.contains("It may act for you."),
        "{page}"
    );
    assert!(page.contains("a rule of your organisation"));
    assert!(may());
    let org = setting.town.place.org.to_string();
    let fields = format!("org={org}&agent=demo-billing");
    // A stop is good before there is anything to stop, of whoever is there.
    let place = &setting.town.place;
    place
        .register(place.org, "refunder", crate::approvals::CONTRACT)
        .await;
    let early = format!("org={org}&agent=refunder");
    assert_eq!(user.form("/ui/me", "/ui/me/stop", &early).await.status, 303);
    let world = place.installation().store.world();
    let said = world.said(
        identity::OrgScope::Only(place.org),
        place.org,
        &setting.op.issuer,
        "4711",
    );
    assert!(said.stops(&"refunder".parse().unwrap()));
    assert_eq!(user.form("/ui/me", "/ui/me/stop", &fields).await.status, 303);
    assert!(user.get("/ui/me").await.text().contains("You stopped it."));
    assert!(!may());
    // The org's word, said again, does not undo it.
    setting.trust().await;
    assert!(!may());
    let give = format!("{fields}&days=30");
    assert_eq!(user.form("/ui/me", "/ui/me/give", &give).await.status, 303);
    assert!(may());
    for odd in ["days=0", "days=91", "days=x", "days=99999999999999999999"] {
        let answer = user
            .form("/ui/me", "/ui/me/give", &format!("{fields}&{odd}"))
            .await;
        assert!(answer.text().contains("CONSENT_NOTHING"), "{odd}");
    }
    // Nobody gives what the org does not.
    let other = format!("org={org}&agent=somebody&days=30");
    assert!(
        user.form("/ui/me", "/ui/me/give", &other)
            .await
            .text()
            .contains("CONSENT_NOTHING")
    );
    // A yes takes a proof that it is they; a stop never waits.
    setting.town.place.pass(301);
    assert_eq!(user.form("/ui/me", "/ui/me/stop", &fields).await.status, 303);
    assert!(!may());
    let page = user.get("/ui/me").await.text();
    assert!(
        page.contains("/ui/verify?to=/ui/me") && !page.contains("/ui/me/give"),
        "{page}"
    );
    let unverified = user.form("/ui/", "/ui/me/give", &give).await;
    assert_eq!(unverified.status, 422);
    assert!(
        unverified.text().contains("ADMIN_NOT_VERIFIED"),
        "{}",
        unverified.text()
    );
    assert!(!may());
    // A user is no administrator.
    let refused = user.script(Method::GET, "/v1/status", &json!({})).await;
    assert_eq!(refused.status, 401);
    assert_eq!(user.get(&format!("/ui/me/{org}/demo-billing")).await.status, 200);
    setting.town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_logs_out_at_their_provider_is_logged_out_here_by_its_word_alone() {
    let setting = Setting::new().await;
    setting.trust().await;
    let (first, second) = (setting.town.browser(), setting.town.browser());
    assert_eq!(setting.log_in(&first).await.status, 303);
    assert_eq!(setting.log_in(&second).await.status, 303);
    // Somebody else's session, and that of another way in, are nobody's to end.
    let ann = setting.town.principal("ann", &[Role::Viewer]).await;
    let now = setting.town.place.now().secs();
    let claims = |change: Value| setting.logout(&change);
    let says = async |provider: &str, token: &str| setting.says(provider, token).await;
    let good = setting.op.key.jws(LOGOUT, &claims(json!({})));
    assert_eq!(says("other", &good).await, 400);
    let forged = TestKey::new().jws(LOGOUT, &claims(json!({})));
    assert_eq!(says("corp", &forged).await, 400);
    for change in [
        json!({"iss": "https://evil.example"}),
        json!({"aud": "another-client"}),
        json!({"nonce": "n"}),
        json!({"events": {}}),
        json!({"exp": now - 600, "iat": now - 700}),
        json!({"sub": ""}),
        json!({"sub": null}),
        json!({"sub": null, "sid": ""}),
        json!({"sub": null, "sid": 7}),
        json!({"jti": ""}),
    ] {
        let odd = setting.op.key.jws(LOGOUT, &claims(change.clone()));
        assert_eq!(says("corp", &odd).await, 400, "{change}");
    }
    for odd in ["", "x", "a.b.c"] {
        assert_eq!(says("corp", odd).await, 400);
    }
    assert!(first.is_in().await && second.is_in().await);
    // One word ends all that began by this account, and nothing else.
    assert_eq!(says("corp", &good).await, 200);
    assert!(!first.is_in().await && !second.is_in().await);
    assert!(ann.is_in().await);
    // It works once: who logs in again stays.
    assert_eq!(setting.log_in(&first).await.status, 303);
    assert_eq!(says("corp", &good).await, 400);
    assert!(first.is_in().await);
    let entries = setting.town.place.entries();
    let ended = entries
        .iter()
        .filter(|it| it.contains("logged out at https://localhost"));
    assert_eq!(ended.count(), 1);
    assert!(
        entries.iter().all(|it| !it.contains("\"4711\"")),
        "nobody is named in clear"
    );
    setting.town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_the_provider_that_ends_takes_along_what_began_by_it_and_nothing_else() {
    let setting = Setting::new().await;
    setting.trust().await;
    let (first, second, third) = (
        setting.town.browser(),
        setting.town.browser(),
        setting.town.browser(),
    );
    for (browser, sid) in [
        (&first, Some("at-op-1")),
        (&second, Some("at-op-2")),
        (&third, None),
    ] {
        setting.op.change(move |claims| {
            if let Some(sid) = sid {
                claims["sid"] = sid.into();
            }
        });
        assert_eq!(setting.log_in(browser).await.status, 303);
    }
    let stays = async |browsers: &[&Browser]| {
        for browser in browsers {
            assert!(browser.is_in().await);
        }
    };
    // Another issuer's session of the same name; one that nobody began by; one that is called like the account.
    let said = |change: Value| setting.op.key.jws(LOGOUT, &setting.logout(&change));
    let other = said(json!({"sub": null, "sid": "at-op-1", "iss": "https://evil.example"}));
    assert_eq!(setting.says("corp", &other).await, 400);
    let nobodys = said(json!({"sub": null, "sid": "at-op-9", "jti": "out-9"}));
    assert_eq!(setting.says("corp", &nobodys).await, 200);
    let account = said(json!({"sub": null, "sid": "4711", "jti": "out-10"}));
    assert_eq!(setting.says("corp", &account).await, 200);
    stays(&[&first, &second, &third]).await;
    let one = said(json!({"sub": null, "sid": "at-op-1", "jti": "out-11"}));
    assert_eq!(setting.says("corp", &one).await, 200);
    assert!(!first.is_in().await);
    stays(&[&second, &third]).await;
    assert_eq!(setting.says("corp", &one).await, 400, "it works once");
    // Its holder proves again that they are there, and has another session there by then.
    setting.op.change(|claims| claims["sid"] = "at-op-3".into());
    assert_eq!(setting.verify(&second).await.status, 303);
    let former = said(json!({"sub": null, "sid": "at-op-2", "jti": "out-12"}));
    assert_eq!(setting.says("corp", &former).await, 200);
    stays(&[&second, &third]).await;
    let newest = said(json!({"sub": null, "sid": "at-op-3", "jti": "out-13"}));
    assert_eq!(setting.says("corp", &newest).await, 200);
    assert!(!second.is_in().await);
    // The whole person, whatever session is named besides.
    let person = said(json!({"sid": "at-op-9", "jti": "out-14"}));
    assert_eq!(setting.says("corp", &person).await, 200);
    assert!(!third.is_in().await);
    let entries = setting.town.place.entries();
    assert!(
        entries
            .iter()
            .all(|it| !it.contains("\"4711\"") && !it.contains("at-op-")),
        "neither the person nor their session is named in clear"
    );
    setting.town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_users_are_asked_a_rule_is_not_enough_and_a_yes_ends() {
    let setting = Setting::new().await;
    setting.trust().await;
    let place = &setting.town.place;
    let (draw, world) = (place.draw(), place.installation().store.world());
    let required = broker::consent::require(
        &world,
        &place.admin(),
        place.org,
        &setting.op.issuer,
        true,
        &mut draw.draw(),
    );
    drop(place.grant(required).await);
    let user = setting.town.browser();
    assert_eq!(setting.log_in(&user).await.status, 303);
    let said = || {
        let world = place.installation().store.world();
        let scope = identity::OrgScope::Only(place.org);
        world.said(scope, place.org, &setting.op.issuer, "4711")
    };
    let name = |text: &str| text.parse::<identity::Name>().unwrap();
    let lets = |action: &str, secs: u64| {
        said().lets(
            &name("demo-billing"),
            &"invoices".parse().unwrap(),
            &name(action),
            Some(&name("acme-eu")),
            place.now().plus_secs(secs),
        )
    };
    assert!(!lets("invoices.read", 0));
    assert!(user.get("/ui/me").await.text().contains("It waits for your yes."));
    let give = format!("org={}&agent=demo-billing&days=1", place.org);
    assert_eq!(user.form("/ui/me", "/ui/me/give", &give).await.status, 303);
    assert!(lets("invoices.read", 0));
    // A yes covers what the agent could do when it was given, and ends.
    assert!(!lets("invoices.write", 0));
    assert!(!lets("invoices.read", 86_401));
    // Principals' sessions give nothing for users.
    let ann = setting.town.principal("ann", &[Role::Admin]).await;
    assert!(
        ann.form("/ui/me", "/ui/me/give", &give)
            .await
            .text()
            .contains("CONSENT_NO_USER")
    );
    setting.town.end().await;
}
