//! What is to be done at a gateway: committed with the decision, done outside any transaction.

use super::GatewayPaymentRef;
use amrutam_kernel::{CorrelationId, GatewayTaskId, PaymentId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum TaskKind {
    /// Open the payment's order.
    OpenOrder,
    /// Give back what is decided of one captured payment.
    Refund {
        /// Which.
        of: GatewayPaymentRef,
    },
    /// See how the payment's order and refunds stand.
    Poll,
}

impl TaskKind {
    /// The word stored and shown.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::OpenOrder => "open_order",
            Self::Refund { .. } => "refund",
            Self::Poll => "poll",
        }
    }
}

/// One thing to do at a gateway. At most one live task (neither done nor dead) has a given key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayTask {
    /// Its id.
    pub id: GatewayTaskId,
    /// For which payment.
    pub payment: PaymentId,
    /// What to do.
    pub kind: TaskKind,
    /// What is made is known by, here and at the gateway.
    pub key: String,
    /// Tries used up. A claim uses one; [`TaskEnd::Wait`] gives it back.
    pub tries: u32,
    /// Claims so far: the fencing token of the one who has it.
    pub claims: u32,
    /// How often the gateway was found to be done with the key. See [`TaskEnd::Renew`].
    pub renewals: u32,
    /// Not before.
    pub due_at: Timestamp,
    /// Since when.
    pub created_at: Timestamp,
    /// The flow it belongs to.
    pub correlation_id: CorrelationId,
}

impl GatewayTask {
    /// The idempotency key under which the gateway is asked: the task's, and of which renewal. What is made is known by the task's
    /// alone.
    pub fn idempotency_key(&self) -> String {
        match self.renewals {
            0 => self.key.clone(),
            renewals => format!("{}~{renewals}", self.key),
        }
    }
}

/// What became of a claimed task. Refused as `Stale` when the task has been claimed again since, or is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskEnd {
    /// It is over.
    Done,
    /// Not over: due again. A poll that found nothing yet; its tries begin anew.
    Again {
        /// When.
        at: Timestamp,
    },
    /// It failed and is tried again; the try is used up.
    Retry {
        /// When.
        at: Timestamp,
        /// What went wrong, without personal data.
        error: String,
    },
    /// What it needs is away: due later, and the try is given back.
    Wait {
        /// When.
        at: Timestamp,
        /// What went wrong, without personal data.
        error: String,
    },
    /// It failed as often as it may in a row, and what failed is the gateway: due after a rest, its tries begun anew.
    Rest {
        /// When.
        at: Timestamp,
        /// What went wrong, without personal data.
        error: String,
    },
    /// The gateway has failed for good under the key it was asked with, whether or not it has done it: due after a rest, its tries
    /// begun anew, its renewals one more.
    Renew {
        /// When.
        at: Timestamp,
        /// What went wrong, without personal data.
        error: String,
    },
    /// It is given up, and kept as a dead letter.
    Dead {
        /// What went wrong, without personal data.
        error: String,
    },
}
