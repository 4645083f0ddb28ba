//! Identify: which registered agent is an attested process?
//!
//! "No identity" is never a bare refusal: [`WhyNot`] says what was seen, what was wanted, which registration came
//! nearest, and what to do. The caller learns a code and an id; the rest is for operators.

use crate::attest::{Attested, LaunchEvidence, ProcessEvidence, assurance_of_launch};
use crate::issue::live_agent;
use crate::permit::JwtSvidId;
use crate::world::{Agent, ArgvRule, LaunchSpec, Registration, Target, World};
use identity::{Assurance, Digest, InstanceId, NodeId, OrgScope, RunId, TaskId, Thumbprint, UnixTime};
use policy::Reason;
use std::sync::Arc;

/// An attested process, and the agent that it is. Made only here; spent by the use case that it authorises.
#[derive(Debug)]
#[must_use = "an identity does nothing by itself"]
pub struct Identified {
    pub(crate) agent: Arc<Agent>,
    pub(crate) node: NodeId,
    pub(crate) assurance: Assurance,
    pub(crate) evidence: Digest,
    pub(crate) attested_at: UnixTime,
    pub(crate) key: Thumbprint,
    pub(crate) pinned: bool,
    /// Set once the process is known as an instance with a task.
    pub(crate) running: Option<Running>,
}

/// The instance that an identified process is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Running {
    pub(crate) instance: InstanceId,
    pub(crate) run: RunId,
    pub(crate) task: TaskId,
}

impl Identified {
    /// The agent.
    pub const fn agent(&self) -> &Arc<Agent> {
        &self.agent
    }
    /// How well it is proven.
    pub const fn assurance(&self) -> Assurance {
        self.assurance
    }
    /// The instance that the process is, once it is one.
    pub fn instance(&self) -> Option<InstanceId> {
        self.running.map(|running| running.instance)
    }
}

/// Why a process has no identity, for operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WhyNot {
    /// Which rule failed.
    pub rule: Rule,
    /// What was found, in words.
    pub seen: String,
    /// What would have been right, in words.
    pub wanted: String,
    /// The registration or launch spec that came nearest.
    pub nearest: Option<String>,
    /// What to do about it.
    pub fix: String,
}

/// The rules of identification, in the order they are judged. Codes are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// No agent of that name, or no registration that matches.
    Unregistered,
    /// Suspended, retired or expired.
    NotLive,
    /// Nobody said how it may be launched.
    NoLaunchSpec,
    /// Its launch spec belongs to another version of its contract.
    Contract,
    /// That uid may not launch it.
    Launcher,
    /// A process of a run launches only what its contract's `may_launch` lists.
    InsideRun,
    /// Another command line.
    CommandLine,
    /// Another executable.
    Executable,
    /// A root differs, or was not measured.
    Root,
    /// Another working directory.
    WorkingDirectory,
    /// The spec wants an isolated run.
    Isolation,
    /// A member's word does not count.
    Evidence,
}

impl Rule {
    /// Stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unregistered => "IDENTITY_UNREGISTERED",
            Self::NotLive => "IDENTITY_NOT_LIVE",
            Self::NoLaunchSpec => "LAUNCH_NO_SPEC",
            Self::Contract => "LAUNCH_CONTRACT",
            Self::Launcher => "LAUNCH_UID",
            Self::InsideRun => "LAUNCH_INSIDE_RUN",
            Self::CommandLine => "LAUNCH_COMMAND_LINE",
            Self::Executable => "LAUNCH_EXECUTABLE",
            Self::Root => "LAUNCH_ROOT",
            Self::WorkingDirectory => "LAUNCH_WORKING_DIRECTORY",
            Self::Isolation => "LAUNCH_NOT_ISOLATED",
            Self::Evidence => "EVIDENCE_REFUSED",
        }
    }
    /// What the caller is told: a fixed sentence.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Unregistered => "No agent is registered for this process.",
            Self::NotLive => "The agent may not act now.",
            Self::InsideRun => "A process inside a run may not launch this agent.",
            Self::NoLaunchSpec
            | Self::Contract
            | Self::Launcher
            | Self::CommandLine
            | Self::Executable
            | Self::Root
            | Self::WorkingDirectory
            | Self::Isolation
            | Self::Evidence => "This process may not be launched as the agent.",
        }
    }
}

/// Identifies a launch: the agent that was asked for, if its launch spec admits what was measured.
pub fn launched(
    world: &World,
    attested: &Attested<LaunchEvidence>,
    may_launch: impl Fn(RunId) -> bool,
    now: UnixTime,
) -> Result<Identified, WhyNot> {
    let evidence = attested.evidence();
    let scope = OrgScope::Only(evidence.org);
    let Some(agent) = world.agent_named(scope, evidence.org, &evidence.agent) else {
        let known: Vec<String> = world.agents(scope).map(|agent| agent.name.to_string()).collect();
        return Err(WhyNot {
            rule: Rule::Unregistered,
            seen: format!("--as {}", evidence.agent),
            wanted: "the name of a registered agent".into(),
            nearest: nearest(evidence.agent.as_str(), &known),
            fix: format!("register it: tabard agent apply {}.yaml", evidence.agent),
        });
    };
    live(agent, now)?;
    let Some(spec) = world.launch_spec(scope, agent.id) else {
        return Err(WhyNot {
            rule: Rule::NoLaunchSpec,
            seen: format!("{} has no launch spec", agent.name),
            wanted: "a `launch` section in its manifest".into(),
            nearest: None,
            fix: format!("add `launch:` to the manifest of {} and apply it", agent.name),
        });
    };
    if spec.contract != agent.contract {
        return Err(WhyNot {
            rule: Rule::Contract,
            seen: format!(
                "the launch spec of {} belongs to contract {}",
                agent.name, spec.contract
            ),
            wanted: format!("one for contract {}, which is in force", agent.contract),
            nearest: None,
            fix: format!(
                "review its code against the new contract, then apply the manifest of {} with its `launch` section",
                agent.name
            ),
        });
    }
    admits(spec, evidence, may_launch)?;
    let pinned = spec.is_pinned();
    Ok(Identified {
        agent: agent.clone(),
        node: attested.node().id,
        assurance: assurance_of_launch(attested.node(), evidence, pinned, &spec.argv),
        evidence: evidence.digest(),
        attested_at: evidence.seen_at,
        key: evidence.key,
        pinned,
        running: None,
    })
}

/// Identifies a process that nobody launched through us, by the registrations of the orgs that its node serves.
pub fn registered(
    world: &World,
    attested: &Attested<ProcessEvidence>,
    now: UnixTime,
) -> Result<Vec<Identified>, WhyNot> {
    let evidence = attested.evidence();
    let scope = attested.node().org.map_or(OrgScope::Every, OrgScope::Only);
    let seen = format!(
        "uid {} executable {} {}",
        evidence.uid, evidence.executable, evidence.executable_digest
    );
    let matches: Vec<&Arc<Registration>> = world
        .registrations(scope)
        .filter(|registration| misses(registration, evidence) == 0)
        .collect();
    if matches.is_empty() {
        let nearest = world
            .registrations(scope)
            .min_by_key(|registration| misses(registration, evidence));
        return Err(WhyNot {
            rule: Rule::Unregistered,
            seen,
            wanted: nearest.map_or_else(
                || "a registration; there is none yet".to_owned(),
                |near| format!("uid {} executable {}", near.uid, near.executable),
            ),
            nearest: nearest.map(|near| near.name.to_string()),
            fix: format!(
                "launch it with `tabard run --as AGENT -- …`, or register it: \
                 tabard registration add NAME --agent AGENT --uid {} --executable {}",
                evidence.uid, evidence.executable
            ),
        });
    }
    let mut identities = Vec::with_capacity(matches.len());
    for registration in matches {
        let Some(agent) = world.agent(scope, registration.agent) else {
            continue;
        };
        live(agent, now)?;
        identities.push(Identified {
            agent: agent.clone(),
            node: attested.node().id,
            assurance: Assurance {
                node: attested.node().assurance,
                launch: 1,
                code: 1,
                signer: u8::from(registration.executable_digest.is_some()),
            },
            evidence: evidence.digest(),
            attested_at: evidence.seen_at,
            key: evidence.key,
            pinned: registration.executable_digest.is_some(),
            running: None,
        });
    }
    Ok(identities)
}

/// How many selectors of a registration a process misses.
fn misses(registration: &Registration, evidence: &ProcessEvidence) -> u32 {
    u32::from(registration.uid != evidence.uid)
        + u32::from(registration.executable != evidence.executable)
        + u32::from(
            registration
                .executable_digest
                .is_some_and(|digest| digest != evidence.executable_digest),
        )
}

fn live(agent: &Agent, now: UnixTime) -> Result<(), WhyNot> {
    if agent.is_live(now) {
        return Ok(());
    }
    let expired = now >= agent.expires_at;
    Err(WhyNot {
        rule: Rule::NotLive,
        seen: if expired {
            format!("{} expired at {}", agent.name, agent.expires_at.rfc3339())
        } else {
            format!("{} is {:?}", agent.name, agent.state).to_lowercase()
        },
        wanted: "an active agent".into(),
        nearest: None,
        fix: if expired {
            format!("extend `expires` in the manifest of {} and apply it", agent.name)
        } else {
            format!("tabard resume agent {}", agent.name)
        },
    })
}

/// Whether a launch spec admits what was measured.
fn admits(
    spec: &LaunchSpec,
    evidence: &LaunchEvidence,
    may_launch: impl Fn(RunId) -> bool,
) -> Result<(), WhyNot> {
    let refuse = |rule, seen: String, wanted: String, fix: &str| {
        Err(WhyNot {
            rule,
            seen,
            wanted,
            nearest: Some(evidence.agent.to_string()),
            fix: fix.to_owned(),
        })
    };
    if let Some(run) = evidence.launcher_run
        && !may_launch(run)
    {
        return refuse(
            Rule::InsideRun,
            format!("the launch was asked for by a process of {run}"),
            "an operator outside every run, or `may_launch` in the contract of the asking agent".into(),
            "launch it from outside, or list the agent under `may_launch`",
        );
    }
    if !spec.launchers.contains(&evidence.launcher_uid) {
        return refuse(
            Rule::Launcher,
            format!("uid {}", evidence.launcher_uid),
            format!("one of the uids {:?}", spec.launchers),
            "add the uid to `launch.launchers`",
        );
    }
    let (argv_ok, wanted) = match &spec.argv {
        ArgvRule::Free => (true, String::new()),
        ArgvRule::Exact(argv) => (*argv == evidence.argv, argv.join(" ")),
        ArgvRule::Prefix(argv) => (evidence.argv.starts_with(argv), format!("{} …", argv.join(" "))),
    };
    if !argv_ok {
        return refuse(
            Rule::CommandLine,
            evidence.argv.join(" "),
            wanted,
            "run the registered command line, or change `launch.argv` and apply it",
        );
    }
    if let Some(wanted) = spec.executable
        && wanted != evidence.executable_digest
    {
        return refuse(
            Rule::Executable,
            format!("{} {}", evidence.executable, evidence.executable_digest),
            wanted.to_string(),
            "after an update of the executable, review it and apply its new digest (tabard agent measure)",
        );
    }
    for root in &spec.roots {
        let measured = evidence.roots.iter().find(|measured| measured.path == root.path);
        if measured.is_none_or(|measured| measured.digest != root.digest) {
            return refuse(
                Rule::Root,
                measured.map_or_else(
                    || format!("{} was not measured", root.path),
                    |measured| format!("{} {}", measured.path, measured.digest),
                ),
                format!("{} {}", root.path, root.digest),
                "review what changed under that root, then apply its new digest (tabard agent measure)",
            );
        }
    }
    if let Some(cwd) = &spec.cwd
        && *cwd != evidence.cwd
    {
        return refuse(
            Rule::WorkingDirectory,
            evidence.cwd.clone(),
            cwd.clone(),
            "launch it from there",
        );
    }
    if spec.isolate && !evidence.isolated {
        return refuse(
            Rule::Isolation,
            "not isolated".into(),
            "an isolated run".into(),
            "add --isolate",
        );
    }
    Ok(())
}

/// The known name that differs least, if any is close: what somebody who mistyped meant.
fn nearest(asked: &str, known: &[String]) -> Option<String> {
    let (distance, name) = known.iter().map(|name| (distance(asked, name), name)).min()?;
    (distance <= asked.len().div_ceil(3)).then(|| name.clone())
}

/// Levenshtein distance in bytes.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (slot, y) in row.iter_mut().skip(1).zip(b.bytes()) {
            let next = (diagonal + usize::from(x != y)).min(left + 1).min(*slot + 1);
            diagonal = *slot;
            *slot = next;
            left = next;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

/// Identifies the subject of an exchange: the instance that a verified JWT-SVID was issued to, asking with its own key.
///
/// A JWT-SVID is a bearer, so by itself it says nothing about who shows it: `proven` is the key of a DPoP proof or of
/// the X.509-SVID on the connection, and it has to be the instance's.
pub fn subject(
    world: &World,
    svid: &credential::Verified<credential::JwtSvidClaims>,
    proven: Thumbprint,
    now: UnixTime,
) -> Result<Identified, Reason> {
    let claims = svid.claims();
    let id = claims
        .token
        .as_deref()
        .and_then(JwtSvidId::parse)
        .ok_or(Reason::AttestationRequired)?;
    let instance = world
        .instance(OrgScope::Every, id.instance)
        .ok_or(Reason::AttestationRequired)?;
    let agent = live_agent(world, instance, now)?;
    if agent.spiffe_id != claims.spiffe_id {
        return Err(Reason::AttestationRequired);
    }
    let targets = [Target::Token(id.token), Target::Task(instance.task)];
    if world.revoked(&targets, id.revision).is_some() {
        return Err(Reason::IdentityRevoked);
    }
    if proven != instance.key {
        return Err(Reason::ProofOfPossessionFailed);
    }
    Ok(Identified {
        agent,
        node: instance.node,
        assurance: instance.assurance,
        evidence: instance.evidence,
        attested_at: instance.attested_at,
        key: instance.key,
        pinned: instance.pinned,
        running: Some(Running {
            instance: instance.id,
            run: instance.run,
            task: instance.task,
        }),
    })
}
