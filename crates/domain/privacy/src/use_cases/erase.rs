//! A person asks for an end of what is kept of them.

use super::{
    EraseDeps,
    shared::{ROUNDS, Told, alone, decide_own, event_id},
};
use crate::{
    EraseError, events,
    model::{Erasure, decide_erasure, upcoming},
    ports::ErasureChanges,
};
use amrutam_kernel::{Action, CommitError, Context, Denial, Dependency, Effects, Outcome, PortError, Sensitive};

/// Erases one's own account. Visits ahead are called off first, each by itself: when that is cut short, asking again goes on. Then
/// everything else, at once; what the answer says is kept is locked from then on. What no law keeps is destroyed within seconds, by
/// whoever handles `erasure.accepted.v1`.
pub async fn erase(
    deps: EraseDeps<'_>,
    context: &Context,
    password: &Sensitive<String>,
) -> Result<Erasure, EraseError> {
    let EraseDeps { core, .. } = deps;
    let action = Action::AccountErase;
    let told = || Told {
        name: action.as_str(),
        kind: "account",
        id: context.actor.account().map(|id| id.to_string()).unwrap_or_default(),
        about: context.actor.account(),
        context,
    };
    let refused = async |outcome| {
        let now = core.clock.now();
        core.store.put_on_record(&alone(told().entry(core.ids, outcome, now))).await
    };
    let account = match decide_own(core.policy, context, action, core.clock.now()) {
        Ok(account) => account,
        Err(denial) => {
            refused(Outcome::Denied).await?;
            return Err(denial.into());
        }
    };
    if !deps.passwords.is_right(account, password).await? {
        refused(Outcome::Denied).await?;
        return Err(EraseError::WrongPassword);
    }
    let mut cancelled = 0;
    for _ in 0..ROUNDS {
        let now = core.clock.now();
        let facts = core.store.facts(account).await?.ok_or(Denial::Hidden)?;
        let ahead = match upcoming(&facts, now) {
            Ok(ahead) => ahead,
            Err(under_way) => {
                refused(Outcome::Failed).await?;
                return Err(under_way.into());
            }
        };
        if !ahead.is_empty() {
            for visit in ahead {
                cancelled += u32::from(deps.visits.call_off(context, visit).await?);
            }
            continue;
        }
        let erasure = decide_erasure(deps.rules, deps.zone, &facts, cancelled, now);
        let event = events::erasure_event(events::ERASURE_ACCEPTED, event_id(core.ids, now), &erasure, context, now);
        let entry = told().entry(core.ids, Outcome::Allowed, now).decided_by(erasure.rules.clone());
        let changes = ErasureChanges {
            erasure,
            account_version: facts.account_version,
            calendar_version: facts.calendar_version,
            effects: Effects { events: vec![event], audit: vec![entry], ..Effects::default() },
        };
        match core.store.erase(&changes).await {
            Ok(ended) => {
                deps.sessions.ended(&ended).await;
                return Ok(changes.erasure);
            }
            Err(CommitError::Stale | CommitError::Busy) => {}
            Err(CommitError::Port(error)) => return Err(error.into()),
            Err(error @ (CommitError::AlreadyAnswered | CommitError::AlreadyHandled)) => {
                return Err(PortError::defect(Dependency::Database, error).into());
            }
        }
    }
    Err(PortError::unavailable(Dependency::Database, "too many changes of one account at once").into())
}
