//! The demo's inventory: published through the same use cases as everything else, by the owner as administrator.
//! A second start changes nothing that is as it should be.

use super::upstreams::DemoUpstream;
use broker::admin::{Administrator, PeerEvidence, authenticate};
use broker::approve::set_group;
use broker::inventory::{AgentManifest, LaunchTerms, apply_agent, publish_upstream, rotate_secret};
use broker::succession::{Scrutiny, apply_contract};
use broker::upstream::{Manifest, Upstream};
use broker::world::{ArgvRule, ContractRecord, Group, MeasuredRoot, VisiblePath};
use broker::{Draw, Outcome, World};
use identity::{Digest, Name, OrgId, OrgScope, Secret, UnixTime, UpstreamId};
use policy::{Compiled, Contract};
use server::Installation;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where the demo's agents end: dev installations are thrown away before that.
const EXPIRES: UnixTime = UnixTime::from_secs(4_102_444_800);

const BILLING: (&str, &str) = ("demo-billing.yaml", include_str!("../../demo/demo-billing.yaml"));
const REPORTER: (&str, &str) = (
    "demo-reporter.yaml",
    include_str!("../../demo/demo-reporter.yaml"),
);
const REFUNDS: (&str, &str) = ("demo-refunds.yaml", include_str!("../../demo/demo-refunds.yaml"));
/// Who wrote the demo's contracts: not whoever runs it, so they may approve. No principal can have this name.
const AUTHOR: &str = "tabard dev";
/// Who approves in the demo.
const APPROVERS: &str = "payments";
const INVOICES: (&str, &str) = ("invoices.yaml", include_str!("../../demo/invoices.yaml"));
const PAYROLL: (&str, &str) = ("payroll.yaml", include_str!("../../demo/payroll.yaml"));
const SCRIPT: &str = include_str!("../../demo/reporter.py");

/// What the demo needs to know besides.
#[derive(Debug)]
pub(crate) struct Demo {
    /// Folder for the reporter's script.
    pub(crate) folder: PathBuf,
    pub(crate) invoices: DemoUpstream,
    pub(crate) payroll: DemoUpstream,
}

/// What there is to try.
#[derive(Debug)]
pub(crate) struct Published {
    /// The reporter's command line; `None` without a Python to run it.
    pub(crate) reporter: Option<Vec<String>>,
}

/// Publishes what is missing or different.
pub(crate) async fn publish(installation: &Arc<Installation>, demo: &Demo) -> Result<Published, String> {
    let world = installation.store.world();
    let uid = rustix::process::getuid().as_raw();
    let owner = authenticate(
        &world,
        PeerEvidence {
            uid,
            inside_a_run: false,
        },
    )
    .map_err(|error| format!("this data directory belongs to somebody else: {error}"))?;
    let org = world
        .orgs(OrgScope::Every)
        .map(|org| org.id)
        .min()
        .ok_or("the installation has no org")?;
    let publisher = Publisher {
        installation,
        owner,
        org,
    };
    let billing = publisher.contract(BILLING).await?;
    let reporter = publisher.contract(REPORTER).await?;
    publisher.upstream(INVOICES, &demo.invoices).await?;
    publisher.upstream(PAYROLL, &demo.payroll).await?;
    let purpose = "Matches the invoices of the day against the payments that arrived.";
    let free = LaunchTerms::by(uid, ArgvRule::Free);
    publisher.agent("demo-billing", purpose, billing, free).await?;
    let refunds = publisher.contract(REFUNDS).await?;
    let purpose = "Gives customers back what they paid by mistake.";
    let free = LaunchTerms::by(uid, ArgvRule::Free);
    publisher.agent("demo-refunds", purpose, refunds, free).await?;
    publisher.approvers().await?;
    let command = publisher.reporter(&demo.folder, uid, reporter).await?;
    Ok(Published { reporter: command })
}

struct Publisher<'a> {
    installation: &'a Arc<Installation>,
    owner: Administrator,
    org: OrgId,
}

impl Publisher<'_> {
    /// One administrative act, recorded.
    async fn act<T>(
        &self,
        what: &str,
        decide: impl FnOnce(&World, &Administrator, &mut Draw<'_>) -> Outcome<T>,
    ) -> Result<T, String> {
        let world = self.installation.store.world();
        let source = self
            .installation
            .draw_source(Some(self.org), self.installation.clock.now())
            .map_err(|error| error.to_string())?;
        let outcome = decide(&world, &self.owner, &mut source.draw());
        match outcome {
            Outcome::Granted(plan) => {
                let recorded = self.installation.store.commit(plan).await;
                Ok(recorded
                    .map_err(|error| format!("{what}: {error}"))?
                    .into_parts()
                    .0)
            }
            Outcome::Refused(plan) => {
                let refusal = plan.into_parts().proof;
                Err(format!("{what}: {}", refusal.sentence()))
            }
        }
    }

    async fn contract(&self, (file, source): (&str, &str)) -> Result<Digest, String> {
        let contract =
            Contract::parse(file, source.as_bytes()).map_err(|errors| format!("{file}: {errors:?}"))?;
        let hash = contract.hash().0;
        let (name, version) = (
            contract.terms().metadata.name.clone(),
            contract.terms().metadata.version,
        );
        Compiled::new(contract).map_err(|errors| format!("{file}: {errors:?}"))?;
        if self
            .installation
            .store
            .world()
            .contract(OrgScope::Only(self.org), &hash)
            .is_some()
        {
            return Ok(hash);
        }
        let record = ContractRecord {
            hash,
            org: self.org,
            name,
            version: u64::from(version),
            file: file.to_owned(),
            source: source.into(),
            published_by: AUTHOR.to_owned(),
            published_at: self.installation.clock.now(),
            commit: None,
            succeeds: std::collections::BTreeSet::new(),
        };
        self.act(file, |world, who, draw| {
            apply_contract(world, who, record, &[], Scrutiny::UNWATCHED, draw)
        })
        .await?;
        Ok(hash)
    }

    async fn upstream(&self, (file, source): (&str, &str), demo: &DemoUpstream) -> Result<(), String> {
        let text = source.replace("BASE_PORT", &demo.address.port().to_string());
        let manifest =
            Manifest::parse(file, text.as_bytes()).map_err(|errors| format!("{file}: {errors:?}"))?;
        let name = manifest.name.clone();
        let find = || {
            let world = self.installation.store.world();
            world
                .upstream_named(OrgScope::Only(self.org), self.org, &name)
                .cloned()
        };
        let known = find();
        let id = known.as_ref().map_or(UpstreamId::from_u128(0), |known| known.id);
        let version = known.as_ref().map_or(0, |known| known.secret_version);
        let upstream: Upstream = manifest.upstream(id, self.org, version);
        if known.as_deref() != Some(&upstream) {
            self.act(file, |world, who, draw| {
                publish_upstream(world, who, upstream, draw)
            })
            .await?;
        }
        let known = find().ok_or_else(|| format!("{file}: not published"))?;
        // The demo's upstreams make new secrets at each start.
        let secret = Secret::new(demo.secret.clone().into_bytes());
        self.installation
            .secrets
            .put(
                known.id,
                known.secret_version + 1,
                &secret,
                self.installation.clock.now(),
            )
            .map_err(|error| format!("{file}: {error}"))?;
        self.act(file, |world, who, draw| rotate_secret(world, who, &known, draw))
            .await?;
        Ok(())
    }

    /// The owner approves in the demo.
    async fn approvers(&self) -> Result<(), String> {
        let name: Name = APPROVERS
            .parse()
            .map_err(|error| format!("{APPROVERS}: {error}"))?;
        let group = Group {
            org: self.org,
            name: name.clone(),
            members: [self.owner.principal().name.clone()].into(),
        };
        let world = self.installation.store.world();
        if world.group(OrgScope::Only(self.org), self.org, &name).is_some() {
            return Ok(());
        }
        self.act(APPROVERS, |world, who, draw| set_group(world, who, group, draw))
            .await?;
        Ok(())
    }

    async fn agent(
        &self,
        name: &str,
        purpose: &str,
        contract: Digest,
        launch: LaunchTerms,
    ) -> Result<(), String> {
        let name: Name = name.parse().map_err(|error| format!("{name}: {error}"))?;
        let world = self.installation.store.world();
        let scope = OrgScope::Only(self.org);
        let known = world.agent_named(scope, self.org, &name);
        let same_launch = known
            .and_then(|agent| world.launch_spec(scope, agent.id))
            .is_some_and(|spec| {
                spec.argv == launch.argv
                    && spec.executable == launch.executable
                    && spec.roots == launch.roots
                    && spec.launchers == launch.launchers
                    && spec.binds == launch.binds
                    && spec.isolate == launch.isolate
            });
        if known.is_some_and(|agent| agent.contract == contract) && same_launch {
            return Ok(());
        }
        let manifest = AgentManifest {
            name: name.clone(),
            owner: self.owner.principal().name.to_string(),
            purpose: purpose.to_owned(),
            contract,
            expires_at: EXPIRES,
            launch: Some(launch),
        };
        let org = self.org;
        self.act(name.as_str(), |world, who, draw| {
            apply_agent(world, who, org, manifest, Scrutiny::UNWATCHED, draw)
        })
        .await?;
        Ok(())
    }

    /// The pinned agent: this very Python, this very script.
    async fn reporter(
        &self,
        folder: &Path,
        uid: u32,
        contract: Digest,
    ) -> Result<Option<Vec<String>>, String> {
        let Some(python) = python() else { return Ok(None) };
        std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let script = folder.join("reporter.py");
        std::fs::write(&script, SCRIPT).map_err(|error| format!("{}: {error}", script.display()))?;
        let digest = |path: &Path| {
            node::launch::measure(path)
                .map(|root| root.digest)
                .map_err(|error| error.to_string())
        };
        let argv = vec![python.display().to_string(), script.display().to_string()];
        let mut launch = LaunchTerms::by(uid, ArgvRule::Exact(argv.clone()));
        launch.executable =
            Some(node::launch::executable_digest(&python).map_err(|error| error.to_string())?);
        launch.roots = vec![MeasuredRoot {
            path: script.display().to_string(),
            digest: digest(&script)?,
        }];
        launch.isolate = true;
        // A Python that lives in a home directory brings its own library, which an isolated run has to see.
        let prefix = python
            .parent()
            .and_then(Path::parent)
            .map(|prefix| prefix.display().to_string());
        launch.binds = prefix
            .into_iter()
            .map(|path| VisiblePath {
                path,
                writable: false,
            })
            .collect();
        launch.cwd = Some(folder.display().to_string());
        self.agent(
            "demo-reporter",
            "Writes the monthly report of invoices and payroll totals.",
            contract,
            launch,
        )
        .await?;
        Ok(Some(argv))
    }
}

/// The first real Python 3 on the path: the file itself, behind links and launcher shims.
fn python() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut found = std::env::split_paths(&path)
        .map(|folder| folder.join("python3"))
        .filter(|file| file.is_file());
    found.find_map(|candidate| {
        let asked = std::process::Command::new(&candidate)
            .args(["-c", "import sys, os; print(os.path.realpath(sys.executable))"])
            .output()
            .ok()?;
        let real = PathBuf::from(String::from_utf8(asked.stdout).ok()?.trim());
        (asked.status.success() && real.is_file()).then_some(real)
    })
}
