//! A user through an agent, and that through another, with the shipped binary: real runs, real SVIDs, real calls. And
//! what is left of it a moment after somebody in the middle was stopped.

use super::home::Ended;
use super::installation::Installation;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::io::Read as _;
use std::path::PathBuf;
use std::process::Child;
use std::time::{Duration, Instant, SystemTime};

const IDP: &str = "https://idp.example";
const ANN: &str = "ann-4711";
/// A process starts, makes proofs with openssl, and exchanges: a second or two on a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);

struct Stage {
    dev: Installation,
    work: PathBuf,
}

impl Stage {
    /// `planner` may pass on to `reader`; Ann may read invoices through both.
    fn set() -> Self {
        let dev = Installation::start();
        let work = dev.home.path().join("w");
        let stage = Self { dev, work };
        for (name, more) in [
            (
                "planner",
                "delegation: {may_delegate_to: [reader], on_behalf_of: {require_user: true}}\n",
            ),
            ("reader", ""),
        ] {
            stage.register(name, more);
        }
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let (x, y) = key.public_key().as_ref()[1..].split_at(32);
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let jwk = json!({"kty": "EC", "crv": "P-256", "kid": "k", "x": encode(x), "y": encode(y)});
        let keys = stage.write("jwks.json", &json!({"keys": [jwk]}).to_string());
        stage
            .dev
            .tabard(&["trust", "add", IDP, "--audience", "tabard", "--keys", &keys])
            .ok();
        let right =
            "--agent planner --agent reader --service invoices --action invoices.read --tenant acme-eu";
        let user = ["user", "set", IDP, ANN, "--for", "1h"];
        let all = [&user[..], &right.split(' ').collect::<Vec<_>>()].concat();
        stage.dev.tabard(&all).ok();
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let claims = json!({"iss": IDP, "sub": ANN, "aud": "tabard", "iat": now, "exp": now + 300});
        let message = format!(
            "{}.{}",
            encode(br#"{"alg":"ES256","kid":"k","typ":"JWT"}"#),
            encode(claims.to_string().as_bytes())
        );
        let signature = key.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        stage.write("user.jwt", &format!("{message}.{}", encode(signature.as_ref())));
        stage.write("agent.py", include_str!("agent.py"));
        stage
    }

    /// An agent of any command, with a contract to read invoices.
    fn register(&self, name: &str, more: &str) {
        let contract = format!(
            "apiVersion: tabard/v1\nkind: AgentContract\nmetadata: {{name: {name}, version: 1}}\nowner: {{team: demo}}\n\
             purpose: {{id: reconciliation, statement: Matches invoices against payments.}}\n\
             identity: {{min_assurance: 1}}\ntenants: {{mode: task, allowed: [acme-eu]}}\n\
             tasks: {{types: [reconciliation], max_ttl: 30m, openers: [operator]}}\n\
             grants:\n  - id: read\n    services: [invoices]\n    actions: [invoices.read]\n    \
             reason: Each invoice is compared with its payment.\n    \
             business_action: {{invoices.read: Look at open invoices}}\n    \
             data: {{domains: [finance], sensitivity: confidential}}\n\
             {more}lifecycle: {{expires: 2099-12-31, review_every: 90d}}\n"
        );
        let manifest = format!(
            "apiVersion: tabard/v1\nkind: Agent\nmetadata: {{name: {name}}}\nowner: finance\n\
             purpose: Matches invoices.\ncontract: {name}@1\nexpires: 7d\n\
             launch: {{launchers: [me], argv: free}}\n"
        );
        for (what, text) in [("contract", contract), ("agent", manifest)] {
            let file = self.write(&format!("{name}-{what}.yaml"), &text);
            self.dev.tabard(&[what, "apply", &file]).ok();
        }
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.work.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Starts the script as an agent.
    fn start(&self, agent: &str, step: &str, more: &[&str]) -> Child {
        let (server, gateway) = (self.dev.server.to_string(), self.dev.gateway.to_string());
        let root = self.dev.data().join("server/root.pem");
        let script = self.work.join("agent.py");
        let mut command = self.dev.home.command(&self.dev.home.tabard);
        command
            .args(["-q", "run", "--as", agent, "--", "/usr/bin/python3"])
            .args([script.to_str().unwrap(), step, &server, &gateway])
            .args([root.to_str().unwrap(), self.work.to_str().unwrap()])
            .args(more);
        command.spawn().unwrap()
    }

    /// Waits until a file is there, or the run that should make it has ended.
    fn wait_for(&self, name: &str, run: &mut Child) {
        let begun = Instant::now();
        while !self.work.join(name).exists() {
            if run.try_wait().unwrap().is_some() || begun.elapsed() > PATIENCE {
                let mut said = String::new();
                run.kill().unwrap();
                run.stderr.take().unwrap().read_to_string(&mut said).unwrap();
                panic!("{name} is not there: {said}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn lines(ended: Ended) -> Vec<Value> {
    let out = ended.ok();
    out.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_user_acts_through_two_agents_until_one_of_them_is_stopped() {
    if !std::path::Path::new("/usr/bin/python3").exists() {
        return super::home::missing("an agent that speaks for itself needs /usr/bin/python3");
    }
    let stage = Stage::set();
    let dev = &stage.dev;
    let agents = dev.json(&["agent", "list"]);
    let found = agents
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["name"] == json!("reader"));
    let spiffe = found.unwrap()["spiffe_id"].as_str().unwrap().to_owned();
    let planner = stage.start("planner", "hand-on", &[&spiffe]);
    let mut reader = stage.start("reader", "call", &[]);
    stage.wait_for("called", &mut reader);

    // `tabard explain` shows every party of the call, and what the rights of each agent say.
    let call = dev.recorded("gateway.call", &[&spiffe]);
    let decision = call["decision"]["id"].as_str().unwrap();
    let story = dev.tabard(&["explain", decision]).ok();
    let chain: Vec<&str> = story
        .lines()
        .skip_while(|line| !line.contains("on behalf of, through"))
        .skip(1)
        .take(3)
        .collect();
    assert!(
        chain[0].trim_start().starts_with("user") && !story.contains(ANN),
        "{story}"
    );
    assert!(
        chain[1].contains("/agent/planner") && chain[1].ends_with("its rights: allow"),
        "{story}"
    );
    assert!(
        chain[2].contains("/agent/reader") && chain[2].ends_with("its rights: allow"),
        "{story}"
    );

    dev.tabard(&["revoke", "agent", "planner"]).ok();
    stage.write("again", "");
    let reader = lines(Ended::of(reader));
    stage.write("done", "");
    let planner = lines(Ended::of(planner));
    assert_eq!(
        planner[0]["authorization_details"][0]["actions"],
        json!(["invoices.read"])
    );
    assert_eq!(reader[1]["status"], json!(200), "{reader:?}");
    assert_eq!(reader[2]["status"], json!(401), "{reader:?}");
    let blocked = dev.recorded("gateway.blocked", &["IDENTITY_REVOKED"]);
    assert_eq!(blocked["who"]["agent_name"], json!("reader"));
}
