//! The admin plane over a real socket: who gets in, what each mutation leaves behind, what is refused.
//!
//! The caller is this very process, so its uid is whoever runs the tests; other uids are tried where the tests run as
//! root.

use crate::documented;
use crate::place::{CONTRACT, Place};
use broker::world::Role;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use server::admin::{AdminParts, JoinString, serve};
use std::path::PathBuf;
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A place whose admin plane listens.
struct Plane {
    place: Place,
    socket: PathBuf,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl Plane {
    /// With this process as a principal of `roles`.
    async fn with(roles: &[Role]) -> Self {
        let place = Place::new().await;
        if !roles.is_empty() {
            principal(&place, rustix::process::geteuid().as_raw(), roles).await;
        }
        Self::over(place)
    }
    fn over(place: Place) -> Self {
        let socket = place.config().admin_socket.clone();
        let (stop, stopped) = watch::channel(false);
        let parts = AdminParts {
            people: None,
            installation: place.installation().clone(),
            journals: Vec::new(),
            members: Vec::new(),
            socket: socket.clone(),
        };
        let serving = serve(parts, stopped).unwrap();
        Self {
            place,
            socket,
            stop,
            serving,
        }
    }
    async fn call(&self, method: Method, path: &str, body: &str) -> (StatusCode, Value) {
        let stream = UnixStream::connect(&self.socket).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        let driver = tokio::spawn(connection);
        let request = Request::builder()
            .method(method.clone())
            .uri(path)
            .header("host", "admin")
            .body(Full::new(Bytes::from(body.to_owned())))
            .unwrap();
        let (head, body) = sender.send_request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        driver.abort();
        let kind = head
            .headers
            .get("content-type")
            .map_or("", |it| it.to_str().unwrap());
        documented::hold(&method, path, head.status.as_u16(), kind, &body);
        let value = serde_json::from_slice(&body).unwrap_or_else(|_| String::from_utf8_lossy(&body).into());
        (head.status, value)
    }
    async fn get(&self, path: &str) -> Value {
        let (status, value) = self.call(Method::GET, path, "").await;
        assert_eq!(status, 200, "{path}: {value:#}");
        value
    }
    async fn post(&self, path: &str, body: Value) -> Value {
        let (status, value) = self.call(Method::POST, path, &body.to_string()).await;
        assert_eq!(status, 200, "{path}: {value:#}");
        value
    }
    /// A mutation that must be refused with this status and code.
    async fn refused(&self, path: &str, body: Value, status: u16, code: &str) -> Value {
        let (found, value) = self.call(Method::POST, path, &body.to_string()).await;
        assert_eq!(
            (found.as_u16(), value["code"].as_str()),
            (status, Some(code)),
            "{path}: {value:#}"
        );
        value
    }
    /// The last entry as JSON.
    fn last(&self) -> Value {
        let log = self.place.installation().store.log();
        serde_json::from_slice(&log.entry(log.size() - 1).unwrap()).unwrap()
    }
    async fn end(self) {
        self.stop.send_replace(true);
        self.serving.await.unwrap();
        assert!(!self.socket.exists());
    }
}

async fn principal(place: &Place, uid: u32, roles: &[Role]) {
    // The founder has this uid where the tests run as the user 1000.
    let name = if uid == crate::place::UID {
        "tester"
    } else {
        "caller"
    };
    let principal = broker::principal::Wanted {
        name: name.parse().unwrap(),
        uid: Some(uid),
        roles: roles.iter().copied().collect(),
        org: None,
        assurance: "dev".into(),
    };
    let (admin, source) = (place.admin(), place.draw());
    let world = place.installation().store.world();
    drop(
        place
            .grant(broker::principal::add(
                &world,
                &admin,
                principal,
                &mut source.draw(),
            ))
            .await,
    );
}

fn manifest(name: &str) -> String {
    format!(
        "apiVersion: tabard/v1\nkind: Agent\nmetadata: {{name: {name}}}\nowner: finance\npurpose: Reconciles.\n\
         contract: demo-billing\nexpires: 7d\nlaunch: {{launchers: [me], argv: free}}\n"
    )
}

const UPSTREAM: &str = "apiVersion: tabard/v1\nkind: Upstream\nmetadata: {name: erp}\nbase_url: http://127.0.0.1:9\n\
    credential: {api_key: {header: x-api-key, secret: stdin}}\n\
    routes: [{method: GET, path: /a, action: a.read, resource: {type: a}}]\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_uid_that_no_principal_has_is_nobody_and_leaves_no_entry() {
    let plane = Plane::over(Place::new().await);
    if rustix::process::geteuid().as_raw() == crate::place::UID {
        return plane.end().await;
    }
    let before = plane.place.installation().store.log().size();
    for _ in 0..20 {
        let (status, problem) = plane.call(Method::GET, "/v1/status", "").await;
        assert_eq!(
            (status.as_u16(), problem["code"].as_str()),
            (403, Some("ADMIN_UNKNOWN_UID"))
        );
    }
    // At most the one entry a second that counts them.
    assert!(plane.place.installation().store.log().size() <= before + 3);
    plane.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_below_a_supervisor_is_nobody_whatever_its_uid() {
    let plane = Plane::with(&[Role::Admin]).await;
    // A shell that calls itself what supervisors are called, and a child of it that asks.
    let script = "printf tabard-run > /proc/self/comm; python3 -c \"$1\" \"$2\"; true";
    let ask = "import socket,sys\ns=socket.socket(socket.AF_UNIX)\ns.settimeout(20)\ns.connect(sys.argv[1])\n\
        s.sendall(b'GET /v1/status HTTP/1.1\\r\\nhost: a\\r\\nconnection: close\\r\\n\\r\\n')\n\
        d=b''\nwhile True:\n    p=s.recv(65536)\n    if not p: break\n    d+=p\nprint(d.decode())";
    let (script, ask, socket) = (script.to_owned(), ask.to_owned(), plane.socket.clone());
    let asked = tokio::task::spawn_blocking(move || {
        std::process::Command::new("/bin/bash")
            .args(["-c", &script, "bash", &ask])
            .arg(socket)
            .output()
            .unwrap()
    })
    .await
    .unwrap();
    let answer = String::from_utf8_lossy(&asked.stdout);
    assert!(
        answer.contains("ADMIN_INSIDE_RUN"),
        "{answer}\n{}",
        String::from_utf8_lossy(&asked.stderr)
    );
    plane.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_needed_for_each_mutation_and_its_refusal_is_recorded_with_the_human() {
    let plane = Plane::with(&[Role::Viewer]).await;
    assert_eq!(plane.get("/v1/status").await["you"]["roles"], json!(["viewer"]));
    let agent = json!({"file": "a.yaml", "text": manifest("intruder")});
    let contract = json!({"file": "c.yaml", "text": String::from_utf8(CONTRACT.to_vec()).unwrap()});
    let upstream = json!({"file": "u.yaml", "text": UPSTREAM, "secret": "c2VjcmV0"});
    let uid = rustix::process::geteuid().as_raw();
    for (path, body) in [
        ("/v1/agents", agent),
        ("/v1/agents/demo-billing/state", json!({"state": "suspended"})),
        (
            "/v1/contracts/simulate",
            json!({"file": "c.yaml", "text": contract["text"], "since": 0}),
        ),
        ("/v1/contracts", contract),
        ("/v1/upstreams", upstream),
        (
            "/v1/registrations",
            json!({"name": "r", "agent": "demo-billing", "uid": 1, "executable": "/bin/a"}),
        ),
        (
            "/v1/principals",
            json!({"name": "me", "uid": uid, "roles": ["admin"]}),
        ),
        ("/v1/join-tokens", json!({"role": "node"})),
        ("/v1/tasks", json!({"agent": "demo-billing"})),
        (
            "/v1/revocations",
            json!({"dimension": "agent", "value": "demo-billing"}),
        ),
        (
            "/v1/revocations",
            json!({"dimension": "agent", "value": "demo-billing", "dry_run": true}),
        ),
    ] {
        let problem = plane.refused(path, body, 403, "ADMIN_ROLE").await;
        let entry = plane.last();
        assert_eq!(entry["kind"], "admin.refused", "{path}");
        assert_eq!(entry["human"]["uid"], uid, "{path}");
        assert_eq!(entry["decision"]["id"], problem["decision"], "{path}");
    }
    for path in [
        "/v1/entries",
        "/v1/entries/0:0",
        "/v1/entries/tail",
        "/v1/agents/demo-billing/tightened?since=0",
        "/v1/log/checkpoint",
    ] {
        let (status, problem) = plane.call(Method::GET, path, "").await;
        assert_eq!(
            (status.as_u16(), problem["code"].as_str()),
            (403, Some("ADMIN_ROLE")),
            "{path}"
        );
    }
    plane.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_are_registered_suspended_resumed_and_retired() {
    let plane = Plane::with(&[Role::Admin]).await;
    let body = json!({"file": "a.yaml", "text": manifest("demo-audit")});
    let applied = plane.post("/v1/agents", body).await;
    assert_eq!(applied["name"], "demo-audit");
    assert_eq!(plane.last()["human"]["assurance"], "dev");
    let shown = plane.get("/v1/agents/demo-audit").await;
    assert_eq!(shown["id"], applied["id"]);
    assert_eq!(shown["contract_name"], "demo-billing@1");
    assert_eq!(
        shown["launch"]["launchers"],
        json!([rustix::process::geteuid().as_raw()])
    );
    assert_eq!(plane.get("/v1/agents").await.as_array().unwrap().len(), 2);
    for state in ["suspended", "active", "retired"] {
        plane
            .post("/v1/agents/demo-audit/state", json!({ "state": state }))
            .await;
        assert_eq!(plane.get("/v1/agents/demo-audit").await["state"], state);
    }
    plane
        .refused(
            "/v1/agents/demo-audit/state",
            json!({"state": "active"}),
            422,
            "AGENT_RETIRED",
        )
        .await;
    plane.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_with_mistakes_are_refused_at_their_place() {
    let plane = Plane::with(&[Role::Admin]).await;
    let text = manifest("demo-audit").replace("owner:", "ownr:");
    let problem = plane
        .refused(
            "/v1/agents",
            json!({"file": "a.yaml", "text": text}),
            422,
            "DOCUMENT_INVALID",
        )
        .await;
    assert_eq!(
        (
            problem["mistakes"][0]["file"].as_str(),
            problem["mistakes"][0]["line"].as_u64()
        ),
        (Some("a.yaml"), Some(4))
    );
    let pinned =
        manifest("demo-audit").replace("argv: free", "argv: {exact: [/bin/true]}, executable: /bin/true");
    let problem = plane
        .refused(
            "/v1/agents",
            json!({"file": "a.yaml", "text": pinned}),
            422,
            "DOCUMENT_INVALID",
        )
        .await;
    assert!(
        problem["mistakes"][0]["fix"]
            .as_str()
            .unwrap()
            .contains("tabard agent measure a.yaml"),
        "{problem:#}"
    );
    let unknown = manifest("demo-audit").replace("contract: demo-billing", "contract: nothing@3");
    let problem = plane
        .refused(
            "/v1/agents",
            json!({"file": "a.yaml", "text": unknown}),
            422,
            "DOCUMENT_INVALID",
        )
        .await;
    assert_eq!(problem["mistakes"][0]["path"], "contract");
    let broken = json!({"file": "c.yaml", "text": "apiVersion: tabard/v1\nkind: AgentContract\n"});
    let problem = plane
        .refused("/v1/contracts/check", broken, 422, "DOCUMENT_INVALID")
        .await;
    assert!(problem["mistakes"].as_array().unwrap().len() > 1, "{problem:#}");
    plane.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_and_queries_are_read_strictly() {
    let plane = Plane::with(&[Role::Admin]).await;
    for body in [
        "{\"state\": \"suspended\", \"force\": true}",
        "{\"state\": \"suspended\", \"state\": \"active\"}",
        "{\"state\": \"gone\"}",
        "{}",
        "not json",
        "",
    ] {
        let (status, problem) = plane
            .call(Method::POST, "/v1/agents/demo-billing/state", body)
            .await;
        assert_eq!(
            (status.as_u16(), problem["code"].as_str()),
            (400, Some("BAD_REQUEST")),
            "{body}"
        );
    }
    let large = format!("{{\"state\": \"{}\"}}", "x".repeat(1 << 20));
    let (status, problem) = plane
        .call(Method::POST, "/v1/agents/demo-billing/state", &large)
        .await;
    assert_eq!(
        (status.as_u16(), problem["code"].as_str()),
        (413, Some("BODY_TOO_LARGE"))
    );
    let (status, _) = plane.call(Method::GET, "/v1/entries?agnet=x", "").await;
    assert_eq!(status, 400);
    let (status, problem) = plane.call(Method::PUT, "/v1/agents", "").await;
    assert_eq!(
        (status.as_u16(), problem["code"].as_str()),
        (405, Some("METHOD_NOT_ALLOWED"))
    );
    assert_eq!(plane.get("/v1/agents/demo-billing").await["state"], "active");
    plane.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstreams_secret_is_sealed_and_never_shown() {
    let plane = Plane::with(&[Role::Admin]).await;
    let without = json!({"file": "u.yaml", "text": UPSTREAM});
    plane
        .refused("/v1/upstreams", without.clone(), 422, "UPSTREAM_SECRET_MISSING")
        .await;
    for (secret, version) in [("c2VjcmV0LW9uZQ==", 1), ("c2VjcmV0LXR3bw==", 2)] {
        plane
            .post(
                "/v1/upstreams",
                json!({"file": "u.yaml", "text": UPSTREAM, "secret": secret}),
            )
            .await;
        assert_eq!(plane.get("/v1/upstreams/erp").await["secret_version"], version);
    }
    // Sealed before: a new version of the manifest leaves it alone.
    plane.post("/v1/upstreams", without).await;
    let installation = plane.place.installation();
    let id: identity::UpstreamId = plane.get("/v1/upstreams/erp").await["id"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(installation.secrets.get(id, 2).unwrap().expose(), b"secret-two");
    let everything = format!(
        "{}{}",
        plane.get("/v1/upstreams").await,
        plane.place.entries().concat()
    );
    assert!(
        !everything.contains("secret-t") && !everything.contains("c2VjcmV0"),
        "{everything}"
    );
    plane.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_org_is_made_by_who_administers_all_of_them_and_by_nobody_else() {
    let plane = Plane::with(&[Role::Admin]).await;
    let made = plane.post("/v1/orgs", json!({"name": "globex"})).await;
    let entry = plane.last();
    assert_eq!(
        (entry["kind"].as_str(), entry["human"]["role"].as_str()),
        (Some("org.created"), Some("admin"))
    );
    assert_eq!(entry["org"], made["id"]);
    let all = plane.get("/v1/orgs").await;
    let seen: Vec<_> = all.as_array().unwrap().iter().map(|it| &it["name"]).collect();
    assert_eq!(seen, ["acme", "globex"]);
    assert_eq!((&all[1]["id"], &all[1]["agents"]), (&made["id"], &json!(0)));
    plane
        .refused("/v1/orgs", json!({"name": "globex"}), 422, "ORG_EXISTS")
        .await;
    for name in ["svc", "Globex", "", "a/b", "..", "\u{430}cme"] {
        let (status, value) = plane
            .call(Method::POST, "/v1/orgs", &json!({"name": name}).to_string())
            .await;
        assert_eq!(status, 400, "{name}: {value:#}");
    }
    // What belongs to one org has to say which: its own administrators.
    plane
        .refused(
            "/v1/agents",
            json!({"file": "a.yaml", "text": manifest("x")}),
            409,
            "ORG_AMBIGUOUS",
        )
        .await;
    plane
        .post(
            "/v1/principals",
            json!({"name": "gilda", "uid": 4_000_000, "roles": ["admin"], "org": "globex"}),
        )
        .await;
    assert_eq!(plane.get("/v1/orgs").await[1]["principals"], 1);
    plane.end().await;

    // Whoever administers one org makes no other, and sees no other. The founder, whose uid the tests may run as, does.
    if rustix::process::geteuid().as_raw() == crate::place::UID {
        return;
    }
    let plane = Plane::with(&[]).await;
    let acme = plane.place.org;
    of_org(&plane.place, acme).await;
    let (status, value) = plane
        .call(Method::POST, "/v1/orgs", r#"{"name": "globex"}"#)
        .await;
    assert_eq!(status, 403, "{value:#}");
    assert_eq!(plane.last()["kind"], "admin.refused");
    plane.place.second_org().await;
    assert_eq!(plane.get("/v1/orgs").await.as_array().unwrap().len(), 1);
    plane.end().await;
}

/// This process as an administrator of that org alone.
async fn of_org(place: &Place, org: identity::OrgId) {
    let uid = rustix::process::geteuid().as_raw();
    let wanted = broker::principal::Wanted {
        name: "caller".parse().unwrap(),
        uid: Some(uid),
        roles: [Role::Admin].into(),
        org: Some(org),
        assurance: "dev".into(),
    };
    let (admin, source) = (place.admin(), place.draw());
    let world = place.installation().store.world();
    let added = broker::principal::add(&world, &admin, wanted, &mut source.draw());
    drop(place.grant(added).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_of_a_decision_point_is_sealed_and_never_shown() {
    let plane = Plane::with(&[Role::Admin]).await;
    let keys = format!(
        "{{\"keys\":[{}]}}",
        credential::Jwk::bare(crate::test_key::TestKey::new().public).to_json()
    );
    let source = |token: Option<&str>| {
        json!({
            "issuer": "https://idp.example", "audience": "tabard", "keys": keys,
            "pdp": {"url": "https://pdp.example/access/v1/evaluations", "authorities": null, "token": token},
        })
    };
    // "first token" has a blank: no token of a header.
    plane
        .refused(
            "/v1/trust-sources",
            source(Some("Zmlyc3QgdG9rZW4=")),
            400,
            "BAD_REQUEST",
        )
        .await;
    plane
        .post("/v1/trust-sources", source(Some("c2VjcmV0LW9uZQ==")))
        .await;
    let shown = plane.get("/v1/trust-sources").await;
    let version = shown[0]["pdp"]["secret_version"].as_u64().unwrap();
    let installation = plane.place.installation();
    assert_eq!(
        installation
            .pdp_secrets
            .get(plane.place.org, "https://idp.example", version)
            .unwrap()
            .expose(),
        b"secret-one"
    );
    // Set again without one, none is sent; with another, under a version that was never used.
    plane.post("/v1/trust-sources", source(None)).await;
    assert_eq!(
        plane.get("/v1/trust-sources").await[0]["pdp"]["secret_version"],
        0
    );
    plane
        .post("/v1/trust-sources", source(Some("c2VjcmV0LXR3bw==")))
        .await;
    let again = plane.get("/v1/trust-sources").await;
    assert!(again[0]["pdp"]["secret_version"].as_u64().unwrap() > version);
    let everything = format!("{shown}{again}{}", plane.place.entries().concat());
    assert!(!everything.contains("secret-") && !everything.contains("c2VjcmV0"));
    plane.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_join_token_is_shown_once_and_only_its_digest_is_known() {
    let plane = Plane::with(&[Role::Admin]).await;
    let made = plane
        .post("/v1/join-tokens", json!({"role": "gateway", "ttl_secs": 60}))
        .await;
    let join: JoinString = made["token"].as_str().unwrap().parse().unwrap();
    assert_eq!(join.issuer, plane.place.issuer());
    let digest = identity::Digest::from_bytes(credential::sha256(join.secret.as_bytes()));
    assert!(
        plane
            .place
            .installation()
            .store
            .world()
            .join_token(&digest)
            .is_some()
    );
    assert!(!plane.place.entries().concat().contains(&join.secret));
    plane
        .refused(
            "/v1/join-tokens",
            json!({"role": "node", "ttl_secs": 90_000}),
            400,
            "BAD_REQUEST",
        )
        .await;
    plane.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn registrations_principals_and_tasks_come_and_go() {
    let plane = Plane::with(&[Role::Admin]).await;
    let registration =
        json!({"name": "cron", "agent": "demo-billing", "uid": 77, "executable": "/usr/bin/agent"});
    plane.post("/v1/registrations", registration).await;
    assert_eq!(
        plane.get("/v1/registrations").await[0]["agent_name"],
        "demo-billing"
    );
    let (status, _) = plane.call(Method::DELETE, "/v1/registrations/cron", "").await;
    assert_eq!(status, 200);
    assert_eq!(plane.get("/v1/registrations").await, json!([]));
    let relative = json!({"name": "cron", "agent": "demo-billing", "uid": 77, "executable": "agent"});
    plane
        .refused("/v1/registrations", relative, 400, "BAD_REQUEST")
        .await;

    plane
        .post(
            "/v1/principals",
            json!({"name": "night-shift", "uid": 4242, "roles": ["operator"]}),
        )
        .await;
    let known = plane.get("/v1/principals").await;
    assert!(
        known
            .as_array()
            .unwrap()
            .iter()
            .any(|it| it["uid"] == 4242 && it["assurance"] == "uid")
    );

    let task = plane
        .post("/v1/tasks", json!({"agent": "demo-billing", "ttl_secs": 60}))
        .await;
    let entry = plane.last();
    assert_eq!(
        (entry["kind"].as_str(), entry["human"]["role"].as_str()),
        (Some("task.opened"), Some("operator"))
    );
    let path = format!("/v1/tasks/{}", task["id"].as_str().unwrap());
    let (status, _) = plane.call(Method::DELETE, &path, "").await;
    assert_eq!(status, 200);
    assert_eq!(plane.get("/v1/tasks").await[0]["open"], false);
    assert_eq!(plane.last()["human"]["role"], "operator");
    plane
        .refused(
            "/v1/tasks",
            json!({"agent": "demo-billing", "tenant": "nobody"}),
            422,
            "TASK_TENANT",
        )
        .await;
    plane.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_says_what_is_dead_what_will_be_and_what_lives_on() {
    let plane = Plane::with(&[Role::Admin]).await;
    let instance = crate::instance::Instance::launch(&plane.place).await;
    let svid = instance.jwt_svid(&plane.place, plane.place.issuer()).await;
    let form = crate::instance::form(&svid, "invoices");
    let exchange = async |plane: &Plane| {
        plane
            .place
            .client
            .post(&form, &[instance.proof(&plane.place)])
            .await
    };
    assert_eq!(exchange(&plane).await.status, 200);

    let revocation = json!({"dimension": "agent", "value": "demo-billing", "reason": "a test"});
    let mut dry = revocation.clone();
    dry["dry_run"] = true.into();
    let answer = plane.post("/v1/revocations", dry).await;
    assert_eq!(answer["revision"], Value::Null);
    assert_eq!(exchange(&plane).await.status, 200, "a dry run stops nothing");

    let answer = plane.post("/v1/revocations", revocation).await;
    assert_eq!(answer["suspended"], "demo-billing");
    let classes: Vec<&str> = answer["dead_now"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["class"].as_str().unwrap())
        .collect();
    assert!(
        classes.contains(&"access_token") && classes.contains(&"jwt_svid"),
        "{answer:#}"
    );
    let away = &answer["dead_at_next_check"][0];
    assert_eq!(
        (away["role"].as_str(), away["connected"].as_bool()),
        (Some("node"), Some(false)),
        "{answer:#}"
    );
    assert_eq!(answer["alive_until"][0]["class"], "jwt_svid", "{answer:#}");
    assert!(answer["took_ms"].as_f64().unwrap() > 0.0);
    assert_eq!(plane.last()["human"]["uid"], rustix::process::geteuid().as_raw());
    assert_ne!(exchange(&plane).await.status, 200);
    assert_eq!(plane.get("/v1/revocations").await[0]["dimension"], "agent");

    // Resumed, what was issued before stays dead.
    plane
        .post("/v1/agents/demo-billing/state", json!({"state": "active"}))
        .await;
    assert_ne!(exchange(&plane).await.status, 200);
    plane
        .refused(
            "/v1/revocations",
            json!({"dimension": "agent", "value": "nobody"}),
            404,
            "NOT_FOUND",
        )
        .await;
    plane
        .refused(
            "/v1/revocations",
            json!({"dimension": "planet", "value": "x"}),
            400,
            "BAD_REQUEST",
        )
        .await;
    plane.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_explained_from_its_entry() {
    let plane = Plane::with(&[Role::Admin]).await;
    let instance = crate::instance::Instance::launch(&plane.place).await;
    let svid = instance.jwt_svid(&plane.place, plane.place.issuer()).await;
    let form = crate::instance::form(&svid, "payroll");
    let refused = plane
        .place
        .client
        .post(&form, &[instance.proof(&plane.place)])
        .await;
    assert_ne!(refused.status, 200);
    let entry = plane.last();
    let id = entry["decision"]["id"].as_str().unwrap();
    let story = plane.get(&format!("/v1/decisions/{id}")).await;
    assert_eq!(story["decision"], id);
    assert_eq!(story["ruling"], "deny");
    assert_eq!(story["entry"], entry, "the entry is given as it was hashed");
    assert_eq!(story["agent_now"]["name"], "demo-billing");
    assert!(!story["reasons"].as_array().unwrap().is_empty(), "{story:#}");
    // The same by where it stands, and by the task and the run that it was refused to.
    let run = plane.get("/v1/entries?kind=run.opened").await["entries"][0]["entry"]["who"]["run"].clone();
    let place = format!("{}:{}", entry["writer"]["log"], entry["writer"]["index"]);
    for other in [place.as_str(), &instance.task.to_string(), run.as_str().unwrap()] {
        let story = plane.get(&format!("/v1/decisions/{other}")).await;
        assert_eq!(story["decision"], id, "{other}");
    }
    for (wrong, words) in [("agt_1", "names no decision"), ("0:0", "records no decision")] {
        let (status, problem) = plane
            .call(Method::GET, &format!("/v1/decisions/{wrong}"), "")
            .await;
        assert_eq!(status, 400, "{problem:#}");
        assert!(
            problem.to_string().contains(words) && problem.to_string().contains("task_"),
            "{problem:#}"
        );
    }
    let (status, _) = plane
        .call(Method::GET, "/v1/decisions/dec_00000000000000000000000000", "")
        .await;
    assert_eq!(status, 404);
    let status = plane.get("/v1/status").await;
    assert_eq!(status["refusals"][0]["entry"]["decision"]["id"], id);
    assert_eq!(status["ready"], true);
    plane.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_is_queried_and_followed() {
    let plane = Plane::with(&[Role::Admin]).await;
    let by_kind = plane.get("/v1/entries?kind=agent.registered&limit=5").await;
    let place = by_kind["entries"][0]["place"].as_str().unwrap().to_owned();
    assert_eq!(
        plane.get(&format!("/v1/entries/{place}")).await["entry"]["kind"],
        "agent.registered"
    );
    let earlier = plane.get(&format!("/v1/entries?before={place}")).await;
    assert!(
        earlier["entries"]
            .as_array()
            .unwrap()
            .iter()
            .all(|it| it["place"] != place.as_str())
    );
    assert_eq!(
        plane.get("/v1/entries?agent=demo-billing").await["entries"][0]["entry"]["who"]["agent_name"],
        "demo-billing"
    );

    let stream = UnixStream::connect(&plane.socket).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    let driver = tokio::spawn(connection);
    let request = Request::get("/v1/entries/tail")
        .header("host", "a")
        .body(Full::<Bytes>::default())
        .unwrap();
    let mut lines = sender.send_request(request).await.unwrap().into_body();
    plane
        .post("/v1/agents/demo-billing/state", json!({"state": "suspended"}))
        .await;
    let wait = std::time::Duration::from_secs(10);
    let followed = tokio::time::timeout(wait, async {
        loop {
            let frame = lines.frame().await.unwrap().unwrap().into_data().unwrap();
            if String::from_utf8_lossy(&frame).contains("agent.suspended") {
                return;
            }
        }
    });
    followed.await.expect("the entry came within ten seconds");
    driver.abort();
    plane.end().await;
}
