//! `World::apply`: pure and total. A Change that was committed always applies; what it names and does not find is
//! left alone, because the decision to commit it was made on a World where it was there.

use super::{Approval, Change, Founding, Principal, Revoked, Target, World};
use identity::{AgentId, ApprovalId, InstanceId, Name, OrgId, OrgScope, Revision, TaskId, UnixTime};
use std::sync::Arc;

impl World {
    /// The next version: `changes`, all of one commit, at `revision`. Ids that they make are stamped here and nowhere
    /// else, so every reader of the same history has the same World.
    #[must_use]
    pub fn apply(&self, changes: &[Change], revision: Revision) -> Self {
        let mut next = self.clone();
        next.revision = revision;
        for change in changes {
            next.alter(change.clone().at(revision), revision);
        }
        next
    }

    /// What a follower of `scope` gets instead of the whole: nothing of other orgs, and no administrators, join
    /// tokens or other members at all.
    #[must_use]
    pub fn within(&self, scope: OrgScope) -> Self {
        let OrgScope::Only(org) = scope else {
            return self.clone();
        };
        let mut part = self.clone();
        part.principals.clear();
        part.groups.clear();
        part.webhooks.clear();
        part.principal_uids.clear();
        part.principal_accounts.clear();
        part.principal_passkeys.clear();
        part.invites.clear();
        part.sessions.clear();
        part.join_tokens.clear();
        part.nodes.clear();
        part.orgs.retain(|id, _| *id == org);
        keep(&mut part.org_names, |_, id| *id == org);
        part.agents.retain(|_, agent| agent.org == org);
        keep(&mut part.agent_names, |(of, _), _| *of == org);
        let agents = part.agents.clone();
        keep(&mut part.agent_spiffe_ids, |_, id| agents.contains_key(id));
        part.launch_specs.retain(|_, spec| spec.org == org);
        keep(&mut part.registrations, |(of, _), _| *of == org);
        keep(&mut part.contracts, |_, contract| contract.org == org);
        part.proposals.clear();
        keep(&mut part.exceptions, |_, exception| exception.org == org);
        part.upstreams.retain(|_, upstream| upstream.org == org);
        keep(&mut part.upstream_names, |(of, _), _| *of == org);
        part.tasks.retain(|_, task| task.org == org);
        part.instances.retain(|_, instance| instance.org == org);
        let instances = part.instances.clone();
        keep(&mut part.running, |(_, _, id), ()| instances.contains_key(id));
        part.approvals.retain(|_, approval| approval.org == org);
        let approvals = part.approvals.clone();
        keep(&mut part.requests, |_, id| approvals.contains_key(id));
        part.homes.retain(|_, home| home.org == org);
        keep(&mut part.directories, |(of, _), _| *of == org);
        keep(&mut part.users, |(of, _, _), _| *of == org);
        keep(&mut part.consents, |(of, _, _), _| *of == org);
        keep(&mut part.consent_asked, |(of, _), ()| *of == org);
        keep(&mut part.trust_sources, |(of, _), _| *of == org);
        keep(&mut part.claimed, |(of, _, _), _| *of == org);
        keep(&mut part.judged, |(of, _, _), _| *of == org);
        keep(&mut part.service_keys, |_, known| known.org == org);
        keep(&mut part.revocations, |_, revoked| {
            revoked.org.is_none_or(|of| of == org)
        });
        part
    }

    fn alter(&mut self, change: Change, revision: Revision) {
        match change {
            Change::Founded {
                trust_domain,
                issuer,
                epoch,
            } => {
                self.founded = Some(Founding {
                    trust_domain,
                    issuer,
                    epoch,
                });
            }
            Change::OrgCreated(org) => {
                self.org_names.insert(org.name.clone(), org.id);
                self.orgs.insert(org.id, Arc::new(org));
            }
            Change::PrincipalAdded(principal) => self.set_principal(principal),
            Change::PrincipalRemoved { name } => {
                self.forget_principal(&name);
                self.leave_groups(&name);
                keep(&mut self.invites, |_, invite| invite.principal != name);
                keep(&mut self.sessions, |_, it| it.principal.as_ref() != Some(&name));
            }
            Change::InviteCreated(invite) => {
                self.invites.insert(invite.digest, Arc::new(invite));
            }
            Change::AccountLinked {
                principal,
                account,
                spent,
            } => {
                if let Some(spent) = spent {
                    self.invites.remove(&spent);
                }
                self.alter_principal(&principal, |it| {
                    it.accounts.insert(account);
                });
            }
            Change::AccountUnlinked { principal, account } => {
                self.alter_principal(&principal, |it| {
                    it.accounts.remove(&account);
                });
                keep(&mut self.sessions, |_, it| {
                    it.principal.as_ref() != Some(&principal) || !it.came_by_account(&account)
                });
            }
            Change::PasskeyEnrolled {
                principal,
                passkey,
                spent,
            } => {
                if let Some(spent) = spent {
                    self.invites.remove(&spent);
                }
                self.alter_principal(&principal, |it| it.passkeys.push(passkey));
            }
            Change::PasskeyRemoved {
                principal,
                credential,
            } => {
                self.alter_principal(&principal, |it| it.passkeys.retain(|key| key.id != credential));
                keep(&mut self.sessions, |_, it| !it.came_by_passkey(&credential));
            }
            Change::PasskeyUsed {
                principal,
                credential,
                counter,
            } => self.alter_principal(&principal, |it| {
                for passkey in it.passkeys.iter_mut().filter(|key| key.id == credential) {
                    passkey.counter = passkey.counter.max(counter);
                }
            }),
            Change::SessionOpened(session) => {
                keep(&mut self.sessions, |_, known| known.id != session.id);
                self.sessions.insert(session.digest, Arc::new(session));
            }
            Change::SessionClosed { session } => {
                keep(&mut self.sessions, |_, known| known.id != session);
            }
            Change::AgentRegistered(agent) | Change::AgentUpdated(agent) => {
                self.leave_contract(&agent);
                self.agent_names.insert((agent.org, agent.name.clone()), agent.id);
                self.agent_spiffe_ids.insert(agent.spiffe_id.clone(), agent.id);
                self.agents.insert(agent.id, Arc::new(agent));
            }
            Change::AgentStateSet { agent, state, .. } => {
                if let Some(known) = self.agents.get(&agent) {
                    let mut altered = super::Agent::clone(known);
                    altered.state = state;
                    self.agents.insert(agent, Arc::new(altered));
                }
            }
            Change::LaunchSpecSet(spec) => {
                self.launch_specs.insert(spec.agent, Arc::new(spec));
            }
            Change::RegistrationAdded(registration) => {
                self.registrations.insert(
                    (registration.org, registration.name.clone()),
                    Arc::new(registration),
                );
            }
            Change::RegistrationRemoved { name, org } => {
                self.registrations.remove(&(org, name));
            }
            Change::ContractPublished(contract) => {
                let key = (contract.hash, contract.org);
                self.proposals.remove(&key);
                self.contracts.insert(key, Arc::new(contract));
            }
            Change::ContractProposed(proposal) => {
                let key = (proposal.contract.hash, proposal.contract.org);
                self.proposals.insert(key, Arc::new(proposal));
            }
            Change::ProposalWithdrawn { hash, org } => {
                self.proposals.remove(&(hash, org));
            }
            Change::ExceptionOpened(exception) => {
                let key = (exception.agent, exception.id);
                self.exceptions.insert(key, Arc::new(exception));
            }
            Change::ExceptionEnded {
                exception, agent, at, ..
            } => {
                if let Some(known) = self.exceptions.get(&(agent, exception)) {
                    let mut altered = super::Exception::clone(known);
                    altered.ended = Some(at);
                    self.exceptions.insert((agent, exception), Arc::new(altered));
                }
            }
            Change::UpstreamPublished(upstream) => {
                self.upstream_names
                    .insert((upstream.org, upstream.name.clone()), upstream.id);
                self.upstreams.insert(upstream.id, Arc::new(upstream));
            }
            Change::UpstreamSecretRotated {
                upstream, version, ..
            } => {
                if let Some(known) = self.upstreams.get(&upstream) {
                    let mut altered = crate::upstream::Upstream::clone(known);
                    altered.secret_version = version;
                    self.upstreams.insert(upstream, Arc::new(altered));
                }
            }
            Change::TaskOpened(task) => {
                self.tasks.insert(task.id, Arc::new(task));
            }
            Change::TaskClosed { task, .. } => {
                if let Some(known) = self.tasks.get(&task) {
                    let mut altered = super::Task::clone(known);
                    altered.closed = true;
                    self.tasks.insert(task, Arc::new(altered));
                }
            }
            Change::TaskDeclassified { task, .. } => {
                if let Some(known) = self.tasks.get(&task) {
                    let mut altered = super::Task::clone(known);
                    altered.declassified = revision;
                    self.tasks.insert(task, Arc::new(altered));
                }
            }
            Change::ApprovalRequested(approval) => {
                self.requests
                    .insert((approval.task, approval.digest), approval.id);
                self.approvals.insert(approval.id, Arc::new(*approval));
            }
            Change::ApprovalVoted { approval, vote, .. } => {
                self.alter_approval(approval, |known| known.vote(vote));
            }
            Change::ApprovalEnded {
                approval, how, at, ..
            } => self.alter_approval(approval, |known| known.end(how, at)),
            Change::GroupSet(group) => {
                self.groups
                    .insert((group.org, group.name.clone()), Arc::new(group));
            }
            Change::WebhookAdded(webhook) => {
                let key = (webhook.org, webhook.name.clone());
                self.webhooks.insert(key, Arc::new(webhook));
            }
            Change::WebhookRemoved { org, name } => {
                self.webhooks.remove(&(org, name));
            }
            Change::DirectorySet(directory) => {
                let key = (directory.org, directory.tenant.clone());
                self.directories.insert(key, Arc::new(directory));
            }
            Change::UserSet(user) => {
                let key = (user.org, user.issuer.clone(), user.subject.clone());
                self.users.insert(key, Arc::new(user));
            }
            Change::UserRemoved { org, issuer, subject } => {
                self.users.remove(&(org, issuer, subject));
            }
            Change::ConsentSet(consent) => {
                let key = (consent.org, consent.issuer.clone(), consent.subject.clone());
                self.consents.insert(key, Arc::new(consent));
            }
            Change::ConsentRequired { org, issuer, asked } => {
                if asked {
                    self.consent_asked.insert((org, issuer), ());
                } else {
                    self.consent_asked.remove(&(org, issuer));
                }
            }
            Change::UserClaimed(claimed) => {
                let key = (claimed.org, claimed.issuer.clone(), claimed.subject.clone());
                // The newer word stays, whichever was shown first.
                match self.claimed.get(&key) {
                    Some(known) if known.said_at > claimed.said_at => {}
                    _ => {
                        self.claimed.insert(key, Arc::new(claimed));
                    }
                }
            }
            Change::UserJudged(judged) => {
                let key = (judged.org, judged.issuer.clone(), judged.subject.clone());
                let judged = match self.judged.get(&key) {
                    Some(known) => judged.and(known),
                    None => judged,
                };
                self.judged.insert(key, Arc::new(judged));
            }
            Change::TrustSourceSet(source) => {
                let key = (source.org, source.issuer.clone());
                let claim = |source: &super::TrustSource| source.rights.as_ref().map(|it| it.claim.clone());
                // The words of one claim are not those of another.
                if self.trust_sources.get(&key).map(|known| claim(known)) != Some(claim(&source)) {
                    self.forget_claims(source.org, &source.issuer);
                }
                let point = |source: &super::TrustSource| source.pdp.as_ref().map(|it| it.url.clone());
                // The word of one decision point is not that of another.
                if self.trust_sources.get(&key).map(|known| point(known)) != Some(point(&source)) {
                    self.forget_judged(source.org, &source.issuer);
                }
                self.trust_sources.insert(key, Arc::new(source));
            }
            Change::TrustSourceRemoved { org, issuer } => {
                self.forget_claims(org, &issuer);
                self.forget_judged(org, &issuer);
                self.trust_sources.remove(&(org, issuer));
            }
            Change::ServiceKeySet(next) => {
                keep(&mut self.service_keys, |_, known| !known.is_left_behind(&next));
                self.service_keys.insert(next.key, Arc::new(next));
            }
            Change::InstanceOpened(instance) => {
                self.running
                    .insert((instance.agent, instance.task, instance.id), ());
                self.instances.insert(instance.id, Arc::new(instance));
            }
            Change::InstanceClosed { instance, .. } => {
                if let Some(closed) = self.instances.remove(&instance) {
                    self.running.remove(&(closed.agent, closed.task, closed.id));
                }
            }
            Change::Homed { org, log, of, since } => {
                for key in of {
                    if self.homes.get(&key).is_none_or(|home| home.log.is_none()) {
                        let log = Some(log);
                        self.homes.insert(key, super::Home { org, log, since });
                    }
                }
            }
            Change::HomeLeft { org, log, of, since } => {
                for key in of {
                    if self.homes.get(&key).is_some_and(|home| home.log == Some(log)) {
                        let log = None;
                        self.homes.insert(key, super::Home { org, log, since });
                    }
                }
            }
            Change::Revoked(revocation) => {
                let revoked = Revoked {
                    before: revision,
                    org: revocation.org,
                    forget_at: revocation.forget_at,
                };
                // A service has no credential that says when it was decided: its keys are what is revoked.
                match &revocation.target {
                    Target::Service(id) => keep(&mut self.service_keys, |_, known| known.spiffe_id != *id),
                    Target::Org(org) => keep(&mut self.service_keys, |_, known| known.org != *org),
                    Target::Token(_)
                    | Target::Family(_)
                    | Target::Agent(_)
                    | Target::Instance(_)
                    | Target::User(_)
                    | Target::Task(_) => {}
                }
                self.revocations.insert(revocation.target, revoked);
            }
            Change::RevocationsForgotten { until } => {
                keep(&mut self.revocations, |_, revoked| revoked.forget_at > until);
                keep(&mut self.sessions, |_, session| session.expires_at > until);
                keep(&mut self.invites, |_, invite| invite.expires_at > until);
                keep(&mut self.exceptions, |_, exception| {
                    let forgotten =
                        exception.until.plus_secs(crate::exception::EXCEPTION_MEMORY_SECS) <= until;
                    exception.ended.is_none() || !forgotten
                });
                keep(&mut self.proposals, |_, proposal| proposal.expires_at > until);
                keep(&mut self.claimed, |_, claimed| claimed.forget_at > until);
                keep(&mut self.judged, |_, judged| !judged.is_over(until));
                keep(&mut self.service_keys, |_, known| known.svid_ends_at > until);
                self.tasks
                    .retain(|_, task| task.expires_at.plus_secs(super::TASK_MEMORY_SECS) > until);
                let (tasks, instances, agents) =
                    (self.tasks.clone(), self.instances.clone(), self.agents.clone());
                self.homes.retain(|of, _| {
                    tasks.contains_key(&TaskId::from_u128(of.0))
                        || instances.contains_key(&InstanceId::from_u128(of.0))
                        || agents.contains_key(&AgentId::from_u128(of.0))
                });
                self.forget_approvals(until);
            }
            Change::KeyPublished(key) => {
                self.keys.insert(key.kid.clone(), Arc::new(key));
            }
            Change::KeyRetired { kid } => {
                self.keys.remove(&kid);
            }
            Change::JoinTokenCreated(token) => {
                self.join_tokens.insert(token.digest, Arc::new(token));
            }
            Change::NodeJoined { node, spent } => {
                if let Some(spent) = spent {
                    self.join_tokens.remove(&spent);
                }
                self.nodes.insert(node.id, Arc::new(node));
            }
            Change::NodeRemoved { node } => {
                if let Some(known) = self.nodes.get(&node) {
                    let mut altered = super::NodeRecord::clone(known);
                    altered.removed = true;
                    self.nodes.insert(node, Arc::new(altered));
                }
            }
        }
    }

    fn alter_approval(&mut self, id: ApprovalId, alter: impl FnOnce(&mut Approval)) {
        if let Some(known) = self.approvals.get(&id) {
            let mut altered = Approval::clone(known);
            alter(&mut altered);
            self.approvals.insert(id, Arc::new(altered));
        }
    }

    /// One that was refused is remembered as long as its task: the same request is not asked for again.
    fn forget_approvals(&mut self, until: UnixTime) {
        if self.approvals.is_empty() {
            return;
        }
        let tasks = &self.tasks;
        self.approvals
            .retain(|_, approval| !approval.is_over(until) || tasks.contains_key(&approval.task));
        let approvals = self.approvals.clone();
        keep(&mut self.requests, |_, id| approvals.contains_key(id));
    }
}

impl World {
    /// Sets a principal with all their ways in.
    fn set_principal(&mut self, principal: Principal) {
        self.forget_principal(&principal.name);
        let name = &principal.name;
        if let Some(uid) = principal.uid {
            self.principal_uids.insert(uid, name.clone());
        }
        for account in &principal.accounts {
            self.principal_accounts.insert(account.clone(), name.clone());
        }
        for passkey in &principal.passkeys {
            self.principal_passkeys.insert(passkey.id.clone(), name.clone());
        }
        self.principals.insert(name.clone(), Arc::new(principal));
    }

    fn forget_principal(&mut self, name: &Name) {
        self.principals.remove(name);
        keep(&mut self.principal_uids, |_, of| of != name);
        keep(&mut self.principal_accounts, |_, of| of != name);
        keep(&mut self.principal_passkeys, |_, of| of != name);
    }

    /// Somebody else of that name, some day, is in no group by it.
    fn leave_groups(&mut self, name: &Name) {
        let mut groups = self.groups.clone();
        for (key, group) in self
            .groups
            .iter()
            .filter(|(_, group)| group.members.contains(name))
        {
            let mut altered = super::Group::clone(group);
            altered.members.remove(name);
            groups.insert(key.clone(), Arc::new(altered));
        }
        self.groups = groups;
    }

    /// An agent that leaves a contract ends what was agreed about it: whoever wants it back asks a second person again,
    /// however the agent came away from it.
    fn leave_contract(&mut self, agent: &super::Agent) {
        let Some(left) = self.agents.get(&agent.id).map(|known| known.contract) else {
            return;
        };
        let key = (left, agent.org);
        if left != agent.contract
            && let Some(known) = self.contracts.get(&key)
            && !known.succeeds.is_empty()
        {
            let mut altered = super::ContractRecord::clone(known);
            altered.succeeds.clear();
            self.contracts.insert(key, Arc::new(altered));
        }
    }

    fn alter_principal(&mut self, name: &Name, alter: impl FnOnce(&mut Principal)) {
        if let Some(known) = self.principals.get(name) {
            let mut altered = Principal::clone(known);
            alter(&mut altered);
            self.set_principal(altered);
        }
    }

    fn forget_claims(&mut self, org: OrgId, issuer: &str) {
        keep(&mut self.claimed, |(of, by, _), _| *of != org || by != issuer);
    }

    fn forget_judged(&mut self, org: OrgId, issuer: &str) {
        keep(&mut self.judged, |(of, by, _), _| *of != org || by != issuer);
    }
}

/// `retain` for the ordered map, which has none.
fn keep<K: Clone + Ord, V: Clone>(map: &mut super::Ordered<K, V>, wanted: impl Fn(&K, &V) -> bool) {
    *map = map
        .iter()
        .filter(|(key, value)| wanted(key, value))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
}
