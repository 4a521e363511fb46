//! A review case: opened by an event, resolved by a person, or by two.

use super::{ApprovalLimits, Code, UnknownWord};
use amrutam_kernel::{AccountId, Actor, ConsultationId, CorrelationId, EventId, Money, ReviewCaseId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use uuid::Uuid;

/// Where a case stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReviewState {
    /// Nobody has decided.
    Open,
    /// Somebody has, and another one must agree.
    AwaitingApproval,
    /// Decided; what is to be done is announced.
    Resolved,
}

/// What happens to a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReviewAct {
    /// A choice that needs a second person.
    Propose,
    /// A choice that stands.
    Resolve,
}

impl ReviewState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Open, Self::AwaitingApproval, Self::Resolved];

    /// The word in tables and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::AwaitingApproval => "awaiting_approval",
            Self::Resolved => "resolved",
        }
    }

    /// The one transition function; nothing when there is no such arrow.
    pub const fn after(self, act: ReviewAct) -> Option<Self> {
        match (self, act) {
            (Self::Open | Self::AwaitingApproval, ReviewAct::Propose) => Some(Self::AwaitingApproval),
            (Self::Open | Self::AwaitingApproval, ReviewAct::Resolve) => Some(Self::Resolved),
            (Self::Resolved, _) => None,
        }
    }
}

impl fmt::Display for ReviewState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ReviewState {
    type Err = UnknownWord;
    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        Self::ALL.into_iter().find(|state| state.as_str() == word).ok_or(UnknownWord("state of a review case"))
    }
}

/// What a case is about, in its own domain's words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// `payment`, `consultation`.
    pub kind: Code,
    /// Which.
    pub id: Uuid,
}

/// One way to resolve a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// Its domain's word for it.
    pub word: Code,
    /// How much it moves, if it moves money.
    pub moves: Option<Money>,
}

/// Who decided: `admin:<id>`, or `system:<name>` for the operator's command line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Decider(String);

impl From<&Actor> for Decider {
    fn from(actor: &Actor) -> Self {
        Self(actor.to_string())
    }
}

impl Decider {
    /// As it was stored.
    pub const fn stored(text: String) -> Self {
        Self(text)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is somebody whom we know by name, and can so tell from another. The command line's word for who uses it is
    /// not proven, and whoever it is may have an account as well.
    pub fn is_known(&self) -> bool {
        !self.0.starts_with("system:")
    }

    /// The role alone of a person.
    pub fn role(&self) -> &str {
        match self.0.split_once(':') {
            Some((role, _)) if role != "system" => role,
            _ => &self.0,
        }
    }
}

/// What somebody noted, sealed as of a version of the case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedNote {
    /// The sealed text.
    pub sealed: Vec<u8>,
    /// The case's version that it was sealed for.
    pub version: i64,
}

/// That a second person agreed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// Who.
    pub by: Decider,
    /// When.
    pub at: Timestamp,
    /// What they noted.
    pub note: Option<SealedNote>,
}

/// What was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// One of the case's choices.
    pub choice: Code,
    /// How much it moves.
    pub moves: Option<Money>,
    /// Who chose it.
    pub decided_by: Decider,
    /// When.
    pub decided_at: Timestamp,
    /// What they noted.
    pub note: Option<SealedNote>,
    /// Who agreed, where two were needed.
    pub approval: Option<Approval>,
}

/// Why a case does not take a choice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReviewRefusal {
    /// It is decided already.
    #[error("the case is resolved")]
    Resolved,
    /// It is not one of the choices.
    #[error("the choice is not offered")]
    NotOffered {
        /// Those there are.
        offered: Vec<Code>,
    },
    /// Whoever proposed it can't be the second person.
    #[error("another person must approve")]
    OwnApproval,
}

/// Something that needs a person's decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviewCase {
    /// Its id.
    pub id: ReviewCaseId,
    /// The domain that asks: `payment`.
    pub kind: Code,
    /// What it is about.
    pub subject: Subject,
    /// Whose, when it is a person's.
    pub patient: Option<AccountId>,
    /// The visit it belongs to, when there is one.
    pub consultation: Option<ConsultationId>,
    /// Why the domain can't go on.
    pub reason: Code,
    /// How much it is about.
    pub amount: Option<Money>,
    /// What can be done.
    pub choices: Vec<Choice>,
    /// What the domain has tried.
    pub tried: Vec<Code>,
    /// When; lists are in this order.
    pub opened_at: Timestamp,
    /// The event that told of it.
    pub opened_by_event: EventId,
    /// How often what asks had changed then: a later question of it about the same takes this one's place, and an earlier word
    /// about it is old news. 0 for a case of before this was kept.
    pub asked_version: i64,
    /// The flow it belongs to.
    pub correlation_id: CorrelationId,
    /// Where it stands.
    pub state: ReviewState,
    /// What was chosen; nothing exactly while it is open.
    pub decision: Option<Decision>,
    /// When it changed last.
    pub updated_at: Timestamp,
    /// Rises by one per change, from 1.
    pub version: i64,
}

impl ReviewCase {
    /// The case after `by` has chosen. A choice that moves more than one person may needs a second one who chooses the same;
    /// any other choice takes the place of what was proposed, and so does the same one of what the command line proposed: nobody
    /// can tell that it was another person's. Notes are not yet part of it.
    pub fn decided(
        &self,
        choice: &str,
        by: Decider,
        limits: &ApprovalLimits,
        now: Timestamp,
    ) -> Result<Self, ReviewRefusal> {
        if self.state == ReviewState::Resolved {
            return Err(ReviewRefusal::Resolved);
        }
        let Some(chosen) = self.choices.iter().find(|offered| offered.word.as_str() == choice) else {
            return Err(ReviewRefusal::NotOffered { offered: self.choices.iter().map(|c| c.word.clone()).collect() });
        };
        let same = |decision: &&Decision| decision.choice == chosen.word && decision.decided_by.is_known();
        let proposed = self.decision.as_ref().filter(same);
        let first = Decision {
            choice: chosen.word.clone(),
            moves: chosen.moves,
            decided_by: by.clone(),
            decided_at: now,
            note: None,
            approval: None,
        };
        let (act, decision) = match proposed {
            _ if !limits.asks_two(chosen.moves) => (ReviewAct::Resolve, first),
            None => (ReviewAct::Propose, first),
            Some(proposed) if proposed.decided_by == by => return Err(ReviewRefusal::OwnApproval),
            Some(proposed) => {
                let approval = Some(Approval { by, at: now, note: None });
                (ReviewAct::Resolve, Decision { approval, ..proposed.clone() })
            }
        };
        let state = self.state.after(act).ok_or(ReviewRefusal::Resolved)?;
        let version = self.version.saturating_add(1);
        Ok(Self { state, decision: Some(decision), updated_at: now, version, ..self.clone() })
    }

    /// The case after what it waited for came about by itself; nothing when it is resolved.
    pub fn moot(&self, by: Decider, now: Timestamp) -> Option<Self> {
        let state = self.state.after(ReviewAct::Resolve)?;
        let choice = Code::moot();
        let decision = Decision { choice, moves: None, decided_by: by, decided_at: now, note: None, approval: None };
        let version = self.version.saturating_add(1);
        Some(Self { state, decision: Some(decision), updated_at: now, version, ..self.clone() })
    }

    /// Whether it was resolved by a second person's agreement.
    pub fn is_approved(&self) -> bool {
        self.decision.as_ref().is_some_and(|decision| decision.approval.is_some())
    }

    /// With what whoever acted last noted.
    #[must_use]
    pub fn noted(mut self, sealed: Vec<u8>) -> Self {
        let note = Some(SealedNote { sealed, version: self.version });
        if let Some(decision) = &mut self.decision {
            match &mut decision.approval {
                Some(approval) => approval.note = note,
                None => decision.note = note,
            }
        }
        self
    }
}
