//! One decision: gather, decide, record, answer; again when something was restricted in between.

use super::answer::{Advice, Decided};
use super::denials::{Denial, REQUESTABLE_SECS};
use super::failed::Failed;
use super::obligation;
use super::question::{NotAQuestion, Question};
use super::subject::{Who, who};
use crate::approval::REQUESTS_PATH;
use crate::installation::{DrawSource, Installation};
use crate::settle::settle;
use broker::approve::{Ask, Bound, Found, REQUEST_BYTES_MAX, bind, find};
use broker::enforce::{Blocked, Call, Evaluated, Live, arguments, evaluate, refuse};
use broker::home::{Claimant, Counted, Whose, claim, is_claimable};
use broker::service::Service;
use broker::upstream::{Described, Upstream};
use broker::{Outcome, Plan, Refusal, World};
use identity::{ApprovalId, Digest, UnixTime};
use policy::Reason;
use std::sync::Arc;
use store::CommitError;
use store::ledger::{Request as Gathering, Wants};

/// How often a decision is made anew because something was restricted meanwhile.
const ATTEMPTS_MAX: usize = 3;

/// Answers one question.
pub(super) async fn decide(
    installation: &Installation,
    service: &Service,
    question: &Question<'_>,
) -> Result<Decided, Failed> {
    let decided = judged(installation, service, question).await?;
    installation.metrics.evaluated(decided.decision);
    Ok(decided)
}

async fn judged(
    installation: &Installation,
    service: &Service,
    question: &Question<'_>,
) -> Result<Decided, Failed> {
    let now = installation.clock.now();
    let Some(names) = question.names() else {
        return refused(installation, service, now, |world, source| {
            refuse(world, service, None, Reason::NotFound, &mut source.draw())
        })
        .await;
    };
    let described = question.described(&names);
    // A proof is spent once, however often the decision is made.
    let world = installation.store.world();
    let who = match who(
        installation,
        &world,
        service,
        &question.subject,
        &question.context,
        now,
    )? {
        Ok(who) => who,
        Err(reason) => {
            return refused(installation, service, now, |world, source| {
                refuse(
                    world,
                    service,
                    Some((&described, None)),
                    reason,
                    &mut source.draw(),
                )
            })
            .await;
        }
    };
    let mut claimed = false;
    for _ in 0..ATTEMPTS_MAX {
        let world = installation.store.world();
        let Some(upstream) = upstream(&world, service, &described, question)? else {
            return refused(installation, service, now, |world, source| {
                refuse(
                    world,
                    service,
                    Some((&described, None)),
                    Reason::NotFound,
                    &mut source.draw(),
                )
            })
            .await;
        };
        let can_confine = obligation::can_confine(&question.context);
        let lacks = (!can_confine && upstream.tenant_header.is_some()).then_some(obligation::CUSTOM);
        let upstream = confined(upstream, can_confine);
        let asked = Asked {
            installation,
            service,
            question,
            who: &who,
            upstream: &upstream,
            described: &described,
            now,
        };
        match asked.attempt(&world, claimed).await {
            Err(Stopped::Stale) => {}
            Err(Stopped::Homeless(counted)) => {
                claimed = true;
                asked.claim(&counted).await?;
            }
            Err(Stopped::Failed(failed)) => return Err(failed),
            Ok(Answered::Permitted(evaluated)) => {
                let tenant = evaluated.confined_to();
                let obligations = tenant.and_then(|tenant| obligation::confine(&upstream, tenant));
                return Ok(Decided::permitted(&evaluated, obligations.into_iter().collect()));
            }
            Ok(Answered::Refused(refusal, requestable)) => {
                let advice = Advice {
                    requestable: requestable.and_then(|exact| asked.requestable(&refusal, *exact)),
                    named: asked.names_approval(),
                    lacks,
                };
                return Ok(Decided::refused(&refusal, advice));
            }
        }
    }
    Err(Failed::Contended)
}

/// The one upstream of the service that has the action on the type.
pub(super) fn upstream(
    world: &World,
    service: &Service,
    described: &Described<'_>,
    question: &Question<'_>,
) -> Result<Option<Arc<Upstream>>, NotAQuestion> {
    let audience = question.context.audience.as_ref();
    let mut found = service
        .upstreams(world)
        .filter(|upstream| audience.is_none_or(|audience| upstream.audience == *audience))
        .filter(|upstream| described.route(upstream).is_some());
    match (found.next(), found.next()) {
        (found, None) => Ok(found.cloned()),
        (Some(_), Some(_)) => Err(NotAQuestion::Ambiguous),
        (None, Some(_)) => Ok(None),
    }
}

/// The upstream as the service can enforce it: one that cannot be told to set a header does not confine a request by it.
fn confined(upstream: Arc<Upstream>, can_confine: bool) -> Arc<Upstream> {
    if can_confine || upstream.tenant_header.is_none() {
        return upstream;
    }
    let mut plain = Upstream::clone(&upstream);
    plain.tenant_header = None;
    Arc::new(plain)
}

/// Why there is no answer.
enum Stopped {
    /// Something was restricted meanwhile: decide anew.
    Stale,
    /// Nobody counts that yet: claim it, and decide anew.
    Homeless(Counted),
    /// There will be none.
    Failed(Failed),
}

impl From<Failed> for Stopped {
    fn from(failed: Failed) -> Self {
        Self::Failed(failed)
    }
}

/// What was decided and recorded.
enum Answered {
    Permitted(Box<Evaluated>),
    /// With what people could let pass.
    Refused(Refusal, Option<Box<Exact>>),
}

/// The exact request of a refused question.
struct Exact {
    bound: Bound,
    content: Digest,
}

/// One question, all but the World that it is decided on.
struct Asked<'a> {
    installation: &'a Installation,
    service: &'a Service,
    question: &'a Question<'a>,
    who: &'a Who,
    upstream: &'a Upstream,
    described: &'a Described<'a>,
    now: UnixTime,
}

impl Answered {
    /// A refusal that nobody is asked about.
    const fn plain(refusal: Refusal) -> Self {
        Self::Refused(refusal, None)
    }
}

impl Asked<'_> {
    async fn attempt(&self, world: &World, claimed: bool) -> Result<Answered, Stopped> {
        let Self {
            installation,
            service,
            upstream,
            described,
            now,
            ..
        } = *self;
        let source = installation
            .draw_source(Some(service.org()), now)
            .map_err(|error| unavailable(&error))?;
        let stands = match self.who.stands(world, &upstream.audience, now) {
            Ok(stands) => stands,
            Err(reason) => {
                let asked = Some((described, Some(&upstream.audience)));
                let plan = refuse(world, service, asked, reason, &mut source.draw());
                return settled(installation, plan).await.map(Answered::plain);
            }
        };
        let standing = stands.standing();
        let blocked = |reason| {
            let blocked = Blocked {
                standing,
                audience: &upstream.audience,
                upstream: Some(upstream),
                request: None,
                asked_by: Some(service.name()),
            };
            settled(installation, blocked.plan(world, reason, &mut source.draw()))
        };
        let mapped = match described.route(upstream).map(|route| described.map(route)) {
            Some(Ok(mapped)) => mapped,
            why => {
                if let Some(Err(why)) = why {
                    tracing::debug!(%why, service = %service.name(), "a question is not what its route says");
                }
                return blocked(Reason::ArgumentOutOfRange).await.map(Answered::plain);
            }
        };
        let links = installation
            .contracts
            .in_force(world, stands.live().agents(), now);
        let links = links.map_err(|error| unavailable(&error))?;
        let counted = Counted::of(stands.live().task(), standing.instance, &links);
        match counted.whose(world, service.scope(), installation.log) {
            Whose::Ours => {}
            Whose::Others => return blocked(Reason::CountedElsewhere).await.map(Answered::plain),
            Whose::Nobodys if claimed || !is_claimable(world, &self.claimant(), &counted, now) => {
                return blocked(Reason::StateUnavailable).await.map(Answered::plain);
            }
            Whose::Nobodys => return Err(Stopped::Homeless(counted)),
        }
        let reservation = arguments(&mapped, |arguments| {
            installation.ledger.gather(&Gathering {
                links: &links,
                task: stands.live().task(),
                instance: standing.instance,
                audience: &upstream.audience,
                wants: Wants::Call {
                    action: &mapped.action,
                    arguments,
                    data: mapped.data.as_deref(),
                },
                now,
            })
        });
        let (outcome, exact) = {
            let mut call = Call {
                standing,
                asked_by: Some(service.name()),
                upstream,
                mapped: &mapped,
                method: None,
                path: None,
                caller: self.who.caller(world),
                links: &links,
                gathered: reservation.gathered(),
                found: &Found::Nothing,
            };
            let found = self.found(world, stands.live(), &call);
            call.found = &found;
            let outcome = evaluate(world, stands.live(), &call, &mut source.draw());
            let exact = match &outcome {
                Outcome::Refused(plan) if !plan.proof().needs().is_empty() => {
                    let content = self.question.content();
                    content.map(|content| Exact {
                        bound: bind(stands.live(), &call, content),
                        content,
                    })
                }
                Outcome::Refused(_) | Outcome::Granted(_) => None,
            };
            (outcome, exact)
        };
        match outcome {
            Outcome::Granted(plan) => {
                // Before it is answered: what comes back is in whatever the task does from here on. What rests on an
                // approval is not permitted before that is spent, which its record does.
                let rests = plan.proof().approved().is_some();
                if !rests {
                    installation.ledger.see(plan.proof().seen());
                }
                let evaluated = settled(installation, plan).await?;
                if rests {
                    installation.ledger.see(evaluated.seen());
                }
                reservation.keep();
                Ok(Answered::Permitted(Box::new(evaluated)))
            }
            Outcome::Refused(plan) => {
                installation.ledger.denied(reservation.gathered(), now);
                let refusal = settled(installation, plan).await?;
                Ok(Answered::Refused(refusal, exact.map(Box::new)))
            }
        }
    }

    /// What stands for exactly this question among the approvals of its task. An approval is used where it is named and
    /// nowhere else: services ask about much that nobody does.
    fn found(&self, world: &World, live: &Live, call: &Call<'_>) -> Found {
        let named = match (call.token_approval(), self.question.context.approval) {
            // The token is for one, the question for another: for neither.
            (Some(token), Some(context)) if token != context => {
                return Found::Dead(context, Reason::ApprovalOutOfScope);
            }
            (token, context) => token.or(context),
        };
        let task = live.task();
        if named.is_none() && !world.asked_in(task.id) {
            return Found::Nothing;
        }
        let exact = self
            .question
            .content()
            .and_then(|content| bind(live, call, content).text());
        let Some((_, digest)) = exact else {
            let unknown = |id: ApprovalId| Found::Dead(id, Reason::ApprovalOutOfScope);
            return named.map_or(Found::Nothing, unknown);
        };
        match find(world, self.service.scope(), task.id, &digest, named, self.now) {
            Found::Good(_) if named.is_none() => Found::Nothing,
            found => found,
        }
    }

    /// Whether it is asked with an approval.
    const fn names_approval(&self) -> bool {
        self.question.context.approval.is_some()
    }

    /// Remembers a denial that people could turn, and says where they are asked.
    fn requestable(&self, refusal: &Refusal, exact: Exact) -> Option<(String, UnixTime)> {
        let Exact { bound, content } = exact;
        // Nobody would read it: see `broker::approve::ask`.
        bound.text().filter(|(text, _)| text.len() <= REQUEST_BYTES_MAX)?;
        let expires_at = self.now.plus_secs(REQUESTABLE_SECS);
        let ask = Ask {
            bound,
            needs: refusal.needs().to_vec(),
            refusal: refusal.decision(),
            reasons: refusal.codes(),
            said: None,
        };
        let denial = Denial {
            ask,
            content,
            expires_at,
        };
        self.installation.denials.keep(self.service, denial);
        let endpoint = self.installation.config.issuer.endpoint(REQUESTS_PATH);
        Some((endpoint, expires_at))
    }

    fn claimant(&self) -> Claimant {
        Claimant::server(self.service.org(), self.installation.log)
    }

    /// Makes this server the one that counts what the question is counted on, unless somebody came first.
    async fn claim(&self, counted: &Counted) -> Result<(), Failed> {
        let Self {
            installation,
            service,
            ..
        } = *self;
        let claimed = settle(installation, Some(service.org()), |world, draw| {
            claim(world, &self.claimant(), counted, draw)
        });
        match claimed.await {
            Ok(_) => Ok(()),
            Err(error) => Err(unavailable(&error)),
        }
    }
}

/// Records, and gives what is recorded.
async fn settled<P>(installation: &Installation, plan: Plan<P>) -> Result<P, Stopped> {
    match installation.store.commit(plan).await {
        Ok(recorded) => Ok(recorded.into_parts().0),
        // A conflict is an approval that somebody else used meanwhile: decided anew, it is found used.
        Err(CommitError::Stale { .. } | CommitError::Conflict(_)) => Err(Stopped::Stale),
        Err(error) => Err(unavailable(&error).into()),
    }
}

/// Records a refusal that no attempt is made for.
async fn refused(
    installation: &Installation,
    service: &Service,
    now: UnixTime,
    plan: impl FnOnce(&World, &DrawSource) -> Plan<Refusal>,
) -> Result<Decided, Failed> {
    let world = installation.store.world();
    let source = installation
        .draw_source(Some(service.org()), now)
        .map_err(|error| unavailable(&error))?;
    match settled(installation, plan(&world, &source)).await {
        Ok(refusal) => Ok(Decided::refused(&refusal, Advice::default())),
        Err(Stopped::Stale | Stopped::Homeless(_)) => Err(Failed::Contended),
        Err(Stopped::Failed(failed)) => Err(failed),
    }
}

fn unavailable(error: &dyn std::fmt::Display) -> Failed {
    tracing::error!(%error, "a decision could not be made or recorded");
    Failed::Unavailable
}
