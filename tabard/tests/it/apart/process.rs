//! A `tabard` that runs until it is told to stop, with what it printed.

use crate::adversary::home::Home;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// Longer than all tests together: nothing is left behind when they are killed.
const LIFE: Duration = Duration::from_mins(10);
/// A debug build on a busy machine needs seconds to make its keys.
const START: Duration = Duration::from_mins(1);
/// Draining and closing the store, after SIGTERM.
const STOP: Duration = Duration::from_secs(20);

pub(crate) struct Process {
    child: Child,
    log: PathBuf,
    /// Length of the log when it was started.
    from: usize,
}

impl Process {
    /// Starts `tabard ARGUMENTS`; its output goes to the file `name`.log, after what is there.
    pub(crate) fn start(home: &Home, name: &str, arguments: &[String]) -> Self {
        let log = home.path().join(format!("{name}.log"));
        let from = std::fs::read_to_string(&log).unwrap_or_default().len();
        let file = File::options().create(true).append(true).open(&log).unwrap();
        let mut command = home.command_within(LIFE, &home.tabard);
        command.args(arguments).env("TABARD_LOG", "info");
        let child = command
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        Self { child, log, from }
    }

    /// What it printed since it was started.
    pub(crate) fn log(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        log.get(self.from..).unwrap_or_default().to_owned()
    }

    /// Waits until it says that it serves.
    pub(crate) fn ready(mut self) -> Self {
        let begun = Instant::now();
        while !self.log().contains("until ^C") {
            let ended = self.child.try_wait().unwrap();
            assert!(
                ended.is_none() && begun.elapsed() < START,
                "{ended:?}\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        self
    }

    /// Waits until it ended by itself: its exit code, and what it printed.
    pub(crate) fn ended(&mut self) -> (Option<i32>, String) {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status.code(), self.log());
            }
            assert!(begun.elapsed() < START, "it does not end\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The program itself: the child of the `timeout` that bounds it.
    fn pid(&self) -> String {
        let id = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
        children.split_whitespace().next().unwrap().to_owned()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &self.pid()])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Ends it as a service manager would.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        self.signal("TERM");
        let begun = Instant::now();
        while begun.elapsed() < STOP {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("it does not stop\n{}", self.log());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        // `timeout` passes SIGTERM on, and kills 5 s later; a stopped process has to go on to hear it.
        for signal in ["-CONT", "-TERM"] {
            let id = self.child.id();
            let children =
                std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
            for pid in children.split_whitespace() {
                if Command::new("kill").args([signal, pid]).status().is_err() {
                    return;
                }
            }
        }
        let begun = Instant::now();
        while begun.elapsed() < STOP && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
