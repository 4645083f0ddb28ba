//! An installation in three processes, each with a data directory and a key-encryption key of its own.

use super::process::Process;
use super::upstream;
use crate::adversary::home::{Ended, Home};
use serde_json::Value;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long a state may take to show in `tabard status`.
const SHOWN: Duration = Duration::from_secs(15);
/// The window of the agent's rate.
pub(crate) const WINDOW_SECS: u64 = 8;

pub(crate) struct Apart {
    pub(crate) home: Home,
    pub(crate) server_address: SocketAddr,
    pub(crate) gateway_address: SocketAddr,
    pub(crate) server: Option<Process>,
    pub(crate) gateway: Option<Process>,
    pub(crate) node: Option<Process>,
}

impl Apart {
    /// A server alone, founded, with an agent and an upstream.
    pub(crate) fn server() -> Self {
        let mut new = Self {
            home: Home::new(),
            server_address: free(),
            gateway_address: free(),
            server: None,
            gateway: None,
            node: None,
        };
        // What the owner writes, the owner makes.
        new.shell("mkdir -m 700 k s d");
        let address = new.server_address;
        new.write(
            "server.toml",
            &format!(
                "[server]\ndata_dir = \"s\"\nlisten = \"{address}\"\nissuer = \"https://{address}\"\n\
                 trust_domain = \"apart.test\"\n[keys]\nkek = {{ file = \"k/server\" }}\n\
                 [log]\ncheckpoint_copy = \"k/checkpoint\"\n"
            ),
        );
        let founding = ["server", "--config", &new.at("server.toml"), "--found", "acme"];
        new.start_server(&[&founding[..], &["--write-context", "apart"]].concat());
        // What a removed gateway counted is unknown for as long as this.
        let contract = include_str!("../../../demo/demo-billing.yaml");
        let contract = contract.replace("{per: 1m,", &format!("{{per: {WINDOW_SECS}s,"));
        assert!(contract.contains(&format!("per: {WINDOW_SECS}s")));
        new.write("contract.yaml", &contract);
        let upstream = include_str!("../../../demo/invoices.yaml");
        let port = upstream::start().port().to_string();
        new.write(
            "upstream.yaml",
            &upstream
                .replace("BASE_PORT", &port)
                .replace("secret: stdin", "secret: {file: api.key}"),
        );
        new.write("api.key", upstream::KEY);
        new.write(
            "agent.yaml",
            "apiVersion: tabard/v1\nkind: Agent\nmetadata: {name: demo-billing}\nowner: finance\n\
             purpose: Matches invoices against payments.\ncontract: demo-billing@1\nexpires: 30d\n\
             launch: {launchers: [me], argv: free, env_allow: [PATH, HOME]}\n",
        );
        new.tabard(&["contract", "apply", &new.at("contract.yaml")]).ok();
        new.tabard(&["upstream", "apply", &new.at("upstream.yaml")]).ok();
        new.tabard(&["agent", "apply", &new.at("agent.yaml")]).ok();
        new
    }

    /// All three, joined, in step.
    pub(crate) fn whole() -> Self {
        let mut new = Self::server();
        let (gateway, node) = (new.token("gateway"), new.token("node"));
        new.start_gateway(&["--join-file", &gateway]);
        new.start_node(&["--join-file", &node]);
        new.member_is("gateway", "follows");
        new.member_is("node", "follows");
        new
    }

    pub(crate) fn start_server(&mut self, arguments: &[&str]) {
        self.server = Some(Process::start(&self.home, "server", &owned(arguments)).ready());
    }

    pub(crate) fn start_gateway(&mut self, more: &[&str]) {
        self.gateway = Some(self.gateway("gateway", more).ready());
    }

    /// A gateway with that name, and its own data.
    pub(crate) fn gateway(&self, name: &str, more: &[&str]) -> Process {
        let url = format!("https://{}", self.gateway_address);
        let listen = self.gateway_address.to_string();
        let arguments = ["gateway", "--listen", &listen, "--public-url", &url];
        self.member(name, &arguments, more)
    }

    /// One more gateway, at an address of its own.
    pub(crate) fn gateway_elsewhere(&self, name: &str, more: &[&str]) -> Process {
        self.gateway_at(name, free(), more)
    }

    /// The same at that address.
    pub(crate) fn gateway_at(&self, name: &str, address: SocketAddr, more: &[&str]) -> Process {
        let (listen, url) = (address.to_string(), format!("https://{address}"));
        self.member(
            name,
            &["gateway", "--listen", &listen, "--public-url", &url],
            more,
        )
    }

    pub(crate) fn start_node(&mut self, more: &[&str]) {
        let url = format!("https://{}", self.gateway_address);
        self.node = Some(self.node("node", &url, more).ready());
    }

    /// A node agent with that name, and its own data, for that gateway.
    pub(crate) fn node(&self, name: &str, gateway: &str, more: &[&str]) -> Process {
        let arguments = ["node", "--gateway", gateway, "--write-context", "apart"];
        self.member(name, &arguments, more)
    }

    fn member(&self, name: &str, arguments: &[&str], more: &[&str]) -> Process {
        let (data, kek) = (self.at(&format!("d/{name}")), self.at(&format!("k/{name}")));
        let keys = ["--data", &data, "--kek", &kek];
        Process::start(&self.home, name, &owned(&[arguments, &keys, more].concat()))
    }

    /// A file with a join token for that role.
    pub(crate) fn token(&self, role: &str) -> String {
        let line = self.tabard(&["join-token", "create", "--role", role]).ok();
        self.secret(role, &line)
    }

    /// A file that only the owner can read.
    pub(crate) fn secret(&self, name: &str, text: &str) -> String {
        let number = std::fs::read_dir(self.home.path().join("w")).unwrap().count();
        let name = format!("{name}-{number}.join");
        self.write(&name, text);
        self.at(&name)
    }

    /// A path in the owner's folder.
    pub(crate) fn at(&self, name: &str) -> String {
        self.place(name).display().to_string()
    }

    fn place(&self, name: &str) -> PathBuf {
        self.home.path().join("w").join(name)
    }

    /// A file of the owner's, mode 0600.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let place = self.place(name);
        std::fs::write(&place, text).unwrap();
        std::fs::set_permissions(&place, std::fs::Permissions::from_mode(0o600)).unwrap();
        let owner = std::fs::metadata(self.home.path()).unwrap();
        let (uid, gid) = (
            std::os::unix::fs::MetadataExt::uid(&owner),
            std::os::unix::fs::MetadataExt::gid(&owner),
        );
        std::os::unix::fs::chown(&place, Some(uid), Some(gid)).unwrap();
    }

    /// A command line of the owner.
    pub(crate) fn shell(&self, line: &str) -> Ended {
        Ended::of(self.home.command("sh").args(["-c", line]).spawn().unwrap())
    }

    /// A command of the owner.
    pub(crate) fn tabard(&self, arguments: &[&str]) -> Ended {
        Ended::of(
            self.home
                .command(&self.home.tabard)
                .args(arguments)
                .spawn()
                .unwrap(),
        )
    }

    /// The data of a command, which has to succeed.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let all = [&["-o", "json"], arguments].concat();
        serde_json::from_str(&self.tabard(&all).ok()).unwrap()
    }

    /// `tabard run --as demo-billing -- sh -c SCRIPT`.
    pub(crate) fn run(&self, script: &str) -> Ended {
        self.tabard(&["run", "--as", "demo-billing", "--", "sh", "-c", script])
    }

    /// Calls until the service answers again, after the gateway that counted the agent's calls was removed: how long that
    /// took, and what was answered before.
    pub(crate) fn answers_again(&self) -> (Duration, Vec<String>) {
        let (begun, mut before) = (Instant::now(), Vec::new());
        loop {
            let ended = self.run("curl -s http://invoices.demo/v1/invoices");
            if ended.out == upstream::ANSWER {
                return (begun.elapsed(), before);
            }
            assert!(
                begun.elapsed() < Duration::from_secs(40),
                "{}\n{}",
                ended.out,
                ended.err
            );
            before.push(ended.out);
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// The id of the only member of that role.
    pub(crate) fn id(&self, role: &str) -> String {
        let members = self.json(&["member", "list"]);
        let of_role = |it: &&Value| it["role"] == role;
        let all: Vec<&Value> = members.as_array().unwrap().iter().filter(of_role).collect();
        assert_eq!(all.len(), 1, "{members:#}");
        all.first().unwrap()["id"].as_str().unwrap().to_owned()
    }

    /// Waits until `tabard member list` says that of the only member of that role.
    pub(crate) fn member_is(&self, role: &str, how: &str) {
        let begun = Instant::now();
        loop {
            let list = self.tabard(&["member", "list"]).ok();
            let line = list.lines().find(|line| line.starts_with(role));
            if line.is_some_and(|line| line.split_whitespace().any(|word| word == how)) {
                return;
            }
            assert!(begun.elapsed() < SHOWN, "the {role} is not {how}:\n{list}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// The newest entries of a kind.
    pub(crate) fn entries(&self, kind: &str) -> Vec<Value> {
        let found = self.json(&["audit", "query", "--kind", kind, "--last", "1h"]);
        found["entries"].as_array().unwrap().clone()
    }
}

fn owned(arguments: &[&str]) -> Vec<String> {
    arguments.iter().map(|it| (*it).to_owned()).collect()
}

/// A loopback address that nobody listens on at this moment.
pub(crate) fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
