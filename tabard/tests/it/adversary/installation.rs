//! A running `tabard dev`, started and stopped by process id, and what its record says.

use super::home::{Ended, Home};
use serde_json::Value;
use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

/// A debug build on a busy machine needs seconds to make its keys.
const START: Duration = Duration::from_mins(1);
/// Longer than all tests together: nothing is left behind when they are killed.
const LIFE: Duration = Duration::from_mins(15);
/// Closing the store, after SIGTERM.
const STOP: Duration = Duration::from_secs(20);
/// An entry is found as soon as it is durable; refusals of unidentified callers are written once a second.
const RECORDED: Duration = Duration::from_secs(10);

pub(crate) struct Installation {
    pub(crate) home: Home,
    /// Where the server listens.
    pub(crate) server: SocketAddr,
    pub(crate) gateway: SocketAddr,
    /// Where people come in, under the name localhost.
    pub(crate) people: SocketAddr,
    child: Option<Child>,
}

impl Installation {
    /// One of its own, ready.
    pub(crate) fn start() -> Self {
        let mut new = Self {
            home: Home::new(),
            server: free(),
            gateway: free(),
            people: free(),
            child: None,
        };
        new.start_again();
        new
    }

    /// The one that all tests share which leave it as it was. Stopped with the last of them.
    pub(crate) fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Installation>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        let running = shared.upgrade().unwrap_or_else(|| Arc::new(Self::start()));
        *shared = Arc::downgrade(&running);
        running
    }

    /// `tabard dev` on the data that is there, its output going to the log.
    pub(crate) fn dev(&self) -> Child {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_file())
            .unwrap();
        let mut dev = self.home.command_within(LIFE, &self.home.tabard);
        dev.arg("dev").arg("--data").arg(self.data());
        dev.args([
            "--listen",
            &self.server.to_string(),
            "--gateway",
            &self.gateway.to_string(),
            "--people",
            &self.people.to_string(),
        ]);
        dev.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
    }

    /// Starts it and waits until it answers and its log can be verified.
    pub(crate) fn start_again(&mut self) {
        self.child = Some(self.dev());
        let begun = Instant::now();
        while self.tabard(&["status"]).code != Some(0) || self.tabard(&["audit", "verify"]).code != Some(0) {
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(
                ended.is_none() && begun.elapsed() < START,
                "{ended:?}\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Ends it as a person would.
    pub(crate) fn stop(&mut self) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        let asked = Command::new("kill")
            .args(["-TERM", &child.id().to_string()])
            .status();
        let begun = Instant::now();
        while asked.is_ok() && begun.elapsed() < STOP && matches!(child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(50));
        }
        if matches!(child.try_wait(), Ok(None)) {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.home.path().join("d")
    }

    fn log_file(&self) -> PathBuf {
        self.home.path().join("dev.log")
    }

    /// What `tabard dev` printed so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
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

    /// `tabard run --as demo-billing -- COMMAND`.
    pub(crate) fn billing(&self, command: &[&str]) -> Ended {
        self.tabard(&[&["run", "--as", "demo-billing", "--"], command].concat())
    }

    /// How a process inside a run calls the owner's `tabard`: runs do not inherit the home that names the server.
    pub(crate) fn tabard_within(&self, arguments: &str) -> String {
        format!(
            "HOME={} {} {arguments}",
            self.home.path().display(),
            self.home.tabard.display()
        )
    }

    /// The command line of the pinned agent, as the demo says it.
    pub(crate) fn reporter(&self) -> Vec<String> {
        let log = self.log();
        let line = log.lines().find_map(|line| {
            line.trim()
                .strip_prefix("tabard run --as demo-reporter --isolate -- ")
        });
        let line = line.unwrap_or_else(|| panic!("the demo found no Python 3:\n{log}"));
        line.split(' ').map(str::to_owned).collect()
    }

    /// Entries of one kind, newest first.
    pub(crate) fn entries(&self, kind: &str) -> Vec<Value> {
        let found = self.json(&["audit", "query", "--kind", kind, "--last", "1h"]);
        found["entries"].as_array().unwrap().clone()
    }

    /// The newest entry of that kind in which all of `words` stand; waits for it.
    pub(crate) fn recorded(&self, kind: &str, words: &[&str]) -> Value {
        let begun = Instant::now();
        loop {
            let entries = self.entries(kind);
            let fits = |entry: &&Value| words.iter().all(|word| entry.to_string().contains(word));
            if let Some(entry) = entries.iter().find(fits) {
                return entry["entry"].clone();
            }
            assert!(
                begun.elapsed() < RECORDED,
                "no {kind} with {words:?} in {entries:#?}"
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A loopback address that nobody listens on at this moment.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
