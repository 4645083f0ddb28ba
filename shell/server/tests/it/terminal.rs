//! Sessions at a terminal: let in by a person, bound to a key, worth nothing without it.

use crate::people::{Browser, Town};
use crate::test_key::TestKey;
use broker::world::Role;
use credential::Algorithm;
use credential::dpop::{ProofClaims, RequestTarget};
use http::Method;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU32, Ordering};

static PROOFS: AtomicU32 = AtomicU32::new(0);

fn proof(town: &Town, key: &TestKey, method: &str, path: &str, secret: Option<&str>) -> String {
    let claims = ProofClaims {
        jti: &format!("proof-{}", PROOFS.fetch_add(1, Ordering::Relaxed)),
        method,
        target: &RequestTarget::parse(&format!("{}{path}", town.url)).unwrap(),
        issued_at: town.place.now(),
        access_token: secret,
        nonce: None,
        caller: None,
    };
    let unsigned = claims.unsigned(&ProofClaims::header(&key.public, Algorithm::Es256));
    let signature = key.sign(unsigned.message());
    unsigned.with_signature(&signature)
}

async fn begin(town: &Town, terminal: &Browser, key: &TestKey) -> Value {
    let proof = proof(town, key, "POST", "/v1/terminal-logins", None);
    let headers = [("authorization", "Tabard new"), ("dpop", proof.as_str())];
    terminal
        .send(Method::POST, "/v1/terminal-logins", &headers, "{}")
        .await
        .json()
}

async fn poll(town: &Town, terminal: &Browser, key: &TestKey, begun: &Value) -> (u16, Value) {
    let path = "/v1/terminal-logins/poll";
    let proof = proof(town, key, "POST", path, None);
    let headers = [("authorization", "Tabard new"), ("dpop", proof.as_str())];
    let body = json!({"ticket": begun["ticket"]}).to_string();
    let answer = terminal.send(Method::POST, path, &headers, &body).await;
    let value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    (answer.status.as_u16(), value)
}

async fn ask(town: &Town, terminal: &Browser, key: &TestKey, secret: &str, path: &str) -> (u16, Value) {
    let proof = proof(town, key, "GET", path, Some(secret));
    let authorization = format!("Tabard {secret}");
    let headers = [
        ("authorization", authorization.as_str()),
        ("dpop", proof.as_str()),
    ];
    let answer = terminal.send(Method::GET, path, &headers, "").await;
    let value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    (answer.status.as_u16(), value)
}

/// Types a code in; the page that says which terminal that is.
async fn looks(browser: &Browser, code: &str) -> crate::client::Answer {
    browser
        .form("/ui/terminal", "/ui/terminal", &format!("code={code}"))
        .await
}

/// The fields with which the page lets in the terminal that it shows.
fn shown(page: &str) -> String {
    let value = |name: &str| {
        let rest = page.split_once(&format!("name=\"{name}\" value=\"")).unwrap().1;
        rest.split_once('"').unwrap().0
    };
    format!("code={}&terminal={}", value("code"), value("terminal"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_is_let_in_by_a_verified_person_and_acts_as_them() {
    let town = Town::new().await;
    let ann = town.principal("ann", &[Role::Viewer]).await;
    let (terminal, key) = (town.browser(), TestKey::new());
    let begun = begin(&town, &terminal, &key).await;
    let code = begun["code"].as_str().unwrap().to_owned();
    assert_eq!(poll(&town, &terminal, &key, &begun).await.0, 202);
    // A link cannot carry the code.
    let page = ann.get(&format!("/ui/terminal?code={code}")).await.text();
    assert!(!page.contains(&code));
    assert_eq!(
        ann.form("/ui/terminal", "/ui/terminal", "code=AAAA-AAAA")
            .await
            .status,
        404
    );
    town.place.pass(301);
    let late = code;
    let begun = begin(&town, &terminal, &key).await;
    let code = begun["code"].as_str().unwrap().to_lowercase();
    // Whoever was not there lately learns nothing about a code.
    for code in [&late, &code] {
        let refused = ann.form("/ui/", "/ui/terminal", &format!("code={code}")).await;
        assert!(refused.text().contains("ADMIN_NOT_VERIFIED"));
    }
    assert_eq!(ann.verify().await.status, 200);
    assert_eq!(looks(&ann, &late).await.status, 404, "its five minutes are over");
    // Where it is, when it asked and what it shows stand on the page before anything is let in.
    let page = looks(&ann, &code).await;
    assert_eq!(page.status, 200);
    let text = page.text();
    for known in [
        "127.0.0.1",
        code.to_uppercase().as_str(),
        "UTC",
        "ran <code>tabard login</code> there yourself",
    ] {
        assert!(text.contains(known), "{known} is not in {text}");
    }
    assert_eq!(
        poll(&town, &terminal, &key, &begun).await.0,
        202,
        "looking lets nothing in"
    );
    // A yes is about the terminal that was shown, and no other.
    let other = begin(&town, &terminal, &TestKey::new()).await;
    let other = looks(&ann, other["code"].as_str().unwrap()).await.text();
    let swapped = format!("code={code}&{}", shown(&other).split_once('&').unwrap().1);
    assert_eq!(ann.form("/ui/", "/ui/terminal", &swapped).await.status, 404);
    assert_eq!(poll(&town, &terminal, &key, &begun).await.0, 202);
    let mine = shown(&text);
    assert_eq!(ann.form("/ui/", "/ui/terminal", &mine).await.status, 200);

    // Another key with the same ticket gets nothing, and does not spend it.
    assert_eq!(poll(&town, &terminal, &TestKey::new(), &begun).await.0, 410);
    let (status, session) = poll(&town, &terminal, &key, &begun).await;
    assert_eq!((status, session["name"].as_str()), (200, Some("ann")));
    assert_eq!(poll(&town, &terminal, &key, &begun).await.0, 410);
    let secret = session["secret"].as_str().unwrap().to_owned();

    let (status, answer) = ask(&town, &terminal, &key, &secret, "/v1/status").await;
    assert_eq!((status, answer["you"]["name"].as_str()), (200, Some("ann")));
    // The secret alone, with another key, or with a proof for another request.
    let (status, _) = ask(&town, &terminal, &TestKey::new(), &secret, "/v1/status").await;
    assert_eq!(status, 401);
    let authorization = format!("Tabard {secret}");
    let stolen = proof(&town, &key, "GET", "/v1/status", Some(&secret));
    for (path, dpop) in [("/v1/status", None), ("/v1/sessions", Some(stolen.as_str()))] {
        let mut headers = vec![("authorization", authorization.as_str())];
        headers.extend(dpop.map(|proof| ("dpop", proof)));
        assert_eq!(
            terminal.send(Method::GET, path, &headers, "").await.status,
            401,
            "{path}"
        );
    }
    // A proof twice.
    let headers = [
        ("authorization", authorization.as_str()),
        ("dpop", stolen.as_str()),
    ];
    assert_eq!(
        terminal
            .send(Method::GET, "/v1/status", &headers, "")
            .await
            .status,
        200
    );
    assert_eq!(
        terminal
            .send(Method::GET, "/v1/status", &headers, "")
            .await
            .status,
        401
    );
    // As a cookie it opens no page, and a browser's session opens nothing at a terminal.
    terminal
        .jar
        .lock()
        .unwrap()
        .insert("__Host-tabard-session".into(), secret.clone());
    assert!(!terminal.is_in().await);
    terminal.jar.lock().unwrap().clear();
    let (status, _) = ask(&town, &terminal, &key, &ann.session().unwrap(), "/v1/status").await;
    assert_eq!(status, 401);
    // A page of another site cannot use it either.
    let fresh = proof(&town, &key, "GET", "/v1/status", Some(&secret));
    let headers = [
        ("authorization", authorization.as_str()),
        ("dpop", fresh.as_str()),
        ("sec-fetch-site", "cross-site"),
    ];
    assert_eq!(
        terminal
            .send(Method::GET, "/v1/status", &headers, "")
            .await
            .status,
        403
    );

    town.remove("ann").await;
    let (status, _) = ask(&town, &terminal, &key, &secret, "/v1/status").await;
    assert_eq!(status, 401);
    town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn terminals_that_wait_are_bounded() {
    let town = Town::new().await;
    let terminal = town.browser();
    for _ in 0..8 {
        assert!(begin(&town, &terminal, &TestKey::new()).await["code"].is_string());
    }
    let full = begin(&town, &terminal, &TestKey::new()).await;
    assert_eq!(full["code"], "TERMINALS_FULL");
    town.place.pass(301);
    assert!(begin(&town, &terminal, &TestKey::new()).await["ticket"].is_string());
    town.end().await;
}
