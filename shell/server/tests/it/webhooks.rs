//! Endpoints of others are told of approvals: what they are told, that it is signed, and that it opens nothing; and what an
//! endpoint, its administrator or a thief tries with that.

use crate::approvals::{SAID, Story};
use crate::people::{Browser, Town};
use crate::place::Place;
use crate::receiver::{Got, Receiver, Reply};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use broker::world::Role;
use http::Method;
use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_rustls::TlsAcceptor;

/// Registers an endpoint; gives its secret.
async fn add(admin: &Browser, name: &str, url: &str) -> String {
    let answer = try_add(admin, name, url).await;
    assert!(answer.0 == 200, "{}", answer.1);
    answer.1["secret"].as_str().unwrap().to_owned()
}

async fn try_add(admin: &Browser, name: &str, url: &str) -> (u16, Value) {
    let wanted = json!({"name": name, "url": url});
    let answer = admin.script(Method::POST, "/v1/webhooks", &wanted).await;
    (answer.status.as_u16(), answer.json())
}

async fn test(admin: &Browser, name: &str) -> Value {
    let path = format!("/v1/webhooks/{name}/test");
    let answer = admin.script(Method::POST, &path, &json!({})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// How an endpoint does, once `wanted` holds; ten seconds at most.
async fn condition(admin: &Browser, wanted: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..400 {
        let all = admin.script(Method::GET, "/v1/webhooks", &json!({})).await.json();
        if wanted(&all[0]) {
            return all[0].clone();
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the endpoint does otherwise");
}

fn of_kind(place: &Place, kind: &str) -> Vec<Value> {
    let entries = place.entries().into_iter();
    entries
        .map(|entry| serde_json::from_str::<Value>(&entry).unwrap())
        .filter(|entry| entry["kind"] == kind)
        .collect()
}

fn told(got: &Got) -> (String, String) {
    let json = got.json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&json["type"]), text(&json["data"]["state"]))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_is_told_who_is_asked_and_what_became_of_it() {
    let story = Story::new().await;
    let place = &story.town.place;
    let admin = story.town.principal("root", &[Role::Admin]).await;
    let ann = story.approver("ann").await;
    let receiver = Receiver::answering(&[Reply::status(204)]).await;
    let secret = add(&admin, "pager", &receiver.url()).await;
    let id = story.asks().await.unwrap().approval_id;
    let got = receiver.after(1).await;
    assert_eq!(got[0].line, "POST /hooks/s3cret-path HTTP/1.1");
    assert_eq!(got[0].headers["content-type"], "application/json");
    assert_eq!(told(&got[0]), ("approval.requested".into(), "pending".into()));
    let json = got[0].json();
    let data = json["data"].as_object().unwrap();
    let members: BTreeSet<&str> = data.keys().map(String::as_str).collect();
    let wanted = ["action", "agent", "approval", "org", "page", "state", "until"];
    assert_eq!(members, wanted.into());
    assert_eq!(data["approval"], id);
    assert_eq!(
        (&data["org"], &data["agent"], &data["action"]),
        (&"acme".into(), &"refunder".into(), &"refund.create".into())
    );
    assert!(
        data["page"]
            .as_str()
            .unwrap()
            .ends_with(&format!("/ui/approvals/{id}"))
    );
    // Nothing that an agent wrote or chose, and nothing that decides.
    for leak in [SAID, "CFO", "inv_1", "700", "vote", "token", "digest", "sha256"] {
        assert!(!got[0].body.contains(leak), "{leak}: {}", got[0].body);
    }
    assert!(got[0].is_signed_with(&secret, place.now()));
    // The same request waits already: nobody is told twice.
    assert!(story.asks().await.is_ok());
    assert_eq!(ann.votes(&id, "yes").await.status, 303);
    let got = receiver.after(2).await;
    assert_eq!(told(&got[1]), ("approval.decided".into(), "approved".into()));
    // That it was used is the agent's doing; then it is asked anew, refused, asked no more.
    assert_eq!(story.spends(&id).await, Ok(()));
    let id = story.asks().await.unwrap().approval_id;
    assert_eq!(ann.votes(&id, "no").await.status, 303);
    let mut ask = story.ask.clone();
    ask.bound.resource_id = "inv_2".into();
    let withdrawn = story.asks_for(&ask).await.unwrap().approval_id;
    let path = format!("/v1/approvals/{withdrawn}/withdraw");
    assert_eq!(admin.script(Method::POST, &path, &json!({})).await.status, 200);
    ask.bound.resource_id = "inv_3".into();
    assert!(story.asks_for(&ask).await.is_ok());
    receiver.after(7).await;
    place.pass(601);
    let got = receiver.after(8).await;
    let states: Vec<String> = got.iter().map(|got| told(got).1).collect();
    assert_eq!(
        states,
        [
            "pending",
            "approved",
            "pending",
            "denied",
            "pending",
            "withdrawn",
            "pending",
            "expired"
        ]
    );
    let ids: BTreeSet<_> = got.iter().map(|got| got.headers["webhook-id"].clone()).collect();
    assert_eq!(ids.len(), 8, "each message has an id of its own");
    let listed = condition(&admin, |it| it["delivered"] == 8).await;
    assert_eq!(
        (&listed["given_up"], &listed["waiting"], &listed["failure"]),
        (&0.into(), &0.into(), &Value::Null)
    );
    // Registered and tested by a human, whom the record names; removed, nothing more is told.
    assert_eq!(test(&admin, "pager").await["delivered"], true);
    assert_eq!(receiver.after(9).await[8].json()["type"], "webhook.test");
    let path = "/v1/webhooks/pager";
    assert_eq!(admin.script(Method::DELETE, path, &json!({})).await.status, 200);
    for kind in ["webhook.added", "webhook.tested", "webhook.removed"] {
        let [entry] = &of_kind(place, kind)[..] else {
            panic!("{kind}")
        };
        assert!(
            entry["human"]["name"]
                .as_str()
                .unwrap()
                .starts_with("hmac-sha256:"),
            "{entry}"
        );
        assert!(!entry.to_string().contains("s3cret-path"), "{entry}");
    }
    ask.bound.resource_id = "inv_4".into();
    assert!(story.asks_for(&ask).await.is_ok());
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(receiver.got().len(), 9);
    let sealed = std::fs::read_dir(place.config().data_dir.join("webhooks")).unwrap();
    assert_eq!(sealed.count(), 0, "its secret is gone");
    story.town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_no_authority_whoever_sends_it_where() {
    let story = Story::new().await;
    let admin = story.town.principal("root", &[Role::Admin]).await;
    drop(story.approver("ann").await);
    let receiver = Receiver::answering(&[Reply::status(204)]).await;
    let secret = add(&admin, "pager", &receiver.url()).await;
    let id = story.asks().await.unwrap().approval_id;
    let [got] = &receiver.after(1).await[..] else {
        panic!()
    };
    let place = &story.town.place;
    // Altered, or too old, it is no message at all.
    assert!(got.is_signed_with(&secret, place.now()));
    for changed in [
        Got {
            body: got.body.replace("pending", "approved"),
            ..got.clone()
        },
        Got {
            headers: got
                .headers
                .iter()
                .map(|(name, value)| match name.as_str() {
                    "webhook-id" => (name.clone(), "other".to_owned()),
                    _ => (name.clone(), value.clone()),
                })
                .collect(),
            ..got.clone()
        },
    ] {
        assert!(!changed.is_signed_with(&secret, place.now()));
    }
    assert!(!got.is_signed_with(&secret, place.now().plus_secs(301)));
    // Replayed at everything that we serve, by somebody without a session: it opens nothing.
    let thief = story.town.browser();
    let headers: Vec<(&str, &str)> = got
        .headers
        .iter()
        .filter(|(name, _)| !["host", "content-length", "connection"].contains(&name.as_str()))
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    for path in [
        format!("/v1/approvals/{id}/vote"),
        format!("/ui/approvals/{id}/vote"),
        format!("/v1/approvals/{id}/withdraw"),
        "/v1/webhooks".to_owned(),
        "/v1/webhooks/pager/test".to_owned(),
        "/v1/groups".to_owned(),
    ] {
        let answer = thief.send(Method::POST, &path, &headers, &got.body).await;
        assert!(
            matches!(answer.status.as_u16(), 303 | 401 | 403),
            "{path}: {} {}",
            answer.status,
            answer.text()
        );
        if answer.status == 303 {
            assert!(answer.header("location").starts_with("/ui/login"), "{path}");
        }
    }
    for path in ["/access/v1/requests", "/access/v1/evaluation", "/oauth/token"] {
        let request = http::Request::post(path).header("host", "x");
        let request = headers
            .iter()
            .fold(request, |request, (name, value)| request.header(*name, *value));
        let body = http_body_util::Full::from(hyper::body::Bytes::from(got.body.clone()));
        let answer = place.client.send(request.body(body).unwrap()).await.unwrap();
        assert!(answer.status.is_client_error(), "{path}: {}", answer.text());
    }
    // The page that it links to is for those who are logged in.
    let page = got.json()["data"]["page"].as_str().unwrap().to_owned();
    let page = page.split_once("/ui/").unwrap().1;
    let answer = thief.get(&format!("/ui/{page}")).await;
    assert_ne!(answer.status, 200, "{}", answer.text());
    assert_eq!(story.spends(&id).await.unwrap_err(), "NEEDS_APPROVAL");
    story.town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_endpoint_holds_nobody_up_and_leads_nowhere() {
    let story = Story::new().await;
    let place = &story.town.place;
    let admin = story.town.principal("root", &[Role::Admin]).await;
    let ann = story.approver("ann").await;
    let elsewhere = Receiver::answering(&[Reply::status(204)]).await;
    let moved = format!(
        "HTTP/1.1 307 X\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n",
        elsewhere.url()
    );
    let silent = Receiver::answering(&[Reply::Silence]).await;
    add(&admin, "silent", &silent.url()).await;
    let mut receivers = Vec::new();
    for (name, reply, failure) in [
        ("redirects", Reply::Bytes(moved), Some("redirects")),
        ("broken", Reply::Bytes("hello\r\n\r\n".into()), Some("broken")),
        ("heading", Reply::Heading, Some("broken")),
        ("error", Reply::status(500), Some("status")),
        ("gone", Reply::status(410), Some("gone")),
        // The status is all that counts: what comes after it is not waited for.
        ("endless", Reply::Endless, None),
    ] {
        let receiver = Receiver::answering(&[reply]).await;
        add(&admin, name, &receiver.url()).await;
        let began = Instant::now();
        let tested = test(&admin, name).await;
        assert_eq!(tested["delivered"], failure.is_none(), "{name}: {tested}");
        assert_eq!(tested["failure"].as_str(), failure, "{name}");
        assert!(began.elapsed() < Duration::from_secs(5), "{name}");
        receivers.push(receiver);
    }
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = format!("http://{}/", nobody.local_addr().unwrap());
    drop(nobody);
    add(&admin, "closed", &closed).await;
    assert_eq!(test(&admin, "closed").await["failure"], "unreachable");
    assert!(elsewhere.got().is_empty());
    // Eight of them, one that never answers: a request and a vote take no longer for it.
    let began = Instant::now();
    let id = story.asks().await.unwrap().approval_id;
    assert_eq!(ann.votes(&id, "yes").await.status, 303);
    assert_eq!(story.spends(&id).await, Ok(()));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    silent.after(1).await;
    // Who wants no more gets no more, and each message given up is one entry, however often it was tried.
    for _ in 0..400 {
        if of_kind(place, "webhook.failed").len() == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    let failed = of_kind(place, "webhook.failed");
    assert_eq!(failed.len(), 2, "{failed:?}");
    for entry in &failed {
        assert_eq!(
            (&entry["detail"]["name"], &entry["detail"]["error"]),
            (&"gone".into(), &"gone".into())
        );
        assert_eq!(entry["detail"]["attempts"], 1);
        assert_eq!(entry["why"]["approval"], id);
    }
    // Ten seconds are the end of an attempt.
    let began = Instant::now();
    assert_eq!(test(&admin, "silent").await["failure"], "late");
    assert!(
        (9..15).contains(&began.elapsed().as_secs()),
        "{:?}",
        began.elapsed()
    );
    story.town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_failed_is_sent_again_as_the_same_message() {
    let story = Story::new().await;
    let place = &story.town.place;
    let admin = story.town.principal("root", &[Role::Admin]).await;
    drop(story.approver("ann").await);
    let receiver = Receiver::answering(&[Reply::status(503), Reply::status(204)]).await;
    let secret = add(&admin, "pager", &receiver.url()).await;
    story.asks().await.unwrap();
    receiver.after(1).await;
    let waits = condition(&admin, |it| it["failure"] == "status").await;
    assert_eq!((&waits["waiting"], &waits["given_up"]), (&1.into(), &0.into()));
    let got = receiver.after(2).await;
    assert_eq!(got[0].body, got[1].body);
    assert_eq!(got[0].headers["webhook-id"], got[1].headers["webhook-id"]);
    assert!(got.iter().all(|got| got.is_signed_with(&secret, place.now())));
    condition(&admin, |it| it["delivered"] == 1 && it["failure"] == Value::Null).await;
    assert!(
        of_kind(place, "webhook.failed").is_empty(),
        "an attempt is no entry"
    );
    story.town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_still_waits_is_announced_again_after_a_restart() {
    let story = Story::new().await;
    let admin = story.town.principal("root", &[Role::Admin]).await;
    drop(story.approver("ann").await);
    let receiver = Receiver::answering(&[Reply::status(204)]).await;
    let secret = add(&admin, "pager", &receiver.url()).await;
    story.asks().await.unwrap();
    receiver.after(1).await;
    let Story { town, .. } = story;
    let place = town.closed().await.restarted().await;
    let got = receiver.after(2).await;
    assert_eq!(got[0].headers["webhook-id"], got[1].headers["webhook-id"]);
    assert_eq!(got[0].body, got[1].body);
    assert!(got[1].is_signed_with(&secret, place.now()), "its secret was kept");
    place.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_webhook_may_be_is_for_the_installations_administrators() {
    let town = Town::new().await;
    let root = town.principal("root", &[Role::Admin]).await;
    town.add_to("eve", &[Role::Admin], Some(town.place.org)).await;
    let eve = town.enrolled("eve").await;
    let receiver = Receiver::answering(&[Reply::status(204)]).await;
    let port = receiver.address.port();
    for url in [
        receiver.url(),
        format!("http://localhost:{port}/"),
        format!("http://[::1]:{port}/"),
        "https://10.0.0.1/".to_owned(),
        "https://[::ffff:127.0.0.1]/".to_owned(),
    ] {
        let (status, problem) = try_add(&eve, "pager", &url).await;
        assert_eq!(
            (status, &problem["code"]),
            (422, &"WEBHOOK_ADDRESS".into()),
            "{url}"
        );
    }
    for url in [
        "https://169.254.169.254/",
        "https://100.100.100.200/",
        "https://[fe80::1]/",
    ] {
        assert_eq!(
            try_add(&root, "pager", url).await.1["code"],
            "WEBHOOK_ADDRESS",
            "{url}"
        );
    }
    for url in [
        "http://hooks.example.com/",
        "https://0x7f.1/",
        "https://2130706433/",
        "https://a@hooks.example.com/",
        "https://hooks.example.com/?x=1",
    ] {
        assert_eq!(
            try_add(&root, "pager", url).await.1["code"],
            "WEBHOOK_URL",
            "{url}"
        );
    }
    assert!(receiver.got().is_empty());
    // Who registers without the role leaves nothing behind.
    let kim = town.principal("kim", &[Role::Operator]).await;
    assert_eq!(try_add(&kim, "pager", &receiver.url()).await.0, 403);
    assert_eq!(
        test_status(&kim, "pager").await,
        404,
        "there is none, and it is not said whether"
    );
    let sealed = std::fs::read_dir(town.place.config().data_dir.join("webhooks")).unwrap();
    assert_eq!(sealed.count(), 0);
    add(&root, "pager", &receiver.url()).await;
    assert_eq!(test_status(&kim, "pager").await, 403);
    assert!(receiver.got().is_empty());
    town.end().await;
}

async fn test_status(browser: &Browser, name: &str) -> u16 {
    let path = format!("/v1/webhooks/{name}/test");
    let answer = browser.script(Method::POST, &path, &json!({})).await;
    answer.status.as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn its_secret_is_shown_once_and_lies_nowhere_in_clear() {
    let town = Town::new().await;
    let root = town.principal("root", &[Role::Admin]).await;
    let receiver = Receiver::answering(&[Reply::status(500)]).await;
    let secret = add(&root, "pager", &receiver.url()).await;
    assert_eq!(test(&root, "pager").await["delivered"], false);
    let base64 = secret.strip_prefix("whsec_").unwrap();
    let bytes = STANDARD.decode(base64).unwrap();
    assert_eq!(bytes.len(), 32);
    let shown = root.script(Method::GET, "/v1/webhooks", &json!({})).await.text();
    let place = town.closed().await;
    let said = [shown, place.entries().concat()].concat();
    assert!(!said.contains(base64) && !said.contains("secret"), "{said}");
    let dir = place.path();
    place.running.stop().await;
    let mut looked = 0;
    visit(&dir, &mut |path, content| {
        looked += 1;
        for needle in [base64.as_bytes(), &bytes] {
            assert!(
                content.windows(needle.len()).all(|part| part != needle),
                "{} holds it",
                path.display()
            );
        }
    });
    assert!(looked > 5, "{looked} files");
}

fn visit(folder: &Path, look: &mut impl FnMut(&Path, &[u8])) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            visit(&entry.path(), look);
        } else if kind.is_file() {
            look(&entry.path(), &std::fs::read(entry.path()).unwrap());
        }
    }
}

/// An authority and a receiver's side of TLS under it, for `localhost`.
fn tls() -> (String, TlsAcceptor) {
    let mut root = CertificateParams::new(Vec::new()).unwrap();
    root.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let own = own.signed_by(&key, &authority).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![own.der().clone()],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        )
        .unwrap();
    (authority.pem(), TlsAcceptor::from(Arc::new(config)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_trusted_under_the_authorities_that_are_named() {
    let ((pem, trusted), (_, stranger)) = (tls(), tls());
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("webhook-ca.pem");
    std::fs::write(&ca, pem).unwrap();
    let place = Place::set_up(|config| config.webhook_ca = Some(ca)).await;
    let town = Town::around(place).await;
    let root = town.principal("root", &[Role::Admin]).await;
    let good = Receiver::over_tls(trusted.clone()).await;
    let url = |receiver: &Receiver, host: &str| format!("https://{host}:{}/", receiver.address.port());
    add(&root, "good", &url(&good, "localhost")).await;
    assert_eq!(test(&root, "good").await["delivered"], true);
    // Another name than its certificate's, and another authority's certificate.
    add(&root, "renamed", &url(&good, "127.0.0.1")).await;
    assert_eq!(test(&root, "renamed").await["failure"], "untrusted");
    let bad = Receiver::over_tls(stranger).await;
    add(&root, "stranger", &url(&bad, "localhost")).await;
    assert_eq!(test(&root, "stranger").await["failure"], "untrusted");
    // No TLS at all.
    let plain = Receiver::answering(&[Reply::status(204)]).await;
    add(&root, "plain", &url(&plain, "localhost")).await;
    assert_ne!(test(&root, "plain").await["failure"], Value::Null);
    assert!(bad.got().is_empty() && plain.got().is_empty());
    assert_eq!(good.got().len(), 1);
    town.end().await;
}
