//! Which decision somebody asks about: by its own id, by an entry's place, or by the task or run it was made in.

use super::Plane;
use super::entries::{Recorded, at, newest, sees};
use super::refused::Refused;
use audit::EventKind;
use identity::{DecisionId, EntryRef, OrgScope, RunId, TaskId};
use std::sync::Arc;
use store::Query;

/// Entries of a task, or launches, looked through.
const ENTRIES: usize = 500;
/// What can be asked about, for who asked about something else.
const FORMS: &str = "Give a decision (dec_…), an entry (log:index, as in 0:136), a task (task_…) or a run (run_…). \
                     `tabard audit query` lists entries with all of them.";

/// The entry of the decision that `id` names. A task or a run stands for its newest refusal, and where nothing was
/// refused for its newest decision.
pub(super) async fn named(plane: &Arc<Plane>, scope: OrgScope, id: &str) -> Result<Recorded, Refused> {
    match id.split_once('_').map(|(kind, _)| kind) {
        Some("dec") => {
            let wanted: DecisionId = whole(id)?;
            let mut query = Query::of(scope);
            query.decision = Some(wanted);
            query.limit = 1;
            let found = newest(plane, query).await?;
            found
                .into_iter()
                .next()
                .ok_or_else(|| Refused::not_found("decision", id))
        }
        Some("task") => of_task(plane, scope, whole(id)?, id).await,
        Some("run") => {
            let run: RunId = whole(id)?;
            let mut query = Query::of(scope);
            query.kind = Some(EventKind::RunOpened);
            query.limit = ENTRIES;
            let opened = newest(plane, query).await?.into_iter().find(|it| {
                let who = it.parsed.event.who.as_ref();
                who.and_then(|who| who.run) == Some(run)
            });
            let opened = opened.ok_or_else(|| Refused::not_found("run among the newest 500", id))?;
            let task = opened.parsed.event.why.and_then(|why| why.task);
            let task = task.ok_or_else(|| Refused::not_found("task of the run", id))?;
            of_task(plane, scope, task, id).await
        }
        Some(_) | None => {
            let place: EntryRef = id
                .parse()
                .map_err(|_| Refused::bad_request(format!("{id:?} names no decision."), FORMS))?;
            let entry = at(plane, place).await.filter(|it| sees(scope, it));
            let entry = entry.ok_or_else(|| Refused::not_found("entry", id))?;
            if entry.parsed.event.decision.is_none() {
                let what = format!("Entry {id} ({}) records no decision.", entry.parsed.event.kind);
                return Err(Refused::bad_request(what, FORMS));
            }
            Ok(entry)
        }
    }
}

fn whole<T>(id: &str) -> Result<T, Refused>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    id.parse().map_err(|error| {
        let what = format!("{id:?}: {error}.");
        Refused::bad_request(what, "Copy the whole id, with its prefix.")
    })
}

async fn of_task(
    plane: &Arc<Plane>,
    scope: OrgScope,
    task: TaskId,
    asked: &str,
) -> Result<Recorded, Refused> {
    let mut query = Query::of(scope);
    query.task = Some(task);
    query.limit = ENTRIES;
    let mut decided = newest(plane, query).await?;
    decided.retain(|it| it.parsed.event.decision.is_some());
    let refused = decided.iter().position(Recorded::is_refusal);
    let chosen = refused.unwrap_or(0);
    decided
        .into_iter()
        .nth(chosen)
        .ok_or_else(|| Refused::not_found("decision in", asked))
}
