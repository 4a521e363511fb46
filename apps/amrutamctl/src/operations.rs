//! Dead letters and review cases, by the same use cases as the API. Whatever is done here is audited as done by the system, in
//! the name of the operator who gives one.

use crate::{accounts::operator, settings::Settings};
use amrutam_crypto::{EnvelopeSealer, SystemClock, SystemIds, TokioPause};
use amrutam_identity::PolicyTable;
use amrutam_kernel::{Actor, Context, DeadLetterId, Limit, PageRequest, ReviewCaseId, Sensitive};
use amrutam_operations::{
    LetterError, ReviewError,
    model::{ApprovalLimits, DeadLetter, DiscardReason, LetterState, Payload, ReviewCase, ReviewState},
    ports::{LetterFilter, ReviewFilter},
    use_cases::{self, Deps, Resolve},
};
use amrutam_postgres::Postgres;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::{
    error::Error,
    io::{Read, Write},
    sync::Arc,
};

/// `dead-letters`.
#[derive(Subcommand)]
pub(crate) enum DeadLetters {
    /// One line of JSON each, oldest first.
    List {
        /// dead, requeued, settled or discarded; `all` for every one.
        #[arg(long, default_value = "dead")]
        state: String,
        /// Of this consumer only.
        #[arg(long)]
        consumer: Option<String>,
    },
    /// One, with what it says.
    Show {
        /// Which one.
        id: String,
        /// Write the body of a message that could not be read to standard output, as it was sent.
        #[arg(long)]
        body: bool,
        #[command(flatten)]
        by: By,
    },
    /// Begin it afresh.
    Requeue {
        /// Which one.
        id: String,
        #[command(flatten)]
        by: By,
    },
    /// Say why it need not be handled any more.
    Discard {
        /// Which one.
        id: String,
        /// obsolete, handled_by_hand, duplicate, unreadable or made_in_error.
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        by: By,
    },
}

/// `reviews`.
#[derive(Subcommand)]
pub(crate) enum Reviews {
    /// One line of JSON each, oldest first.
    List {
        /// open, awaiting_approval or resolved; `all` for every one.
        #[arg(long, default_value = "open")]
        state: String,
        /// Of this domain only: payment.
        #[arg(long)]
        kind: Option<String>,
    },
    /// One, with what happened to its visit and its payment.
    Show {
        /// Which one.
        id: String,
        #[command(flatten)]
        by: By,
    },
    /// Choose what is to be done. A choice that needs two people becomes a proposal, which counts as neither
    /// person's: one admin proposes it anew, another one approves it.
    Resolve {
        /// Which one.
        id: String,
        /// One of the case's choices.
        #[arg(long)]
        choice: String,
        /// Read a note from standard input.
        #[arg(long)]
        note: bool,
        #[command(flatten)]
        by: By,
    },
}

/// Who sits at the command line.
#[derive(Args)]
pub(crate) struct By {
    /// Your name in the audit trail: a-z, 0-9, '.', '-' or '_', at most 32.
    #[arg(long, value_parser = operator_name)]
    operator: Option<String>,
}

fn operator_name(text: &str) -> Result<String, String> {
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_');
    if (1..=32).contains(&text.len()) && text.bytes().all(word) {
        Ok(text.to_owned())
    } else {
        Err("1 to 32 of a-z, 0-9, '.', '-' and '_'".to_owned())
    }
}

impl By {
    fn context(&self) -> Context {
        let context = operator(&SystemIds, &SystemClock);
        match &self.operator {
            // An actor's name lives as long as the process; this one does one thing, and ends.
            Some(name) => Context { actor: Actor::System(format!("amrutamctl/{name}").leak()), ..context },
            None => context,
        }
    }
}

struct Desk {
    postgres: Postgres,
    sealer: Arc<EnvelopeSealer>,
    limits: ApprovalLimits,
}

impl Desk {
    fn open(settings: &Settings) -> Result<Self, Box<dyn Error>> {
        let postgres = Postgres::connect(&settings.database.pool())?;
        Ok(Self {
            sealer: settings.sealer(&postgres, &settings.tokens.load()?)?,
            postgres,
            limits: ApprovalLimits::new(settings.business.approval_above.per_currency()),
        })
    }

    fn deps(&self) -> Deps<'_> {
        Deps {
            letters: &self.postgres,
            reviews: &self.postgres,
            history: &self.postgres,
            sealer: &*self.sealer,
            policy: &PolicyTable,
            clock: &SystemClock,
            ids: &SystemIds,
            pause: &TokioPause,
            limits: &self.limits,
        }
    }
}

fn every(state: &str) -> Option<&str> {
    Some(state).filter(|state| *state != "all")
}

pub(crate) async fn dead_letters(settings: &Settings, command: DeadLetters) -> Result<(), Box<dyn Error>> {
    let desk = Desk::open(settings)?;
    match command {
        DeadLetters::List { state, consumer } => {
            let state = every(&state).map(str::parse::<LetterState>).transpose()?;
            let filter = LetterFilter { state, consumer, source: None };
            let (context, mut after) = (operator(&SystemIds, &SystemClock), None);
            loop {
                let request = PageRequest { limit: most(), after };
                let page = use_cases::list_letters(desk.deps(), &context, &filter, request).await?;
                page.items.iter().for_each(|letter| println!("{}", letter_json(letter, false)));
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        DeadLetters::Show { id, body: true, by } => {
            let body = use_cases::open_payload(desk.deps(), &by.context(), id.parse::<DeadLetterId>()?).await?;
            let body = body.ok_or("it could be read: show it without --body")?;
            std::io::stdout().write_all(body.expose())?;
        }
        DeadLetters::Show { id, body: false, by } => {
            let seen = use_cases::read_letter(desk.deps(), &by.context(), id.parse()?).await?;
            println!("{:#}", letter_json(&seen.letter, seen.shows_payload));
        }
        DeadLetters::Requeue { id, by } => {
            let (letter, _) = use_cases::requeue(desk.deps(), &by.context(), id.parse()?, None).await.map_err(told)?;
            println!("{}", letter_json(&letter, false));
        }
        DeadLetters::Discard { id, reason, by } => {
            let reason: DiscardReason = reason.parse()?;
            let discarded = use_cases::discard(desk.deps(), &by.context(), id.parse()?, reason, None).await;
            println!("{}", letter_json(&discarded.map_err(told)?.0, false));
        }
    }
    Ok(())
}

/// As it stands, and not as its causes.
fn told(error: LetterError) -> Box<dyn Error> {
    error.into()
}

pub(crate) async fn reviews(settings: &Settings, command: Reviews) -> Result<(), Box<dyn Error>> {
    let desk = Desk::open(settings)?;
    match command {
        Reviews::List { state, kind } => {
            let state = every(&state).map(str::parse::<ReviewState>).transpose()?;
            let filter = ReviewFilter { state, kind: kind.map(|kind| kind.parse()).transpose()? };
            let (context, mut after) = (operator(&SystemIds, &SystemClock), None);
            loop {
                let request = PageRequest { limit: most(), after };
                let (page, _) = use_cases::list_reviews(desk.deps(), &context, &filter, request).await?;
                page.items.iter().for_each(|case| println!("{}", case_json(case, &desk.limits)));
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        Reviews::Show { id, by } => {
            let seen = use_cases::read_review(desk.deps(), &by.context(), id.parse()?).await?;
            let mut shown = case_json(&seen.case, &desk.limits);
            if let Some(shown) = shown.as_object_mut() {
                let timeline = seen.history.iter().map(|entry| {
                    json!({
                        "about": entry.about.as_str(), "version": entry.version, "at": entry.at, "kind": entry.kind,
                        "from": entry.from, "to": entry.to, "amount": entry.amount, "evidence": entry.evidence,
                        "actor": entry.actor, "cause": entry.cause, "event_id": entry.event,
                    })
                });
                let attempts = seen.attempts.iter().map(|made| {
                    json!({
                        "task": made.task, "state": made.state, "begun": made.begun, "last_error": made.last_error,
                        "due_at": made.due_at, "ended_at": made.ended_at,
                    })
                });
                shown.insert("timeline".to_owned(), timeline.collect());
                shown.insert("attempts".to_owned(), attempts.collect());
                shown.insert("note".to_owned(), seen.note.map(Sensitive::into_exposed).into());
                shown.insert("approval_note".to_owned(), seen.approval_note.map(Sensitive::into_exposed).into());
            }
            println!("{shown:#}");
        }
        Reviews::Resolve { id, choice, note, by } => {
            let note = if note { Some(read_note()?) } else { None };
            let command = Resolve { id: id.parse::<ReviewCaseId>()?, choice, note, idempotency: None };
            let resolved: Result<_, ReviewError> = use_cases::resolve(desk.deps(), &by.context(), command).await;
            println!("{}", case_json(&resolved?.0, &desk.limits));
        }
    }
    Ok(())
}

fn read_note() -> Result<Sensitive<String>, Box<dyn Error>> {
    let mut note = String::new();
    std::io::stdin().take(4_096).read_to_string(&mut note)?;
    Ok(Sensitive::new(note.trim().to_owned()))
}

/// The most that a page holds.
fn most() -> Limit {
    Limit::new(Limit::MAX).unwrap_or_default()
}

fn letter_json(letter: &DeadLetter, shows_payload: bool) -> Value {
    let mut shown = json!({
        "id": letter.id, "state": letter.state.as_str(), "source": letter.source, "consumer": letter.consumer,
        "subject_id": letter.subject, "kind": letter.kind, "error": letter.error, "attempts": letter.attempts,
        "deaths": letter.deaths, "requeues": letter.requeues, "correlation_id": letter.correlation_id,
        "discard_reason": letter.discard_reason.map(DiscardReason::as_str),
        "first_failed_at": letter.first_failed_at, "opened_at": letter.opened_at, "died_at": letter.died_at,
    });
    if let (Some(shown), true) = (shown.as_object_mut(), shows_payload) {
        let payload = match &letter.payload {
            Payload::Event(event) => json!(event),
            Payload::Task(about) => about.clone(),
            Payload::Sealed(_) => Value::Null,
        };
        shown.insert("payload".to_owned(), payload);
        shown.insert("headers".to_owned(), json!(letter.headers));
    }
    shown
}

fn case_json(case: &ReviewCase, limits: &ApprovalLimits) -> Value {
    let choices = case.choices.iter().map(|choice| {
        let needs_approval = limits.asks_two(choice.moves);
        json!({ "choice": choice.word, "amount": choice.moves, "needs_approval": needs_approval })
    });
    let decision = case.decision.as_ref().map(|decision| {
        let approval = decision.approval.as_ref();
        json!({
            "choice": decision.choice, "amount": decision.moves, "decided_by": decision.decided_by,
            "decided_at": decision.decided_at, "approved_by": approval.map(|approval| &approval.by),
            "approved_at": approval.map(|approval| approval.at),
        })
    });
    json!({
        "id": case.id, "state": case.state.as_str(), "kind": case.kind, "subject": case.subject,
        "consultation_id": case.consultation, "reason": case.reason, "amount": case.amount,
        "choices": choices.collect::<Value>(), "tried": case.tried, "resolution": decision,
        "opened_at": case.opened_at, "opened_by_event": case.opened_by_event, "correlation_id": case.correlation_id,
    })
}
