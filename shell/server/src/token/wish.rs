//! What a token request asks for, once its form is understood.
//!
//! Every restriction that a client sends is either carried into the token or refused by name: dropping one in
//! silence would give more than was asked for.

use super::errors::NotIssued;
use super::on_behalf::Shown;
use credential::form::Form;
use credential::token_exchange::TypedToken;
use credential::{AgentTask, Constraints, TokenExchangeForm, TokenType};
use identity::{ApprovalId, Audience, Name, Secret, TaskId};
use std::collections::BTreeSet;

/// A token exchange that we can decide on.
pub(super) struct Wish {
    /// The caller's own JWT-SVID.
    pub(super) caller: Secret<String>,
    /// What it shows for somebody else, if it does.
    pub(super) shown: Option<Shown>,
    /// The one audience.
    pub(super) audience: Audience,
    /// Actions by name; empty for all that the contract grants there.
    pub(super) actions: BTreeSet<Name>,
    /// The task.
    pub(super) task: Option<TaskId>,
    /// The tenant.
    pub(super) tenant: Option<Name>,
    /// The purpose.
    pub(super) purpose: Option<Name>,
    /// The approval that the token shall be good for, and for nothing else.
    pub(super) approval: Option<ApprovalId>,
    /// Who says to ask.
    pub(super) client_id: Option<String>,
}

impl Wish {
    /// Reads a body.
    pub(super) fn parse(form: &Form) -> Result<Self, NotIssued> {
        Self::of(TokenExchangeForm::from_form(form)?)
    }

    /// Of a form that is understood.
    pub(super) fn of(form: TokenExchangeForm) -> Result<Self, NotIssued> {
        let TypedToken { token: subject, kind } = form.subject;
        let (caller, shown) = match (form.actor, kind) {
            (None, TokenType::Jwt) => (subject, None),
            (Some(actor), _) if actor.kind != TokenType::Jwt => return Err(NotIssued::ActorKind),
            (Some(actor), TokenType::AccessToken) => (actor.token, Some(Shown::AccessToken(subject))),
            (Some(actor), TokenType::IdToken | TokenType::Jwt) => {
                (actor.token, Some(Shown::UserToken(subject)))
            }
            // Without an actor too: a token that says on whose behalf it acts is never taken for its holder's own
            // (keycloak#52691).
            (None | Some(_), _) => return Err(NotIssued::SubjectKind),
        };
        if form.client.is_some() {
            return Err(NotIssued::ClientAssertion);
        }
        if !matches!(form.requested, None | Some(TokenType::AccessToken)) {
            return Err(NotIssued::RequestedKind);
        }
        let [audience] = <[Audience; 1]>::try_from(form.targets).map_err(|targets| {
            if targets.is_empty() {
                NotIssued::NoTarget
            } else {
                NotIssued::ManyTargets
            }
        })?;
        let mut details = form.details.into_iter();
        let (detail, more) = (details.next(), details.next());
        if more.is_some() {
            return Err(NotIssued::ManyDetails);
        }
        let detail = detail.unwrap_or_default();
        if let Some(member) = not_carried(&detail) {
            return Err(NotIssued::DetailMember(member));
        }
        let actions = match (form.scope, detail.actions) {
            (Some(_), Some(_)) => return Err(NotIssued::ScopeAndActions),
            (Some(scope), None) => names(&scope)?,
            (None, actions) => actions.unwrap_or_default(),
        };
        Ok(Self {
            caller,
            shown,
            audience,
            actions,
            task: detail.task,
            tenant: detail.tenant,
            purpose: detail.purpose,
            approval: detail.approval,
            client_id: form.client_id,
        })
    }
}

/// `scope` in terms of the contract: names of actions.
fn names(scope: &str) -> Result<BTreeSet<Name>, NotIssued> {
    scope
        .split(' ')
        .map(|name| name.parse().map_err(|_| NotIssued::Scope))
        .collect()
}

/// The first member that restricts something which tokens cannot carry yet.
fn not_carried(detail: &AgentTask) -> Option<&'static str> {
    [
        ("locations", detail.locations.is_some()),
        ("datatypes", detail.datatypes.is_some()),
        ("data_domains", detail.data_domains.is_some()),
        ("workflow", detail.workflow.is_some()),
        ("step", detail.step.is_some()),
        ("constraints", detail.constraints != Constraints::default()),
    ]
    .into_iter()
    .find_map(|(member, given)| given.then_some(member))
}
