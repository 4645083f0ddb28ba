//! Watching over a run's main process: signals in, exit status out, nobody left behind.

use super::frame::Link;
use super::order::{Command, Report};
use crate::authority::Ended;
use peer::PidFd;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitOptions, kill_process, kill_process_group, wait, waitid,
};
use std::io;
use std::os::fd::AsFd;

/// How often adopted children are reaped while nothing else happens.
const REAP_EVERY: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};
/// How many rounds of killing a run that forks against us gets; each round kills everything that is there.
const KILL_ROUNDS: usize = 200;

/// Waits for the end of `main`, passing signals of the node agent on, then ends whatever is left of the run. When the node
/// agent is gone the run is ended too: without it nobody binds its processes.
pub(super) fn supervise(link: &mut Link, main: &PidFd) -> io::Result<Ended> {
    let mut node_is_there = true;
    let ended = loop {
        let mut fds = [
            PollFd::new(main, PollFlags::IN),
            PollFd::new(&link, PollFlags::IN),
        ];
        let watched = if node_is_there {
            &mut fds[..]
        } else {
            fds.get_mut(..1).unwrap_or_default()
        };
        match poll(watched, Some(&REAP_EVERY)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let [of_main, of_link] = fds.map(|fd| fd.revents());
        if !of_main.is_empty() {
            break status_of(main)?;
        }
        if node_is_there && !of_link.is_empty() {
            match link.receive() {
                Ok(Some(Command::Signal(number))) => signal_group(main.pid(), number),
                Ok(Some(Command::Go)) => {}
                Ok(None) | Err(_) => {
                    node_is_there = false;
                    signal_group(main.pid(), Signal::KILL.as_raw());
                    // It may have left its group's leader stopped or changed its group: the pidfd always reaches it.
                    if main.is_alive() {
                        main.signal(Signal::KILL).map_err(io::Error::other)?;
                    }
                }
            }
        }
        reap_adopted(main.pid());
    };
    end_the_rest();
    match link.send(&Report::Ended(ended), &[]) {
        Err(error) if node_is_there => Err(error),
        _ => Ok(ended),
    }
}

fn status_of(main: &PidFd) -> io::Result<Ended> {
    let status = waitid(WaitId::PidFd(main.as_fd()), WaitIdOptions::EXITED)?;
    let status = status.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
    Ok(match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Ended::Code(code),
        (None, Some(signal)) => Ended::Signal(signal),
        (None, None) => Ended::Lost,
    })
}

fn signal_group(leader: Pid, number: i32) {
    if let Some(signal) = Signal::from_named_raw(number)
        && kill_process_group(leader, signal).is_err()
    {
        // Not its own group leader yet, or gone: nothing to signal.
    }
}

/// Reaps children of the run that lost their parent, but never `main`, whose status is still wanted.
fn reap_adopted(main: Pid) {
    for child in children() {
        if child != main && waitid(WaitId::Pid(child), WaitIdOptions::EXITED | WaitIdOptions::NOHANG).is_err()
        {
            return;
        }
    }
}

/// Kills every process that is left of the run. As their subreaper we become the parent of each one whose parent dies, so
/// killing children until there are none reaches all.
fn end_the_rest() {
    for _ in 0..KILL_ROUNDS {
        let left = children();
        if left.is_empty() {
            return;
        }
        for child in left {
            if kill_process(child, Signal::KILL).is_err() {
                continue;
            }
            while matches!(wait(WaitOptions::NOHANG), Ok(Some(_))) {}
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

fn children() -> Vec<Pid> {
    let own = rustix::process::getpid().as_raw_nonzero();
    let text = std::fs::read_to_string(format!("/proc/self/task/{own}/children")).unwrap_or_default();
    text.split_ascii_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .filter_map(Pid::from_raw)
        .collect()
}
