//! A person asks for an end of what is kept of them.

use super::{
    EraseDeps, ErasureDeps,
    shared::{ROUNDS, Told, alone, decide_own, event_id},
};
use crate::{
    EraseAgainError, EraseError, events,
    model::{Erasure, Facts, RetentionRules, decide_erasure, upcoming},
    ports::ErasureChanges,
};
use amrutam_kernel::{
    AccountId, Action, CommitError, Context, Denial, Dependency, Effects, Outcome, PortError, Relation, Sensitive,
    SessionId,
};
use jiff::{Timestamp, tz::TimeZone};

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
        if let Some((erasure, ended)) = commit(core, (deps.rules, deps.zone), context, &facts, cancelled, now).await? {
            deps.sessions.ended(&ended).await;
            return Ok(erasure);
        }
    }
    Err(PortError::unavailable(Dependency::Database, "too many changes of one account at once").into())
}

/// Erases an account at an operator's word, as its owner has before: after a backup was restored that is older. Also one that is
/// deactivated. Visits ahead are called off first, where that is done: nothing is given back here.
pub async fn erase_again(
    core: ErasureDeps<'_>,
    rules: &RetentionRules,
    zone: &TimeZone,
    context: &Context,
    account: AccountId,
) -> Result<Erasure, EraseAgainError> {
    let action = Action::AccountErase;
    let refused = async |outcome| {
        let now = core.clock.now();
        core.store.put_on_record(&alone(told(context, account).entry(core.ids, outcome, now))).await
    };
    if let Err(denial) = core.policy.decide(context, action, Relation::None, core.clock.now()) {
        refused(Outcome::Denied).await?;
        return Err(denial.into());
    }
    for _ in 0..ROUNDS {
        let now = core.clock.now();
        let refusal = match core.store.facts(account).await? {
            None => EraseAgainError::Unknown,
            Some(facts) => match upcoming(&facts, now) {
                Err(under_way) => under_way.into(),
                Ok(ahead) if !ahead.is_empty() => EraseAgainError::VisitsAhead(ahead.len()),
                Ok(_) => match commit(core, (rules, zone), context, &facts, 0, now).await? {
                    Some((erasure, _)) => return Ok(erasure),
                    None => continue,
                },
            },
        };
        refused(Outcome::Failed).await?;
        return Err(refusal);
    }
    Err(PortError::unavailable(Dependency::Database, "too many changes of one account at once").into())
}

fn told(context: &Context, account: AccountId) -> Told<'_> {
    let (kind, id) = ("account", account.to_string());
    Told { name: Action::AccountErase.as_str(), kind, id, about: Some(account), context }
}

/// What was decided, with the sessions that ended; none when something has changed meanwhile.
async fn commit(
    core: ErasureDeps<'_>,
    (rules, zone): (&RetentionRules, &TimeZone),
    context: &Context,
    facts: &Facts,
    cancelled: u32,
    now: Timestamp,
) -> Result<Option<(Erasure, Vec<SessionId>)>, PortError> {
    let erasure = decide_erasure(rules, zone, facts, cancelled, now);
    let event = events::erasure_event(events::ERASURE_ACCEPTED, event_id(core.ids, now), &erasure, context, now);
    let entry = told(context, facts.account).entry(core.ids, Outcome::Allowed, now).decided_by(erasure.rules.clone());
    let changes = ErasureChanges {
        erasure,
        account_version: facts.account_version,
        calendar_version: facts.calendar_version,
        effects: Effects { events: vec![event], audit: vec![entry], ..Effects::default() },
    };
    match core.store.erase(&changes).await {
        Ok(ended) => Ok(Some((changes.erasure, ended))),
        Err(CommitError::Stale | CommitError::Busy) => Ok(None),
        Err(CommitError::Port(error)) => Err(error),
        Err(error @ (CommitError::AlreadyAnswered | CommitError::AlreadyHandled)) => {
            Err(PortError::defect(Dependency::Database, error))
        }
    }
}
