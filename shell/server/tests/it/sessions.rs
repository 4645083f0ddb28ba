//! Sessions of people: the ways in and what each is worth, and the attacks on them.

use crate::people::Town;
use crate::test_key::TestKey;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use broker::world::Role;
use http::Method;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_person_enrols_by_an_invite_logs_in_and_out() {
    let town = Town::new().await;
    let ann = town.principal("ann", &[Role::Viewer]).await;
    assert!(ann.is_in().await);
    let status = ann.script(Method::GET, "/v1/status", &json!({})).await;
    assert_eq!(status.json()["you"]["name"], "ann");
    // The record says who, and how they came in, and names no one in clear.
    let opened = town
        .place
        .entries()
        .into_iter()
        .find(|it| it.contains("session.opened"))
        .unwrap();
    let opened: serde_json::Value = serde_json::from_str(&opened).unwrap();
    assert_eq!(opened["human"]["assurance"], "webauthn");
    assert!(opened["human"]["session"].as_str().unwrap().starts_with("ses_"));
    assert!(!opened.to_string().contains("\"ann\""));
    let out = ann.form("/ui/", "/ui/logout", "").await;
    assert_eq!(out.status, 303);
    assert!(!ann.is_in().await);
    town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invite_works_once_in_time_and_a_failed_attempt_does_not_spend_it() {
    let town = Town::new().await;
    town.add("ann", &[Role::Viewer]).await;
    let code = town.invite("ann").await;
    let browser = town.browser();
    // An attempt without user verification fails, and the invite is still good.
    *browser.passkey.flags.lock().unwrap() = 0b001;
    assert_eq!(browser.enrol_with(&code).await.json()["code"], "PASSKEY_UNPROVEN");
    *browser.passkey.flags.lock().unwrap() = 0b101;
    assert_eq!(browser.enrol_with(&code).await.status, 200);
    let thief = town.browser();
    assert_eq!(thief.enrol_with(&code).await.json()["code"], "INVITE_WORTHLESS");
    let late = town.invite("ann").await;
    town.place.pass(15 * 60 + 1);
    assert_eq!(thief.enrol_with(&late).await.json()["code"], "INVITE_WORTHLESS");
    assert_eq!(
        thief.enrol_with("guessed").await.json()["code"],
        "INVITE_WORTHLESS"
    );
    town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_race_for_an_invite_are_not_both_let_in() {
    let town = Town::new().await;
    town.add("ann", &[Role::Viewer]).await;
    let code = town.invite("ann").await;
    let browsers: Vec<_> = (0..8).map(|_| town.browser()).collect();
    let races = browsers.iter().map(|browser| browser.enrol_with(&code));
    let let_in = futures_util::future::join_all(races).await;
    assert_eq!(let_in.iter().filter(|answer| answer.status == 200).count(), 1);
    town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_proves_its_user_our_challenge_our_page_and_a_rising_counter() {
    let town = Town::new().await;
    let ann = town.principal("ann", &[Role::Viewer]).await;
    let other = town.browser();
    let try_with = async |change: &dyn Fn(&mut serde_json::Value), origin: &str| {
        let begun = other.begin().await;
        let mut shown = ann.passkey.shown(&begun, origin);
        change(&mut shown);
        let answer = other.script(Method::POST, "/ui/login/passkey", &shown).await;
        (
            answer.status.as_u16(),
            answer.json()["code"].as_str().unwrap_or_default().to_owned(),
        )
    };
    let unproven = (403, "PASSKEY_UNPROVEN".to_owned());
    assert_eq!(try_with(&|_| {}, "https://evil.example").await, unproven);
    assert_eq!(
        try_with(&|shown| shown["signature"] = "AAAA".into(), &ann.url).await,
        unproven
    );
    assert_eq!(
        try_with(&|shown| shown["id"] = "AAAA".into(), &ann.url).await,
        (403, "PASSKEY_UNKNOWN".into())
    );
    assert_eq!(
        try_with(&|shown| shown["user_handle"] = "AAAA".into(), &ann.url).await,
        (403, "PASSKEY_UNKNOWN".into())
    );
    *ann.passkey.flags.lock().unwrap() = 0b001;
    assert_eq!(try_with(&|_| {}, &ann.url).await, unproven);
    *ann.passkey.flags.lock().unwrap() = 0b101;
    // A copy of the passkey that lags behind.
    *ann.passkey.counter.lock().unwrap() = 0;
    assert_eq!(try_with(&|_| {}, &ann.url).await, unproven);
    *ann.passkey.counter.lock().unwrap() = 50;
    // The same answer twice: the challenge is spent.
    let begun = other.begin().await;
    let shown = ann.passkey.shown(&begun, &ann.url);
    let flow = other.jar.lock().unwrap().clone();
    assert_eq!(
        other
            .script(Method::POST, "/ui/login/passkey", &shown)
            .await
            .status,
        200
    );
    *other.jar.lock().unwrap() = flow.clone();
    let mut again = shown.clone();
    assert_ne!(
        other
            .script(Method::POST, "/ui/login/passkey", &again)
            .await
            .status,
        200
    );
    // In another browser the answer is worth nothing: the question was not asked there.
    let thief = town.browser();
    again["user_handle"] = serde_json::Value::Null;
    let answer = thief.script(Method::POST, "/ui/login/passkey", &again).await;
    assert_eq!(answer.json()["code"], "LOGIN_NOT_BEGUN");
    town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_new_at_login_and_at_verification_and_the_old_secret_is_dead() {
    let town = Town::new().await;
    let ann = town.principal("ann", &[Role::Viewer]).await;
    let thief = town.browser();
    let steal = |secret: Option<String>| {
        let mut jar = thief.jar.lock().unwrap();
        jar.clear();
        jar.insert("__Host-tabard-session".into(), secret.unwrap());
    };
    // Fixation: a secret that somebody planted is not the one after login.
    let victim = town.browser();
    let planted = ann.session();
    victim
        .jar
        .lock()
        .unwrap()
        .insert("__Host-tabard-session".into(), planted.clone().unwrap());
    let begun = victim.begin().await;
    let shown = ann.passkey.shown(&begun, &ann.url);
    assert_eq!(
        victim
            .script(Method::POST, "/ui/login/passkey", &shown)
            .await
            .status,
        200
    );
    assert_ne!(victim.session(), planted);
    // The session before the login ended with it.
    steal(planted);
    assert!(!thief.is_in().await);

    let before = victim.session();
    let begun = victim.begin().await;
    let shown = ann.passkey.shown(&begun, &ann.url);
    assert_eq!(
        victim
            .script(Method::POST, "/ui/verify/passkey", &shown)
            .await
            .status,
        200
    );
    assert_ne!(victim.session(), before);
    steal(before);
    assert!(!thief.is_in().await);
    // Theft after logout.
    let last = victim.session();
    victim.form("/ui/", "/ui/logout", "").await;
    steal(last);
    assert!(!thief.is_in().await);
    town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_unused_and_at_its_end_however_used() {
    let town = Town::new().await;
    let ann = town.principal("ann", &[Role::Viewer]).await;
    town.place.pass(14 * 60);
    assert!(ann.is_in().await);
    town.place.pass(14 * 60);
    assert!(ann.is_in().await);
    town.place.pass(15 * 60 + 1);
    assert!(!ann.is_in().await);

    let ben = town.principal("ben", &[Role::Viewer]).await;
    for _ in 0..48 {
        town.place.pass(10 * 60 - 5);
        let alive = ben.is_in().await;
        assert!(alive, "used every ten minutes, it lives");
    }
    town.place.pass(5 * 60);
    assert!(!ben.is_in().await);
    town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_becomes_of_a_principal_is_so_at_the_next_request() {
    let town = Town::new().await;
    let ann = town.principal("ann", &[Role::Author, Role::Admin]).await;
    assert_eq!(
        ann.script(Method::GET, "/v1/principals", &json!({})).await.status,
        200
    );
    let wanted = json!({"name": "x", "roles": ["viewer"]});
    assert_eq!(
        ann.script(Method::POST, "/v1/principals", &wanted).await.status,
        200
    );
    town.add("ann", &[Role::Viewer]).await;
    let refused = ann.script(Method::POST, "/v1/principals", &wanted).await;
    assert_eq!(refused.json()["code"], "ADMIN_ROLE");
    town.remove("ann").await;
    let gone = ann.script(Method::GET, "/v1/status", &json!({})).await;
    assert_eq!(
        (gone.status.as_u16(), gone.json()["code"].as_str()),
        (401, Some("SESSION_NEEDED"))
    );
    assert_eq!(gone.header("www-authenticate"), "Tabard realm=\"people\"");
    // Somebody of the same name later is somebody else.
    town.add("ann", &[Role::Admin]).await;
    assert!(!ann.is_in().await);
    assert_eq!(ann.log_in().await.json()["code"], "PASSKEY_UNKNOWN");
    town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_taken_back_takes_a_proof_of_presence() {
    let town = Town::new().await;
    let ann = town.principal("ann", &[Role::Admin]).await;
    let wanted = json!({"name": "x", "roles": ["viewer"]});
    assert_eq!(
        ann.script(Method::POST, "/v1/principals", &wanted).await.status,
        200
    );
    town.place.pass(301);
    let csr = STANDARD.encode(TestKey::new().csr());
    for (method, path, body) in [
        (Method::POST, "/v1/principals", wanted.clone()),
        (Method::POST, "/v1/services/edge/svid", json!({"csr": csr})),
        (Method::POST, "/v1/principals/x/invite", json!({})),
        (Method::DELETE, "/v1/principals/x", json!({})),
        (Method::POST, "/v1/join-tokens", json!({"role": "node"})),
        (
            Method::POST,
            "/v1/agents/demo-billing/state",
            json!({"state": "active"}),
        ),
        (
            Method::POST,
            "/v1/trust-sources/remove",
            json!({"issuer": "https://idp.example"}),
        ),
    ] {
        let refused = ann.script(method, path, &body).await;
        let code = refused.json()["code"].as_str().unwrap_or_default().to_owned();
        if path == "/v1/principals/x/invite" {
            // This place's configuration has no people, so there is no link to give.
            assert_eq!(code, "PEOPLE_NOWHERE");
        } else if path.starts_with("/v1/trust") {
            assert_eq!(code, "NOT_FOUND");
        } else {
            assert_eq!(
                (refused.status.as_u16(), code.as_str()),
                (403, "ADMIN_NOT_VERIFIED"),
                "{path}"
            );
        }
    }
    // To stop an agent takes no proof: it must not wait.
    let stop = json!({"state": "suspended"});
    assert_eq!(
        ann.script(Method::POST, "/v1/agents/demo-billing/state", &stop)
            .await
            .status,
        200
    );
    assert_eq!(ann.verify().await.status, 200);
    let resume = json!({"state": "active"});
    assert_eq!(
        ann.script(Method::POST, "/v1/agents/demo-billing/state", &resume)
            .await
            .status,
        200
    );
    town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_site_can_do_nothing_with_a_session() {
    let town = Town::new().await;
    let ann = town.principal("ann", &[Role::Admin]).await;
    let body = json!({"name": "mallory", "roles": ["admin"]}).to_string();
    let json_type = ("content-type", "application/json");
    let ours = ("x-tabard-request", "1");
    for headers in [
        &[
            ("sec-fetch-site", "cross-site"),
            ("origin", "https://evil.example"),
            json_type,
            ours,
        ][..],
        &[
            ("sec-fetch-site", "same-site"),
            ("origin", ann.url.as_str()),
            json_type,
            ours,
        ],
        &[
            ("sec-fetch-site", "cross-site"),
            ("origin", "null"),
            json_type,
            ours,
        ],
        &[("origin", "https://evil.example"), json_type, ours],
        &[("origin", "null"), json_type, ours],
        &[json_type, ours],
        // A form of our own origin that is none of ours.
        &[
            ("sec-fetch-site", "same-origin"),
            ("origin", ann.url.as_str()),
            json_type,
        ],
        &[
            ("sec-fetch-site", "same-origin"),
            ("origin", ann.url.as_str()),
            ("content-type", "text/plain"),
            ours,
        ],
    ] {
        let answer = ann.send(Method::POST, "/v1/principals", headers, &body).await;
        assert!(
            matches!(answer.status.as_u16(), 403 | 415),
            "{headers:?}: {}",
            answer.text()
        );
    }
    // Reading is no more open: neither to a script nor to an image, a frame or a form.
    for headers in [
        &[
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "no-cors"),
            ("sec-fetch-dest", "image"),
        ][..],
        &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "cors")],
        &[
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "iframe"),
        ],
    ] {
        let answer = ann.send(Method::GET, "/v1/status", headers, "").await;
        assert_eq!(answer.status, 403, "{headers:?}");
    }
    // A form without the token of this session, and with that of another.
    let ben = town.principal("ben", &[Role::Admin]).await;
    let page = ben.get("/ui/").await.text();
    let other = page
        .split("name=\"token\" value=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .to_owned();
    let same = [("sec-fetch-site", "same-origin"), ("origin", "null")];
    for token in [String::new(), "AAAA".into(), other] {
        let answer = ann
            .send(Method::POST, "/ui/logout", &same, &format!("token={token}"))
            .await;
        assert_eq!(answer.status, 403, "{token}");
    }
    assert!(ann.is_in().await);
    // Another name for the same address.
    let renamed = [("host", "evil.example")];
    let answer = town.browser().send(Method::GET, "/ui/login", &renamed, "").await;
    assert_eq!(answer.status, 421);
    town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_gets_to_read_why_and_can_go_on() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let town = Town::new().await;
    let host = town.url.trim_start_matches("https://").to_owned();
    let head = |length: usize| {
        format!(
            "POST /v1/upstreams HTTP/1.1\r\nhost: {host}\r\norigin: {}\r\nx-tabard-request: 1\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n",
            town.url
        )
    };
    let mut stream = town.browser().connect().await;
    let mut answer = vec![0; 16 * 1024];
    for _ in 0..2 {
        stream.write_all(head(20_000).as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        stream.write_all(&vec![b'x'; 20_000]).await.unwrap();
        stream.flush().await.unwrap();
        let length = stream.read(&mut answer).await.unwrap();
        let text = String::from_utf8_lossy(&answer[..length]);
        assert!(text.starts_with("HTTP/1.1 401"), "{text}");
    }
    // What is too long is not read to its end, and the answer says that the connection is over.
    stream.write_all(head(1024 * 1024 + 1).as_bytes()).await.unwrap();
    stream.write_all(&vec![b'x'; 1024 * 1024 + 1]).await.unwrap();
    stream.flush().await.unwrap();
    let length = stream.read(&mut answer).await.unwrap();
    let text = String::from_utf8_lossy(&answer[..length]);
    assert!(
        text.starts_with("HTTP/1.1 413") && text.contains("connection: close"),
        "{text}"
    );
    town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_an_agents_is_worth_anything_here() {
    let town = Town::new().await;
    let browser = town.browser();
    for credential in [
        "Bearer eyJhbGciOiJFUzI1NiJ9.e30.AAAA",
        "DPoP eyJhbGciOiJFUzI1NiJ9.e30.AAAA",
        "Basic dGVzdDp0ZXN0",
        "tabard x",
    ] {
        for path in ["/v1/status", "/ui/", "/ui/login"] {
            let answer = browser
                .send(Method::GET, path, &[("authorization", credential)], "")
                .await;
            assert_eq!(
                (answer.status.as_u16(), answer.json()["code"].as_str()),
                (403, Some("PEOPLE_AGENT_CREDENTIAL")),
                "{credential} {path}"
            );
        }
    }
    // The endpoints of agents are not here.
    for path in [
        "/oauth/token",
        "/.well-known/oauth-authorization-server",
        "/metrics",
    ] {
        let answer = browser.get(path).await;
        assert_eq!(answer.status, 404, "{path}");
    }
    // And those of people are not there.
    for path in ["/ui/login", "/v1/status", "/v1/sessions"] {
        let answer = town.place.client.get(path).await;
        assert_eq!(answer.status, 404, "{path}");
    }
    town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_says_what_a_browser_may_not_do_with_it() {
    let town = Town::new().await;
    let ann = town.principal("ann", &[Role::Viewer]).await;
    for path in [
        "/ui/",
        "/ui/login",
        "/ui/nowhere",
        "/v1/status",
        "/ui/style.css",
        "/ui/invite",
    ] {
        let answer = ann.get(path).await;
        let policy = answer.header("content-security-policy");
        for directive in [
            "default-src 'none'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "require-trusted-types-for 'script'",
        ] {
            assert!(policy.contains(directive), "{path}: {directive}");
        }
        assert!(!policy.contains("unsafe"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        assert_eq!(
            answer.header("cross-origin-opener-policy"),
            "same-origin",
            "{path}"
        );
        let text = answer.text();
        assert!(
            !text.contains("<script>") && !text.contains(" onclick=") && !text.contains(" style="),
            "{path}"
        );
    }
    town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_leads_nowhere_but_to_our_own_pages() {
    let town = Town::new().await;
    let ann = town.principal("ann", &[Role::Viewer]).await;
    for (to, led) in [
        ("/ui/sessions", "/ui/sessions"),
        ("https://evil.example/", "/ui/"),
        ("//evil.example/ui/", "/ui/"),
        ("/ui/..//evil.example", "/ui/"),
        ("/ui/%5cevil.example", "/ui/"),
    ] {
        let answer = ann.get(&format!("/ui/login?to={to}")).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("location")),
            (303, led),
            "{to}"
        );
    }
    town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_listed_and_ended_by_their_owner_and_by_an_admin_alone() {
    let town = Town::new().await;
    let ann = town.principal("ann", &[Role::Viewer]).await;
    let ben = town.principal("ben", &[Role::Viewer]).await;
    let boss = town.principal("boss", &[Role::Admin]).await;
    let of = async |browser: &crate::people::Browser| {
        let all = browser
            .script(Method::GET, "/v1/sessions", &json!({}))
            .await
            .json();
        all.as_array().unwrap().clone()
    };
    let bens = of(&ben).await;
    assert_eq!(bens.len(), 1);
    assert!(
        bens.iter()
            .all(|it| it["principal"] == "ben" && it["own"] == true)
    );
    assert_eq!(of(&boss).await.len(), 3);
    let path = format!("/v1/sessions/{}", bens[0]["id"].as_str().unwrap());
    let refused = ann.script(Method::DELETE, &path, &json!({})).await;
    assert_eq!(refused.json()["code"], "ADMIN_ROLE");
    assert!(ben.is_in().await);
    assert_eq!(boss.script(Method::DELETE, &path, &json!({})).await.status, 200);
    assert!(!ben.is_in().await);
    // On a page: another's is not even found.
    let page = ann.get("/ui/sessions").await.text();
    assert!(page.contains("a passkey") && !page.contains("webauthn"), "{page}");
    let anns = of(&ann).await;
    let bosses = of(&boss).await;
    let boss_own = bosses.iter().find(|it| it["own"] == true).unwrap();
    let fields = format!("session={}", boss_own["id"].as_str().unwrap());
    assert_eq!(
        ann.form("/ui/sessions", "/ui/sessions/end", &fields).await.status,
        404
    );
    let fields = format!("session={}", anns[0]["id"].as_str().unwrap());
    // A form that nobody reads to its end is not one of another session.
    let long = format!("{fields}&more={}", "x".repeat(16 * 1024));
    let refused = ann.form("/ui/sessions", "/ui/sessions/end", &long).await;
    assert_eq!(refused.status, 413);
    assert!(
        refused.text().contains("more than 16384 bytes"),
        "{}",
        refused.text()
    );
    assert_eq!(
        ann.form("/ui/sessions", "/ui/sessions/end", &fields).await.status,
        303
    );
    assert!(!ann.is_in().await);
    town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_passkey_takes_a_verified_session_and_removing_one_ends_its_sessions() {
    let town = Town::new().await;
    let ann = town.principal("ann", &[Role::Viewer]).await;
    let add = async || {
        let begun = ann.script(Method::POST, "/ui/passkeys/begin", &json!({})).await;
        let made = town.browser().passkey.made(&begun.json(), &ann.url);
        ann.script(Method::POST, "/ui/passkeys/add", &made).await
    };
    assert_eq!(add().await.status, 200);
    town.place.pass(301);
    assert_eq!(add().await.json()["code"], "ADMIN_NOT_VERIFIED");
    assert_eq!(ann.verify().await.status, 200);
    // The passkey that opened this session is the first in the list.
    let page = ann.get("/ui/passkeys").await.text();
    let id = page
        .split("name=\"passkey\" value=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let answer = ann
        .form("/ui/passkeys", "/ui/passkeys/remove", &format!("passkey={id}"))
        .await;
    assert_eq!(answer.status, 303);
    assert!(!ann.is_in().await);
    assert_eq!(ann.log_in().await.json()["code"], "PASSKEY_UNKNOWN");
    town.end().await;
}
