//! The hidden subcommand `tabard __launch`: a small single-threaded process of ours around each run.
//!
//! It is the run's subreaper (so every process of the run has it as an ancestor), can not be looked into by its own
//! user, starts exactly the file it was handed, and ends everything when the main process or the node agent is gone.
//! It decides nothing.
//!
//! An isolated run has three of them: this one outside, one that owns the namespaces, and process 1 inside.

use super::frame::Link;
use super::isolate::{self, Failure};
use super::order::{Command, Order, Report};
use super::seccomp;
use super::supervise::supervise;
use crate::authority::Ended;
use peer::sys::{self, Fork};
use peer::{PidFd, SUPERVISOR_NAME};
use rustix::process::{DumpableBehavior, Pid, Resource, Rlimit, WaitOptions};
use rustix::thread::{Gid, Uid};
use std::ffi::CString;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

/// Runs a supervisor over the node agent's connection on descriptor 0. Call it first thing in `main`, before any thread.
pub fn helper_main() -> ExitCode {
    let Some(control) = sys::inherited(0) else {
        return ExitCode::FAILURE;
    };
    let mut link = Link::new(UnixStream::from(control));
    match harden().and_then(|()| run(&mut link)) {
        Ok(()) => ExitCode::SUCCESS,
        Err((what, error)) => {
            let failed = Report::Failed {
                what,
                why: error.to_string(),
            };
            let told = link.send(&failed, &[]);
            if told.is_ok() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

fn doing<T, E: Into<io::Error>>(what: &str, result: Result<T, E>) -> Result<T, Failure> {
    result.map_err(|error| (what.to_owned(), error.into()))
}

fn harden() -> Result<(), Failure> {
    let name = CString::new(SUPERVISOR_NAME).map_err(io::Error::from);
    doing(
        "set the name",
        rustix::thread::set_name(&doing("set the name", name)?),
    )?;
    doing(
        "forbid being looked into",
        rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable),
    )?;
    doing("forbid new privileges", rustix::thread::set_no_new_privs(true))?;
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    doing(
        "forbid core files",
        rustix::process::setrlimit(Resource::Core, none),
    )?;
    doing(
        "adopt orphans",
        rustix::process::set_child_subreaper(Some(rustix::process::getpid())),
    )?;
    doing("close descriptors", sys::close_on_exec_from(3))
}

fn run(link: &mut Link) -> Result<(), Failure> {
    let order: Option<Order> = doing("read the order", link.receive())?;
    let Some(order) = order else {
        return Ok(());
    };
    let descriptors = std::mem::take(&mut link.frames.descriptors);
    let Ok([executable, stdin, stdout, stderr]) = <[OwnedFd; 4]>::try_from(descriptors) else {
        return Err((
            "read the order".to_owned(),
            io::Error::other("four descriptors were expected"),
        ));
    };
    let streams = Streams {
        executable,
        stdio: [stdin, stdout, stderr],
    };
    let privileged = rustix::process::geteuid().is_root();
    match &order.isolation {
        None => {
            if privileged {
                become_user(&order)?;
            }
            execute_and_supervise(link, &order, streams, None)
        }
        Some(_) => outside(link, &order, streams, privileged),
    }
}

struct Streams {
    executable: OwnedFd,
    stdio: [OwnedFd; 3],
}

/// Becomes the launcher's user for good. Only a node agent that runs as root can launch for others.
fn become_user(order: &Order) -> Result<(), Failure> {
    let groups: Vec<_> = order.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
    let (uid, gid) = (Uid::from_raw(order.uid), Gid::from_raw(order.gid));
    doing("set the groups", rustix::thread::set_thread_groups(&groups))?;
    doing("set the group", rustix::thread::set_thread_res_gid(gid, gid, gid))?;
    doing("set the user", rustix::thread::set_thread_res_uid(uid, uid, uid))
}

/// The supervisor outside of an isolated run: makes the process that will own the namespaces, maps its user, and waits.
fn outside(link: &mut Link, order: &Order, streams: Streams, privileged: bool) -> Result<(), Failure> {
    let (mut here, there) = doing("make a pipe", UnixStream::pair())?;
    match doing("fork", sys::fork())? {
        Fork::Parent(owner) => {
            drop((streams, there));
            let mut step = [0];
            // An owner that failed reports to the node agent itself.
            if here.read_exact(&mut step).is_ok() {
                isolate::map_users(owner.as_raw_nonzero().get(), order.uid, order.gid)?;
                doing("go on", here.write_all(&[1]))?;
            }
            wait_for(owner);
            Ok(())
        }
        Fork::Child => {
            drop(here);
            if let Err((what, error)) = owner(link, order, streams, there, privileged)
                && link
                    .send(
                        &Report::Failed {
                            what,
                            why: error.to_string(),
                        },
                        &[],
                    )
                    .is_err()
            {
                sys::exit_now(1);
            }
            sys::exit_now(0)
        }
    }
}

/// A run whose supervisor was killed is not to go on unwatched. Lost on a change of user, so asked for after it.
fn die_with_parent() -> Result<(), Failure> {
    let kill = Some(rustix::process::Signal::KILL);
    doing(
        "end with the supervisor",
        rustix::process::set_parent_process_death_signal(kill),
    )
}

fn wait_for(child: Pid) {
    let again = Err(rustix::io::Errno::INTR);
    while rustix::process::waitpid(Some(child), WaitOptions::empty()).map(|_| ()) == again {}
}

/// The process that owns the namespaces. With a privileged node agent they belong to its uid, so that other processes of the
/// run's uid can not enter them.
fn owner(
    link: &mut Link,
    order: &Order,
    streams: Streams,
    mut parent: UnixStream,
    privileged: bool,
) -> Result<(), Failure> {
    // `/proc/PID/uid_map` of a process that can not be looked into belongs to root.
    let dumpable = |how| doing("change who may look", rustix::process::set_dumpable_behavior(how));
    if !privileged {
        dumpable(DumpableBehavior::Dumpable)?;
    }
    isolate::own_users()?;
    doing("ask for the user map", parent.write_all(&[1]))?;
    doing("wait for the user map", parent.read_exact(&mut [0]))?;
    let (uid, gid) = (Uid::from_raw(order.uid), Gid::from_raw(order.gid));
    doing("set the group", rustix::thread::set_thread_res_gid(gid, gid, gid))?;
    doing("set the user", rustix::thread::set_thread_res_uid(uid, uid, uid))?;
    dumpable(DumpableBehavior::NotDumpable)?;
    die_with_parent()?;
    isolate::own_everything()?;
    match doing("fork", sys::fork())? {
        Fork::Parent(first) => {
            drop(streams);
            wait_for(first);
            Ok(())
        }
        Fork::Child => {
            drop(parent);
            let done = inside(link, order, streams);
            if let Err((what, error)) = done
                && link
                    .send(
                        &Report::Failed {
                            what,
                            why: error.to_string(),
                        },
                        &[],
                    )
                    .is_err()
            {
                sys::exit_now(1);
            }
            sys::exit_now(0)
        }
    }
}

/// Process 1 of an isolated run.
fn inside(link: &mut Link, order: &Order, streams: Streams) -> Result<(), Failure> {
    let Some(separate) = &order.isolation else {
        return Ok(());
    };
    die_with_parent()?;
    let listener = isolate::furnish(separate)?;
    execute_and_supervise(link, order, streams, Some(listener.into()))
}

/// Forks the main process, has the node agent bind it, lets it execute, and watches over it.
fn execute_and_supervise(
    link: &mut Link,
    order: &Order,
    streams: Streams,
    listener: Option<OwnedFd>,
) -> Result<(), Failure> {
    let (mut here, there) = doing("make a pipe", UnixStream::pair())?;
    let main = match doing("fork", sys::fork())? {
        Fork::Child => {
            drop(here);
            become_program(order, &streams, there, listener.is_some())
        }
        Fork::Parent(pid) => doing("hold the process", PidFd::open(pid).map_err(io::Error::other))?,
    };
    drop((streams, there));
    let shared: Vec<BorrowedFd<'_>> = [main.as_fd()]
        .into_iter()
        .chain(listener.as_ref().map(AsFd::as_fd))
        .collect();
    doing("report", link.send(&Report::Ready, &shared))?;
    drop(listener);
    match doing("wait for the binding", link.receive())? {
        Some(Command::Go) => doing("go on", here.write_all(&[1]))?,
        Some(Command::Signal(_)) | None => return abandon(&main),
    }
    // Nothing comes, and the other end closes, when the program was executed; otherwise its errno.
    let mut errno = [0; 4];
    if here.read_exact(&mut errno).is_ok() {
        abandon(&main)?;
        let error = io::Error::from_raw_os_error(i32::from_ne_bytes(errno));
        return Err(("execute the program".to_owned(), error));
    }
    drop(here);
    doing("report", link.send(&Report::Started, &[]))?;
    let ended: Result<Ended, _> = supervise(link, &main);
    doing("watch over the run", ended).map(|_| ())
}

fn abandon(main: &PidFd) -> Result<(), Failure> {
    if main.is_alive() {
        doing(
            "end the process",
            main.signal(rustix::process::Signal::KILL)
                .map_err(io::Error::other),
        )?;
    }
    doing(
        "end the process",
        rustix::process::waitpid(Some(main.pid()), WaitOptions::empty()).map(|_| ()),
    )
}

/// The child: takes its streams and place, waits for its binding, and becomes the program. Never returns.
fn become_program(order: &Order, streams: &Streams, mut parent: UnixStream, isolated: bool) -> ! {
    let executed: Result<(), io::Error> = (|| {
        rustix::process::setsid()?;
        let [stdin, stdout, stderr] = &streams.stdio;
        rustix::stdio::dup2_stdin(stdin)?;
        rustix::stdio::dup2_stdout(stdout)?;
        rustix::stdio::dup2_stderr(stderr)?;
        std::env::set_current_dir(&order.cwd)?;
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
        parent.read_exact(&mut [0])?;
        sys::default_signals();
        sys::close_on_exec_from(3)?;
        let strings = |texts: &[String]| {
            texts
                .iter()
                .map(|text| CString::new(text.as_str()))
                .collect::<Result<Vec<_>, _>>()
        };
        let (argv, env) = (strings(&order.argv)?, strings(&order.env)?);
        if isolated {
            sys::filter_system_calls(&seccomp::program())?;
        }
        Err(sys::execute(streams.executable.as_fd(), &argv, &env))
    })();
    let errno = executed
        .err()
        .and_then(|error| error.raw_os_error())
        .unwrap_or(libc::EINVAL);
    let told = parent.write_all(&errno.to_ne_bytes());
    sys::exit_now(if told.is_ok() { 127 } else { 126 })
}
