//! People: a browser of the test's own, with a passkey in software and a cookie jar, against a real listener.

use crate::client::Answer;
use crate::documented;
use crate::place::Place;
use crate::test_key::TestKey;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use broker::approve::set_group;
use broker::world::{Group, Role};
use credential::sha256;
use http::{HeaderMap, Method, Request};
use http_body_util::Full;
use hyper::body::Bytes;
use identity::OrgScope;
use serde_json::{Value, json};
use server::admin::AdminParts;
use server::config::{People, Provider};
use std::collections::BTreeMap;
use std::sync::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A place with a listener for people.
pub(crate) struct Town {
    pub(crate) place: Place,
    pub(crate) url: String,
    port: u16,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl Town {
    pub(crate) async fn new() -> Self {
        Self::with(BTreeMap::new()).await
    }

    /// Around a place that is there.
    pub(crate) async fn around(place: Place) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::at(place, listener, BTreeMap::new())
    }

    /// With identity providers.
    pub(crate) async fn with(providers: BTreeMap<identity::Name, Provider>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::at(Place::new().await, listener, providers)
    }

    fn at(
        place: Place,
        listener: tokio::net::TcpListener,
        providers: BTreeMap<identity::Name, Provider>,
    ) -> Self {
        let address = listener.local_addr().unwrap();
        let url = format!("https://localhost:{}", address.port());
        let people = People {
            providers,
            ..People::at(address, url.parse().unwrap())
        };
        let door = place.running.people_on(listener, people).unwrap();
        let (stop, stopped) = watch::channel(false);
        let parts = AdminParts {
            people: Some(door),
            installation: place.installation().clone(),
            journals: Vec::new(),
            members: Vec::new(),
            socket: place.path().join(format!("admin-{}.sock", address.port())),
        };
        Self {
            serving: server::admin::serve(parts, stopped).unwrap(),
            port: address.port(),
            place,
            url,
            stop,
        }
    }

    pub(crate) async fn end(self) {
        drop(self.closed().await);
    }

    /// Without its listener for people.
    pub(crate) async fn closed(self) -> Place {
        self.stop.send_replace(true);
        self.serving.await.unwrap();
        self.place
    }

    /// Somebody of the group of approvers, logged in.
    pub(crate) async fn approver(&self, name: &str, group: &str) -> Browser {
        let browser = self.principal(name, &[Role::Approver]).await;
        let place = &self.place;
        let (source, world) = (place.draw(), place.installation().store.world());
        let group = group.parse().unwrap();
        let known = world.group(OrgScope::Every, place.org, &group);
        let mut members = known.map(|group| group.members.clone()).unwrap_or_default();
        members.retain(|name| world.principal(name).is_some());
        members.insert(name.parse().unwrap());
        let group = Group {
            org: place.org,
            name: group,
            members,
        };
        let set = set_group(&world, &place.admin(), group, &mut source.draw());
        drop(place.grant(set).await);
        browser
    }

    /// A principal of that name with those roles, in a browser that is logged in by a new passkey.
    pub(crate) async fn principal(&self, name: &str, roles: &[Role]) -> Browser {
        self.add(name, roles).await;
        self.enrolled(name).await
    }

    /// Somebody who is a principal already, in a browser that is logged in.
    pub(crate) async fn enrolled(&self, name: &str) -> Browser {
        let browser = self.browser();
        let code = self.invite(name).await;
        assert_eq!(browser.enrol_with(&code).await.status, 200);
        assert_eq!(browser.log_in().await.status, 200);
        browser
    }

    pub(crate) async fn add(&self, name: &str, roles: &[Role]) {
        self.add_to(name, roles, None).await;
    }

    /// A principal of one org alone.
    pub(crate) async fn add_to(&self, name: &str, roles: &[Role], org: Option<identity::OrgId>) {
        let wanted = broker::principal::Wanted {
            name: name.parse().unwrap(),
            uid: None,
            roles: roles.iter().copied().collect(),
            org,
            assurance: "uid".into(),
        };
        let (source, world) = (self.place.draw(), self.place.installation().store.world());
        let added = broker::principal::add(&world, &self.place.admin(), wanted, &mut source.draw());
        drop(self.place.grant(added).await);
    }

    /// The code of an invite.
    pub(crate) async fn invite(&self, name: &str) -> String {
        let code = URL_SAFE_NO_PAD.encode(server::entropy::random::<32>().unwrap());
        let digest = identity::Digest::from_bytes(sha256(code.as_bytes()));
        let (source, world) = (self.place.draw(), self.place.installation().store.world());
        let principal = world.principal(&name.parse().unwrap()).unwrap();
        let invited =
            broker::principal::invite(&world, &self.place.admin(), principal, digest, &mut source.draw());
        drop(self.place.grant(invited).await);
        code
    }

    pub(crate) async fn remove(&self, name: &str) {
        let (source, world) = (self.place.draw(), self.place.installation().store.world());
        let principal = world.principal(&name.parse().unwrap()).unwrap();
        let removed = broker::principal::remove(&world, &self.place.admin(), principal, &mut source.draw());
        drop(self.place.grant(removed).await);
    }

    pub(crate) fn browser(&self) -> Browser {
        Browser {
            client: self.place.client.on_port(self.port),
            url: self.url.clone(),
            jar: Mutex::default(),
            passkey: Passkey::new(),
        }
    }
}

/// A passkey in software: resident, with user verification.
pub(crate) struct Passkey {
    pair: EcdsaKeyPair,
    id: Vec<u8>,
    pub(crate) counter: Mutex<u32>,
    /// Flags of the authenticator data: present and verified.
    pub(crate) flags: Mutex<u8>,
    handle: Mutex<Option<String>>,
}

impl Passkey {
    fn new() -> Self {
        let key = TestKey::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &key.pkcs8()).unwrap();
        Self {
            pair,
            id: server::entropy::random::<16>().unwrap().to_vec(),
            counter: Mutex::new(0),
            flags: Mutex::new(0b101),
            handle: Mutex::default(),
        }
    }

    fn data(&self, rp_id: &str, attested: bool) -> Vec<u8> {
        let mut counter = self.counter.lock().unwrap();
        *counter += 1;
        let mut data = sha256(rp_id.as_bytes()).to_vec();
        data.push(*self.flags.lock().unwrap() | if attested { 0x40 } else { 0 });
        data.extend(counter.to_be_bytes());
        if attested {
            data.extend([0; 16]);
            data.extend(u16::try_from(self.id.len()).unwrap().to_be_bytes());
            data.extend(&self.id);
            let point = self.pair.public_key().as_ref();
            // {1: 2, 3: -7, -1: 1, -2: x, -3: y}
            data.extend([0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32]);
            data.extend(&point[1..33]);
            data.extend([0x22, 0x58, 32]);
            data.extend(&point[33..65]);
        }
        data
    }

    fn client_data(kind: &str, challenge: &str, origin: &str) -> Vec<u8> {
        json!({"type": kind, "challenge": challenge, "origin": origin, "crossOrigin": false})
            .to_string()
            .into_bytes()
    }

    /// What a script sends to enrol it.
    pub(crate) fn made(&self, begun: &Value, origin: &str) -> Value {
        *self.handle.lock().unwrap() = begun["user_handle"].as_str().map(str::to_owned);
        let data = self.data(begun["rp_id"].as_str().unwrap(), true);
        let mut object = vec![0xa3, 0x63];
        object.extend(b"fmt");
        object.push(0x64);
        object.extend(b"none");
        object.push(0x67);
        object.extend(b"attStmt");
        object.extend([0xa0, 0x68]);
        object.extend(b"authData");
        object.extend([0x58, u8::try_from(data.len()).unwrap()]);
        object.extend(data);
        let client = Self::client_data("webauthn.create", begun["challenge"].as_str().unwrap(), origin);
        json!({
            "client_data": URL_SAFE_NO_PAD.encode(client),
            "attestation_object": URL_SAFE_NO_PAD.encode(object),
            "label": "test",
        })
    }

    /// What it sends to log in.
    pub(crate) fn shown(&self, begun: &Value, origin: &str) -> Value {
        let data = self.data(begun["rp_id"].as_str().unwrap(), false);
        let client = Self::client_data("webauthn.get", begun["challenge"].as_str().unwrap(), origin);
        let signed = [data.as_slice(), &sha256(&client)].concat();
        let signature = self.pair.sign(&SystemRandom::new(), &signed).unwrap();
        json!({
            "id": URL_SAFE_NO_PAD.encode(&self.id),
            "client_data": URL_SAFE_NO_PAD.encode(client),
            "authenticator_data": URL_SAFE_NO_PAD.encode(data),
            "signature": URL_SAFE_NO_PAD.encode(signature.as_ref()),
            "user_handle": self.handle.lock().unwrap().clone(),
        })
    }
}

/// A browser: it sends what browsers send about where a request comes from.
pub(crate) struct Browser {
    client: crate::client::Client,
    pub(crate) url: String,
    pub(crate) jar: Mutex<BTreeMap<String, String>>,
    pub(crate) passkey: Passkey,
}

impl Browser {
    /// A connection of its own, for what no client sends.
    pub(crate) async fn connect(&self) -> tokio_rustls::client::TlsStream<tokio::net::TcpStream> {
        self.client.connect().await.unwrap()
    }

    /// Any request, with the cookies.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let cookies: Vec<String> = {
            let jar = self.jar.lock().unwrap();
            jar.iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect()
        };
        let mut request = Request::builder().method(method.clone()).uri(path);
        if headers.iter().all(|(name, _)| *name != "host") {
            request = request.header("host", self.url.trim_start_matches("https://"));
        }
        if !cookies.is_empty() {
            request = request.header("cookie", cookies.join("; "));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(body.to_owned()))).unwrap();
        let answer = self.client.send(request).await.unwrap();
        self.keep(&answer.headers);
        documented::hold(
            &method,
            path,
            answer.status.as_u16(),
            answer.header("content-type"),
            &answer.body,
        );
        answer
    }

    fn keep(&self, headers: &HeaderMap) {
        let mut jar = self.jar.lock().unwrap();
        for line in headers.get_all("set-cookie") {
            let line = line.to_str().unwrap();
            assert!(line.contains("; Secure; HttpOnly; SameSite="), "{line}");
            assert!(
                line.starts_with("__Host-") && line.contains("; Path=/;"),
                "{line}"
            );
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            if line.contains("Max-Age=0") {
                jar.remove(name);
            } else {
                jar.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    /// Opens a page, as from the address bar.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        let navigation = [
            ("sec-fetch-site", "none"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ];
        self.send(Method::GET, path, &navigation, "").await
    }

    /// What our script sends.
    pub(crate) async fn script(&self, method: Method, path: &str, body: &Value) -> Answer {
        let headers = [
            ("sec-fetch-site", "same-origin"),
            ("origin", self.url.as_str()),
            ("content-type", "application/json"),
            ("x-tabard-request", "1"),
        ];
        self.send(method, path, &headers, &body.to_string()).await
    }

    /// What a form of one of our pages sends, with its token.
    pub(crate) async fn form(&self, page: &str, action: &str, fields: &str) -> Answer {
        let shown = self.get(page).await.text();
        let token = shown.split("name=\"token\" value=\"").nth(1).unwrap_or_default();
        let token = token.split('"').next().unwrap_or_default();
        let headers = [
            ("sec-fetch-site", "same-origin"),
            ("origin", "null"),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        let body = format!("token={token}&{fields}");
        self.send(Method::POST, action, &headers, &body).await
    }

    pub(crate) async fn enrol_with(&self, code: &str) -> Answer {
        let begun = self
            .script(Method::POST, "/ui/invite/begin", &json!({"code": code}))
            .await;
        if begun.status != 200 {
            return begun;
        }
        let made = self.passkey.made(&begun.json(), &self.url);
        self.script(Method::POST, "/ui/invite/passkey", &made).await
    }

    pub(crate) async fn begin(&self) -> Value {
        self.script(Method::POST, "/ui/login/passkey/begin", &json!({}))
            .await
            .json()
    }

    pub(crate) async fn log_in(&self) -> Answer {
        let begun = self.begin().await;
        let shown = self.passkey.shown(&begun, &self.url);
        self.script(Method::POST, "/ui/login/passkey", &shown).await
    }

    pub(crate) async fn verify(&self) -> Answer {
        let begun = self.begin().await;
        let shown = self.passkey.shown(&begun, &self.url);
        self.script(Method::POST, "/ui/verify/passkey", &shown).await
    }

    pub(crate) fn session(&self) -> Option<String> {
        self.jar.lock().unwrap().get("__Host-tabard-session").cloned()
    }

    /// Says yes or no to what is shown, on the page of an approval.
    pub(crate) async fn votes(&self, id: &str, vote: &str) -> Answer {
        let known = self
            .script(Method::GET, &format!("/v1/approvals/{id}"), &json!({}))
            .await;
        let digest = known.json()["digest"].as_str().unwrap().replace(':', "%3A");
        let page = format!("/ui/approvals/{id}");
        let fields = format!("digest={digest}&vote={vote}");
        self.form(&page, &format!("{page}/vote"), &fields).await
    }

    /// Whether it is logged in.
    pub(crate) async fn is_in(&self) -> bool {
        self.get("/ui/").await.status == 200
    }
}
