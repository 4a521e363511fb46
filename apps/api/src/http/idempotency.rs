//! `Idempotency-Key`: the same request, sent again, has one effect and one answer.
//!
//! The answer to what was done is committed with it by the use case. A refusal that is final for the request is kept here,
//! in a transaction of its own: without that, a retry could be told something else than the first request was.

use super::{RequestInfo, answer::stored};
use crate::{
    problem::{Code, Problem},
    services::Services,
};
use actix_web::{HttpRequest, HttpResponse, http::header::HeaderMap};
use amrutam_booking::ports::Changes;
use amrutam_kernel::{
    AccountId, CommitError, Context, Effects, Fingerprint, IdempotencyClaim, IdempotencyKey, Recorded, SlotId,
    StoredAnswer,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

const HEADER: &str = "idempotency-key";

/// How a request with a key ended.
#[derive(Debug)]
pub(crate) enum Attempt {
    /// Done; the answer is committed with it, when there is a key.
    Done(StoredAnswer),
    /// Answered before.
    Replayed(StoredAnswer),
    /// Answered before; the answer is still to be read.
    Answered,
    /// Refused or failed.
    Refused(Problem),
}

/// The key, if one was sent.
pub(crate) fn key_of(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Problem> {
    let mut sent = headers.get_all(HEADER);
    match (sent.next(), sent.next()) {
        (None, _) => Ok(None),
        (Some(key), None) => key
            .to_str()
            .ok()
            .and_then(|text| text.parse().ok())
            .map(Some)
            .ok_or_else(|| Code::InvalidIdempotencyKey.into()),
        (Some(_), Some(_)) => Err(Code::InvalidIdempotencyKey.into()),
    }
}

/// The caller's claim, if a key was sent.
///
/// Of the body, what is stored knows a keyed digest alone: it may hold a password, and without the key nobody can try guesses
/// against it.
fn claim_of(
    services: &Services,
    request: &HttpRequest,
    context: &Context,
    body: &[u8],
) -> Result<Option<IdempotencyClaim>, Problem> {
    let Some(key) = key_of(request.headers())? else { return Ok(None) };
    let caller = context.actor.account().ok_or(Code::Unauthenticated)?;
    let body = services.quotas.digests.digest("request.body", &URL_SAFE_NO_PAD.encode(Sha256::digest(body)));
    let fingerprint = Fingerprint::of(request.method().as_str(), request.path(), &body);
    Ok(Some(IdempotencyClaim { caller, key, fingerprint }))
}

type Running = HashMap<(AccountId, IdempotencyKey), Fingerprint>;

/// The claims this process is at work on. Those of other processes are met in the database.
#[derive(Debug, Clone, Default)]
pub(crate) struct InFlight(Arc<Mutex<Running>>);

/// Ends a claim's work when dropped, also when the caller has gone.
#[derive(Debug)]
pub(crate) struct Started {
    running: InFlight,
    name: Option<(AccountId, IdempotencyKey)>,
}

impl InFlight {
    /// Begins, unless the same key is at work.
    pub(crate) fn begin(&self, claim: Option<&IdempotencyClaim>) -> Result<Started, Problem> {
        let Some(claim) = claim else { return Ok(Started { running: self.clone(), name: None }) };
        let name = (claim.caller, claim.key.clone());
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match running.get(&name) {
            Some(same) if *same == claim.fingerprint => return Err(Code::IdempotencyInProgress.into()),
            Some(_) => return Err(Code::IdempotencyKeyReused.into()),
            None => running.insert(name.clone(), claim.fingerprint),
        };
        Ok(Started { running: self.clone(), name: Some(name) })
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            self.running.0.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        }
    }
}

/// Does `work` under the key, if one was sent: one at a time, with an answer that is kept.
pub(crate) async fn once(
    services: &Services,
    request: &HttpRequest,
    context: &Context,
    body: &[u8],
    work: impl AsyncFnOnce(Option<&IdempotencyClaim>) -> Attempt,
) -> Result<HttpResponse, Problem> {
    let claim = claim_of(services, request, context, body)?;
    let _at_work = services.in_flight.begin(claim.as_ref())?;
    let attempt = work(claim.as_ref()).await;
    conclude(services, RequestInfo::of(request).as_deref(), claim.as_ref(), attempt).await
}

/// Answers, and keeps a refusal that is final for the claim.
async fn conclude(
    services: &Services,
    info: Option<&RequestInfo>,
    claim: Option<&IdempotencyClaim>,
    attempt: Attempt,
) -> Result<HttpResponse, Problem> {
    match (attempt, claim, info) {
        (Attempt::Done(answer), _, _) => Ok(stored(answer, false)),
        (Attempt::Replayed(answer), _, _) => Ok(stored(answer, true)),
        (Attempt::Answered, Some(claim), _) => recall(services, claim).await,
        (Attempt::Answered, None, _) => Err(Problem::internal("answered before, yet without a key")),
        (Attempt::Refused(problem), Some(claim), Some(info)) if is_final(problem.code()) => {
            keep(services, claim, info.keep(&problem)).await
        }
        (Attempt::Refused(problem), _, _) => Err(problem),
    }
}

/// Whether the same request must be told the same for as long as the key lives. Not what depends on who asks or on what is
/// away, and not what is said about the key itself.
fn is_final(code: Code) -> bool {
    matches!(code.number(), 409 | 422) && !matches!(code, Code::IdempotencyInProgress | Code::IdempotencyKeyReused)
}

async fn keep(services: &Services, claim: &IdempotencyClaim, answer: StoredAnswer) -> Result<HttpResponse, Problem> {
    let effects = Effects { answer: Some((claim.clone(), answer.clone())), ..Effects::default() };
    let changes = Changes { effects, ..Changes::default() };
    match services.consultations.commit(&changes).await {
        Ok(()) => Ok(stored(answer, false)),
        Err(CommitError::Port(error)) => Err(error.into()),
        Err(CommitError::AlreadyAnswered | CommitError::Stale | CommitError::Busy | CommitError::AlreadyHandled) => {
            recall(services, claim).await
        }
    }
}

/// Another process has answered the claim meanwhile: its answer is the answer.
async fn recall(services: &Services, claim: &IdempotencyClaim) -> Result<HttpResponse, Problem> {
    // The claim is read along with a slot; no slot has this id.
    let nothing = SlotId::from_uuid(uuid::Uuid::nil());
    let snapshot = services.consultations.booking_snapshot(nothing, claim.caller, None, Some(claim)).await?;
    match snapshot.recorded {
        Some(Recorded::Same(answer)) => Ok(stored(answer, true)),
        Some(Recorded::Other) => Err(Code::IdempotencyKeyReused.into()),
        None => Err(Code::IdempotencyInProgress.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(body: &[u8]) -> IdempotencyClaim {
        IdempotencyClaim {
            caller: AccountId::from_uuid(uuid::Uuid::nil()),
            key: "k".parse().unwrap(),
            fingerprint: Fingerprint::of("POST", "/v1/consultations", body),
        }
    }

    #[test]
    fn a_key_is_at_work_once_until_dropped() {
        let running = InFlight::default();
        let first = running.begin(Some(&claim(b"a"))).unwrap();
        assert_eq!(running.begin(Some(&claim(b"a"))).unwrap_err().code(), Code::IdempotencyInProgress);
        assert_eq!(running.begin(Some(&claim(b"b"))).unwrap_err().code(), Code::IdempotencyKeyReused);
        drop(first);
        assert!(running.begin(Some(&claim(b"b"))).is_ok());
        assert!(running.begin(None).is_ok() && running.begin(None).is_ok());
    }

    #[test]
    fn only_final_refusals_are_kept() {
        let kept: Vec<_> = Code::ALL.iter().filter(|code| is_final(**code)).map(|code| code.as_str()).collect();
        assert!(
            kept.contains(&"slot_unavailable")
                && kept.contains(&"slot_in_past")
                && kept.contains(&"invalid_transition")
        );
        for not in [
            "idempotency_in_progress",
            "idempotency_key_reused",
            "forbidden",
            "not_found",
            "contended",
            "internal_error",
        ] {
            assert!(!kept.contains(&not), "{not}");
        }
    }
}
