//! The node agent's side of a launch: judge, measure, open, bind, watch.

use super::environment::Environment;
use super::frame::{AsyncLink, Frames, tell};
use super::measure::{
    MeasureError, MeasuredRoot, Measurement, Separation, file_digest, measure, words_digest,
};
use super::order::{Command, Order, Report, Separate};
use super::program::{Program, ProgramError};
use super::protocol::{Ask, Launch, Step, Story, Tell};
use super::spec::{Bind, Isolation, LaunchSpec};
use crate::authority::{Authority, Ended, LocalRefusal, OpenRun, OpenedRun, Refused};
use crate::instance_key::InstanceKey;
use crate::listener::{self, Calls};
use crate::runs::{Place, Run, Runs};
use identity::{Name, RunId};
use peer::{Executable, ExecutableDigests, Listener, Peer, PidFd, WitnessedStream};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, waitid};
use std::future::Future;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{OnceCell, mpsc, watch};
use tokio::task::JoinSet;

/// How the supervisor is started: our own binary with its hidden subcommand.
#[derive(Clone, Debug)]
pub struct Helper {
    /// The binary.
    pub program: PathBuf,
    /// What tells its `main` to call [`super::helper_main`].
    pub argument: String,
}

impl Default for Helper {
    fn default() -> Self {
        Self {
            program: "/proc/self/exe".into(),
            argument: "__launch".into(),
        }
    }
}

/// Where the node agent keeps things.
#[derive(Clone, Debug)]
pub struct Places {
    /// The Workload API socket.
    pub workload_socket: PathBuf,
    /// The launch socket.
    pub launch_socket: PathBuf,
    /// A directory of ours that every launcher may enter (0711 or wider): the runs' HTTP sockets lie in it.
    pub runs: PathBuf,
    /// What no isolated run may see, whatever a spec lists: data directories, keys, our other sockets.
    pub secret: Vec<PathBuf>,
}

/// Starts agents.
pub struct Launcher<A, C> {
    /// The server.
    pub authority: Arc<A>,
    /// What answers the runs' calls.
    pub calls: Arc<C>,
    /// Who is bound.
    pub runs: Arc<Runs>,
    /// Digests of executables seen.
    pub digests: Arc<ExecutableDigests>,
    /// The supervisor.
    pub helper: Helper,
    /// Files and directories.
    pub places: Places,
}

/// Replaced by empty private directories in an isolated run: homes, and everything under which sockets and secrets lie.
const HIDDEN: [&str; 10] = [
    "/home",
    "/root",
    "/tmp",
    "/var/tmp",
    "/run",
    "/dev/shm",
    "/dev/mqueue",
    "/mnt",
    "/media",
    "/srv",
];
/// Port of the HTTP listener on an isolated run's own loopback, where nothing else can listen before it.
const INSIDE_PORT: u16 = 7480;
/// The variable that tells an isolated run where it launches others, if its contract lets it.
pub const LAUNCH_SOCKET: &str = "TABARD_LAUNCH_SOCKET";
/// Where an isolated run finds its sockets.
const INSIDE: &str = "/run/tabard";
/// How long the command line may take to send its request, and a supervisor to do its part.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a run whose launcher has gone gets to end by itself.
const GRACE: Duration = Duration::from_secs(5);

/// How often orphans are ended again; each round ends all that are there.
const ORPHAN_ROUNDS: usize = 200;

/// Why a launch did not happen. Everything but `Server` is recorded by us.
#[derive(Debug, thiserror::Error)]
enum NoLaunch {
    #[error("version {0} of the launch protocol is not spoken here")]
    Version(u32),
    #[error("three descriptors (stdin, stdout, stderr) were expected")]
    Streams,
    #[error("no launch spec is registered for {0}")]
    Unregistered(Name),
    #[error("uid {uid} may not launch {agent}")]
    Launcher { uid: u32, agent: Name },
    #[error("this command line is not {0}'s")]
    CommandLine(Name),
    #[error("a process inside a run may not launch {0}")]
    InsideARun(Name),
    #[error(
        "an isolated run may launch {0} only by a spec with a command line and a working directory of its own"
    )]
    Unpinned(Name),
    #[error("this node agent runs as uid {own} and can not start processes of uid {uid}")]
    Uid { own: u32, uid: u32 },
    #[error("{0} is no directory that the run can start in")]
    Directory(PathBuf),
    #[error("{bind} would show an isolated run {hidden}")]
    Shows { bind: PathBuf, hidden: PathBuf },
    #[error(transparent)]
    Program(#[from] ProgramError),
    #[error(transparent)]
    Measure(#[from] MeasureError),
    #[error("the supervisor could not {what}: {why}")]
    Supervisor { what: String, why: String },
    #[error("{0}")]
    Kernel(#[from] io::Error),
    #[error("{0}")]
    Peer(#[from] peer::PeerError),
    #[error(transparent)]
    Server(#[from] Refused),
}

impl NoLaunch {
    /// Stable code and the fix, for the person who asked.
    fn code_and_fix(&self) -> (&'static str, &'static str) {
        match self {
            Self::Version(_) => (
                "TABARD-LAUNCH-000",
                "use the `tabard` of the same release as the node agent",
            ),
            Self::Streams => ("TABARD-LAUNCH-000", "start it with `tabard run`"),
            Self::Unregistered(_) => (
                "TABARD-LAUNCH-001",
                "register it, or see `tabard agent list` for its right name",
            ),
            Self::Launcher { .. } => (
                "TABARD-LAUNCH-002",
                "add the uid to `launchers` of its launch spec",
            ),
            Self::InsideARun(_) => (
                "TABARD-LAUNCH-003",
                "list it under `may_launch` of the running agent's contract",
            ),
            Self::CommandLine(_) => (
                "TABARD-LAUNCH-004",
                "run the command of its launch spec, or change the spec",
            ),
            Self::Uid { .. } => (
                "TABARD-LAUNCH-005",
                "run the node agent as root, or as the launching user",
            ),
            Self::Directory(_) => (
                "TABARD-LAUNCH-006",
                "launch from a directory that exists, or set `cwd` in the spec",
            ),
            Self::Shows { .. } => (
                "TABARD-LAUNCH-007",
                "list narrower paths under `binds`, or launch from a directory below it",
            ),
            Self::Program(_) => ("TABARD-LAUNCH-008", "check the command"),
            Self::Measure(_) => (
                "TABARD-LAUNCH-009",
                "make the measured roots readable and self-contained",
            ),
            Self::Supervisor { what, .. } if what.contains("namespace") => (
                "TABARD-LAUNCH-010",
                "allow user namespaces (sysctl user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns=0), \
                 or run the node agent as root; `--isolate` is never skipped silently",
            ),
            Self::Supervisor { .. } | Self::Kernel(_) | Self::Peer(_) => {
                ("TABARD-LAUNCH-011", "see the node agent's log")
            }
            Self::Server(_) => ("TABARD-LAUNCH-012", "see `tabard status`"),
            Self::Unpinned(_) => (
                "TABARD-LAUNCH-013",
                "give its launch spec `argv` and `cwd`: what an isolated run says of paths is not what this host sees",
            ),
        }
    }
}

/// Everything known before the process exists.
struct Prepared {
    program: Program,
    evidence: Measurement,
    spec: LaunchSpec,
    cwd: PathBuf,
    isolate: bool,
    stdio: [OwnedFd; 3],
    executable: Executable,
    launcher_run: Option<RunId>,
}

impl<A: Authority, C: Calls> Launcher<A, C> {
    /// Answers the launch socket until `stop` is ready. Runs that are under way then are ended. Makes this process the
    /// subreaper of its runs, so that not even a killed supervisor sets a run's processes free.
    pub async fn serve(self: Arc<Self>, listener: Listener, stop: impl Future<Output = ()>) {
        if let Err(error) = rustix::process::set_child_subreaper(Some(rustix::process::getpid())) {
            tracing::error!(%error, "orphans can not be adopted: nothing is launched");
            return;
        }
        let mut launches = JoinSet::new();
        let mut stop = std::pin::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => return,
                Some(_) = launches.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok(Ok((peer, stream))) => {
                        let launcher = self.clone();
                        launches.spawn(async move { launcher.converse(peer, stream).await });
                    }
                    Ok(Err(error)) => tracing::debug!(%error, "a launcher is unknown"),
                    Err(error) => {
                        tracing::warn!(%error, "the launch socket can not accept connections");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
            }
        }
    }

    async fn converse(&self, peer: Peer, mut stream: WitnessedStream) {
        let mut frames = Frames::default();
        let first = tokio::time::timeout(PATIENCE, next_ask(&stream, &mut frames)).await;
        let Ok(Ok(Some(Ask::Launch(launch)))) = first else {
            return;
        };
        if tell(&mut stream, &Tell::Heard).await.is_err() {
            return;
        }
        let agent = launch.agent.clone();
        let last = match self.launch(&peer, launch, &mut stream, frames).await {
            Ok(ended) => Tell::Exited { ended },
            Err(refused) => self.refused(&peer, agent, refused),
        };
        if tell(&mut stream, &last).await.is_err() {
            tracing::debug!("the launcher has gone");
        }
    }

    fn refused(&self, peer: &Peer, agent: Name, refused: NoLaunch) -> Tell {
        let (code, fix) = refused.code_and_fix();
        if let NoLaunch::Server(Refused::Denied {
            code,
            decision,
            message,
            fix,
        }) = refused
        {
            return Tell::Refused {
                code,
                decision: Some(decision.to_string()),
                message,
                fix,
            };
        }
        let message = refused.to_string();
        let decision = self.authority.refuse(LocalRefusal {
            code,
            uid: peer.uid,
            pid: peer.process.pid().as_raw_nonzero().get(),
            agent: Some(agent),
            seen: message.clone(),
        });
        Tell::Refused {
            code: code.to_owned(),
            decision: Some(decision.to_string()),
            message,
            fix: fix.to_owned(),
        }
    }

    async fn launch(
        &self,
        peer: &Peer,
        launch: Launch,
        client: &mut WitnessedStream,
        mut frames: Frames,
    ) -> Result<Ended, NoLaunch> {
        let stdio = <[OwnedFd; 3]>::try_from(std::mem::take(&mut frames.descriptors))
            .map_err(|_| NoLaunch::Streams)?;
        let (quiet, env, wish) = (launch.quiet, launch.env.clone(), launch.task.clone());
        let prepared = self.prepare(peer, launch, stdio).await?;

        let key = InstanceKey::generate().map_err(|error| NoLaunch::Kernel(io::Error::other(error)))?;
        let user = User::of(peer.uid);
        let environment = Environment::of_run(&prepared.spec, &env, &user.home, &user.name, Vec::new());
        let request = OpenRun {
            agent: prepared.spec.agent.clone(),
            launcher_uid: peer.uid,
            launcher_run: prepared.launcher_run,
            argv: prepared.program.argv.clone(),
            cwd: prepared.cwd.clone(),
            environment: environment.names(),
            evidence: prepared.evidence.clone(),
            instance_key: key.thumbprint(),
            wish,
        };
        let opened = self.authority.open_run(request).await?;
        let run_id = opened.run;
        let (story, mut lines) = mpsc::unbounded_channel();
        let started = self.start(peer, prepared, &env, opened, key, story).await;
        let ended = match started {
            Ok((run, link, serving)) => {
                if !quiet {
                    introduce(&run);
                }
                let ended = watch_over(&run, link, client, frames, (!quiet).then_some(&mut lines)).await;
                if ended == Ended::Lost {
                    self.runs.supervisor_lost();
                    end_orphans(&run).await;
                }
                drop(serving);
                self.runs.unbind(&run);
                Ok(ended)
            }
            Err(error) => Err(error),
        };
        self.authority
            .close_run(run_id, *ended.as_ref().unwrap_or(&Ended::Lost))
            .await;
        ended
    }

    /// Judges the request and measures. Nothing has been executed yet.
    async fn prepare(&self, peer: &Peer, launch: Launch, stdio: [OwnedFd; 3]) -> Result<Prepared, NoLaunch> {
        if launch.version != 1 {
            return Err(NoLaunch::Version(launch.version));
        }
        let launcher = match self.runs.place_of(&peer.process) {
            Place::Outside => None,
            Place::Agent(run) | Place::Child(run) if run.may_launch.contains(&launch.agent) => Some(run),
            Place::Agent(_) | Place::Child(_) | Place::Inside => {
                return Err(NoLaunch::InsideARun(launch.agent));
            }
        };
        let spec = self.authority.launch_spec(&launch.agent).await?;
        let spec = spec.ok_or_else(|| NoLaunch::Unregistered(launch.agent.clone()))?;
        if !spec.launchers.contains(&peer.uid) {
            return Err(NoLaunch::Launcher {
                uid: peer.uid,
                agent: launch.agent,
            });
        }
        if !spec.argv.covers(&launch.argv) {
            return Err(NoLaunch::CommandLine(launch.agent));
        }
        let own = rustix::process::geteuid().as_raw();
        if own != 0 && own != peer.uid {
            return Err(NoLaunch::Uid { own, uid: peer.uid });
        }
        // Nothing leaves its isolation by launching: what comes of it is isolated too, runs what its own spec says, and
        // sees the directory that its own spec says. Paths that an isolated run names may be others on this host.
        let from_inside = launcher
            .as_ref()
            .is_some_and(|run| run.separation != Separation::None);
        if from_inside && (!spec.argv.is_pinned() || spec.cwd.is_none()) {
            return Err(NoLaunch::Unpinned(launch.agent));
        }
        let launcher_run = launcher.map(|run| run.opened.run);
        let isolate = launch.isolate || spec.isolation == Isolation::Required || from_inside;
        let cwd = spec.cwd.clone().unwrap_or(launch.cwd);
        if !cwd.is_absolute() || !cwd.is_dir() {
            return Err(NoLaunch::Directory(cwd));
        }
        let separation = match (isolate, own) {
            (false, _) => Separation::None,
            (true, 0) if peer.uid != 0 => Separation::Sealed,
            (true, _) => Separation::Confined,
        };
        let measured = tokio::task::spawn_blocking(move || {
            let program = Program::find(&launch.argv, &cwd)?;
            let evidence = evidence(&program, &spec, separation)?;
            let executable = Executable {
                path: program.path.clone(),
                device: evidence.executable_file.0,
                inode: evidence.executable_file.1,
            };
            Ok::<_, NoLaunch>(Prepared {
                program,
                evidence,
                spec,
                cwd,
                isolate,
                stdio,
                executable,
                launcher_run,
            })
        });
        measured
            .await
            .map_err(|error| NoLaunch::Kernel(io::Error::other(error)))?
    }

    async fn start(
        &self,
        peer: &Peer,
        prepared: Prepared,
        offered: &[(String, String)],
        opened: OpenedRun,
        key: InstanceKey,
        story: mpsc::UnboundedSender<Story>,
    ) -> Result<(Arc<Run>, AsyncLink, JoinSet<()>), NoLaunch> {
        let http_path = self.places.runs.join(format!("{}.sock", opened.run));
        let unix = Listener::bind(&http_path)?;
        let cleanup = RemoveOnDrop(http_path.clone());
        let tcp = if prepared.isolate {
            None
        } else {
            Some(TcpListener::bind("127.0.0.1:0").await?)
        };
        let launch = (prepared.isolate && !prepared.spec.may_launch.is_empty())
            .then(|| Path::new(INSIDE).join("launch.sock"));
        let (workload, http, port) = match &tcp {
            Some(tcp) => (
                self.places.workload_socket.clone(),
                http_path.clone(),
                tcp.local_addr()?.port(),
            ),
            None => (
                Path::new(INSIDE).join("workload.sock"),
                Path::new(INSIDE).join("http.sock"),
                INSIDE_PORT,
            ),
        };
        let user = User::of(peer.uid);
        let isolation = if prepared.isolate {
            Some(self.separate(&prepared, &http_path, &user.home)?)
        } else {
            None
        };
        let order = Order {
            argv: prepared.program.argv.clone(),
            env: Environment::of_run(
                &prepared.spec,
                offered,
                &user.home,
                &user.name,
                ours(&workload, &http, launch.as_deref(), port),
            )
            .lines(),
            cwd: prepared.cwd.clone(),
            uid: peer.uid,
            gid: peer.gid,
            groups: groups_of(&peer.process)?,
            isolation,
        };
        let (mut link, supervisor) = self.spawn_supervisor()?;
        let [stdin, stdout, stderr] = &prepared.stdio;
        let descriptors = [
            prepared.program.executable.as_fd(),
            stdin.as_fd(),
            stdout.as_fd(),
            stderr.as_fd(),
        ];
        link.send(&order, &descriptors).await?;
        expect(&mut link, |report| matches!(report, Report::Ready)).await?;
        let mut received = std::mem::take(&mut link.frames.descriptors).into_iter();
        let process = received
            .next()
            .ok_or_else(|| io::Error::other("the supervisor sent no process"))?;
        let tcp = match (tcp, received.next()) {
            (Some(tcp), _) => tcp,
            (None, Some(inside)) => {
                let inside = std::net::TcpListener::from(inside);
                inside.set_nonblocking(true)?;
                TcpListener::from_std(inside)?
            }
            (None, None) => return Err(io::Error::other("the supervisor sent no listener").into()),
        };
        let run = Arc::new(Run {
            opened,
            agent: prepared.spec.agent.clone(),
            process: Arc::new(PidFd::from_fd(process)?),
            executable: prepared.executable,
            executable_digest: prepared.evidence.executable_digest,
            uid: peer.uid,
            separation: prepared.evidence.separation,
            may_launch: prepared.spec.may_launch,
            story,
            supervisor,
            key,
            svids: watch::Sender::new(Arc::default()),
            renewing: OnceCell::new(),
        });
        // Bound before it executes, so that its first request already finds it.
        self.runs.bind(run.clone());
        let started = async {
            link.send(&Command::Go, &[]).await?;
            expect(&mut link, |report| matches!(report, Report::Started)).await?;
            Ok(())
        };
        if let Err(error) = started.await {
            self.runs.unbind(&run);
            return Err(error);
        }
        let mut serving = JoinSet::new();
        let door = listener::Door {
            run: run.clone(),
            runs: self.runs.clone(),
            digests: self.digests.clone(),
            calls: self.calls.clone(),
            authority: self.authority.clone(),
        };
        if run.process.is_alive() && !run.is_intact() {
            run.tell(Story {
                step: Step::Note,
                text: "the command has executed another program: its identity has ended".into(),
            });
        }
        serving.spawn(async move {
            let _cleanup = cleanup;
            listener::serve(door, unix, tcp).await;
        });
        Ok((run, link, serving))
    }

    fn spawn_supervisor(&self) -> Result<(AsyncLink, Arc<PidFd>), NoLaunch> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        let mut child = std::process::Command::new(&self.helper.program)
            .arg(&self.helper.argument)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let supervisor = Arc::new(PidFd::open(Pid::from_child(&child))?);
        // Reaps it whenever it ends; a thread that sleeps in the kernel.
        std::thread::Builder::new()
            .name("supervisor".into())
            .spawn(move || {
                if let Err(error) = child.wait() {
                    tracing::warn!(%error, "a supervisor could not be waited for");
                }
            })?;
        ours.set_nonblocking(true)?;
        Ok((
            AsyncLink::new(tokio::net::UnixStream::from_std(ours)?),
            supervisor,
        ))
    }

    /// What an isolated run sees and does not see.
    fn separate(&self, prepared: &Prepared, http: &Path, home: &Path) -> Result<Separate, NoLaunch> {
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let mut hide: Vec<_> = HIDDEN
            .iter()
            .map(Path::new)
            .chain(self.places.secret.iter().map(PathBuf::as_path))
            .map(real)
            .collect();
        hide.push(real(&self.places.runs));
        hide.retain(|path| path.is_dir());
        hide.sort();
        hide.dedup();
        let roots = prepared
            .spec
            .measured
            .iter()
            .chain(prepared.program.script.as_ref());
        let mut binds: Vec<Bind> = roots
            .map(|path| Bind {
                path: real(path),
                writable: false,
            })
            .collect();
        binds.extend(prepared.spec.binds.iter().map(|bind| Bind {
            path: real(&bind.path),
            writable: bind.writable,
        }));
        let cwd = real(&prepared.cwd);
        if !binds.iter().any(|bind| cwd.starts_with(&bind.path)) {
            binds.push(Bind {
                path: cwd,
                writable: true,
            });
        }
        // Only what would otherwise be hidden has to be put back, outer paths first.
        binds.retain(|bind| hide.iter().any(|hidden| bind.path.starts_with(hidden)));
        binds.sort_by(|a, b| a.path.cmp(&b.path));
        for bind in &binds {
            let shown = hide.iter().find(|hidden| hidden.starts_with(&bind.path));
            let secret = self
                .places
                .secret
                .iter()
                .map(|path| real(path))
                .find(|secret| bind.path.starts_with(secret));
            if let Some(hidden) = shown.cloned().or(secret) {
                return Err(NoLaunch::Shows {
                    bind: bind.path.clone(),
                    hidden,
                });
            }
        }
        let inside = Path::new(INSIDE);
        let mut sockets = vec![
            (real(&self.places.workload_socket), inside.join("workload.sock")),
            (real(http), inside.join("http.sock")),
        ];
        if !prepared.spec.may_launch.is_empty() {
            sockets.push((real(&self.places.launch_socket), inside.join("launch.sock")));
        }
        Ok(Separate {
            hide,
            binds,
            sockets,
            home: home.to_owned(),
            port: INSIDE_PORT,
        })
    }
}

fn evidence(program: &Program, spec: &LaunchSpec, separation: Separation) -> Result<Measurement, NoLaunch> {
    let meta = program.executable.metadata()?;
    let script = program.script.as_deref().map(measure).transpose()?;
    let roots: Result<Vec<MeasuredRoot>, _> = spec.measured.iter().map(|root| measure(root)).collect();
    Ok(Measurement {
        executable: program.path.clone(),
        executable_digest: file_digest(&program.executable, &program.path)?,
        executable_file: (meta.dev(), meta.ino()),
        script,
        roots: roots?,
        argv_digest: words_digest(&program.argv),
        pinned: spec.argv.is_pinned(),
        separation,
    })
}

/// Tells who was started, in the order of the stages.
fn introduce(run: &Run) {
    let level = run.opened.assurance.level();
    let pid = run.process.pid().as_raw_nonzero();
    let executable = run.executable.path.display();
    let line = |step, text| run.tell(Story { step, text });
    let digest: String = run.executable_digest.hex().chars().take(8).collect();
    let pinned = if run.opened.pinned { "pinned" } else { "unpinned" };
    let separation = match run.separation {
        Separation::None => "not isolated",
        Separation::Confined => "isolated; your own uid can still reach in",
        Separation::Sealed => "isolated",
    };
    line(
        Step::Attested,
        format!(
            "pid {pid}  exe {executable} sha256:{digest}\u{2026}  level {level} ({pinned}, {separation})"
        ),
    );
    line(Step::Identity, run.opened.spiffe_id.to_string());
    line(
        Step::Task,
        format!("{}  opened by {}", run.opened.task, run.opened.opener),
    );
}

/// Until the end of the run: signals in, story out.
async fn watch_over(
    run: &Run,
    mut link: AsyncLink,
    client: &mut WitnessedStream,
    mut frames: Frames,
    mut story: Option<&mut mpsc::UnboundedReceiver<Story>>,
) -> Ended {
    let mut client_is_there = true;
    let mut deadline: Option<tokio::time::Instant> = None;
    loop {
        let end_by = async {
            match deadline {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let next_line = async {
            match &mut story {
                Some(lines) => lines.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            report = link.receive::<Report>() => match report {
                Ok(Some(Report::Ended(ended))) => {
                    if let Some(lines) = &mut story {
                        while let Ok(line) = lines.try_recv() {
                            if tell(client, &Tell::Story(line)).await.is_err() {
                                break;
                            }
                        }
                    }
                    return ended;
                }
                Ok(Some(Report::Ready | Report::Started | Report::Failed { .. })) => {}
                // The supervisor was killed: end what we can still name.
                Ok(None) | Err(_) => {
                    kill(run);
                    return Ended::Lost;
                }
            },
            ask = next_ask(client, &mut frames), if client_is_there => match ask {
                Ok(Some(Ask::Signal { signal })) => {
                    if link.send(&Command::Signal(signal), &[]).await.is_err() {
                        kill(run);
                    }
                }
                // Nothing else is asked of a run, and whoever hangs up wants it to end.
                Ok(Some(Ask::Launch(_)) | None) | Err(_) => {
                    client_is_there = false;
                    deadline = Some(tokio::time::Instant::now() + GRACE);
                    if link.send(&Command::Signal(Signal::TERM.as_raw()), &[]).await.is_err() {
                        kill(run);
                    }
                }
            },
            line = next_line => {
                if let Some(line) = line && client_is_there && tell(client, &Tell::Story(line)).await.is_err() {
                    client_is_there = false;
                }
            }
            () = end_by => {
                deadline = None;
                kill(run);
            }
        }
    }
}

fn kill(run: &Run) {
    if run.process.is_alive()
        && let Err(error) = run.process.signal(Signal::KILL)
    {
        tracing::warn!(%error, run = %run.opened.run, "a process could not be ended");
    }
}

/// Ends what a killed supervisor left to us. Those children have no-new-privileges, which nothing can take off, and are no
/// supervisors; one that gives itself a supervisor's name stays, but stands in no run and gets nothing.
async fn end_orphans(run: &Run) {
    for _ in 0..ORPHAN_ROUNDS {
        let orphans = orphans();
        // Its descriptors close, which we notice, before its children become ours.
        if orphans.is_empty() && !run.supervisor.is_alive() && !run.process.is_alive() {
            return;
        }
        for orphan in orphans {
            if let Ok(process) = PidFd::open(orphan)
                && process.signal(Signal::KILL).is_err()
            {
                tracing::debug!(pid = %orphan.as_raw_nonzero(), "an orphan has ended by itself");
            }
            let ended = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
            if waitid(WaitId::Pid(orphan), ended).is_err() {
                tracing::debug!(pid = %orphan.as_raw_nonzero(), "an orphan was reaped already");
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn orphans() -> Vec<Pid> {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else {
        return Vec::new();
    };
    let texts = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("children")).ok());
    let children: Vec<i32> = texts
        .flat_map(|text| {
            text.split_ascii_whitespace()
                .filter_map(|pid| pid.parse().ok())
                .collect::<Vec<_>>()
        })
        .collect();
    let of_a_run = |pid: &i32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let has = |wanted: &str| status.lines().any(|line| line == wanted);
        has("NoNewPrivs:\t1") && !has(&format!("Name:\t{}", peer::SUPERVISOR_NAME))
    };
    children
        .into_iter()
        .filter(of_a_run)
        .filter_map(Pid::from_raw)
        .collect()
}

async fn next_ask(stream: &WitnessedStream, frames: &mut Frames) -> io::Result<Option<Ask>> {
    loop {
        if let Some(ask) = frames.next()? {
            return Ok(Some(ask));
        }
        let mut bytes = vec![0; 1 << 14];
        match stream.receive(&mut bytes).await? {
            (0, _) => return Ok(None),
            (got, descriptors) => frames.push(bytes.get(..got).unwrap_or_default(), descriptors),
        }
    }
}

async fn expect(link: &mut AsyncLink, wanted: impl Fn(&Report) -> bool) -> Result<(), NoLaunch> {
    let report = tokio::time::timeout(PATIENCE, link.receive::<Report>()).await;
    match report.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?? {
        Some(report) if wanted(&report) => Ok(()),
        Some(Report::Failed { what, why }) => Err(NoLaunch::Supervisor { what, why }),
        Some(_) | None => Err(NoLaunch::Supervisor {
            what: "do its part".into(),
            why: "it hung up".into(),
        }),
    }
}

/// Variables of ours. `NO_PROXY` keeps a run's own loopback servers reachable.
fn ours(workload: &Path, http: &Path, launch: Option<&Path>, port: u16) -> Vec<(&'static str, String)> {
    let proxy = format!("http://127.0.0.1:{port}");
    let mut all = vec![
        ("SPIFFE_ENDPOINT_SOCKET", format!("unix://{}", workload.display())),
        ("TABARD_HTTP_SOCKET", http.display().to_string()),
        ("NO_PROXY", "localhost,127.0.0.1,::1".to_owned()),
        ("no_proxy", "localhost,127.0.0.1,::1".to_owned()),
        ("NODE_USE_ENV_PROXY", "1".to_owned()),
    ];
    // Its home, with the contexts of the command line, is not there.
    all.extend(launch.map(|socket| (LAUNCH_SOCKET, socket.display().to_string())));
    all.extend(["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"].map(|name| (name, proxy.clone())));
    all
}

/// A line of the user database.
struct User {
    name: String,
    home: PathBuf,
}

impl User {
    /// From `/etc/passwd`; users of other databases get their uid for a name and no home.
    fn of(uid: u32) -> Self {
        let text = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let wanted = uid.to_string();
        let found = text.lines().find_map(|line| {
            let fields: Vec<_> = line.split(':').collect();
            match fields.as_slice() {
                [name, _, id, _, _, home, ..] if *id == wanted => Some(Self {
                    name: (*name).to_owned(),
                    home: PathBuf::from(home),
                }),
                _ => None,
            }
        });
        found.unwrap_or_else(|| Self {
            name: wanted,
            home: "/".into(),
        })
    }
}

/// The launcher's supplementary groups, which the run keeps.
fn groups_of(process: &PidFd) -> Result<Vec<u32>, NoLaunch> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid().as_raw_nonzero()))?;
    process.check()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("Groups:"))
        .unwrap_or_default();
    Ok(line
        .split_ascii_whitespace()
        .filter_map(|gid| gid.parse().ok())
        .collect())
}

struct RemoveOnDrop(PathBuf);

impl Drop for RemoveOnDrop {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::debug!(%error, "a run's socket was gone already");
        }
    }
}
