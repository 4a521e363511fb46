//! What is kept for a time only.

use crate::pool::{Postgres, bounded};
use amrutam_kernel::PortError;
use diesel_async::RunQueryDsl;

/// A table's rows that are over, and how long they are kept.
struct Passing {
    table: &'static str,
    over: &'static str,
}

/// Answers live 24 hours (contract). Inbox marks and counts outlive any message in the broker, the dead letters excepted.
/// Messages that were sent or skipped are kept for questions, and far longer than the event they follow from could come
/// again; those given up stay as long as their dead letter does. Dead letters that were settled or discarded
/// are kept as long. A link is told to be over, not unknown, for 30 days.
const PASSING: [Passing; 12] = [
    Passing { table: "idempotency_keys", over: "created_at < now() - interval '24 hours'" },
    Passing { table: "inbox", over: "handled_at < now() - interval '30 days'" },
    Passing { table: "inbox_attempts", over: "updated_at < now() - interval '30 days'" },
    Passing {
        table: "scheduled_messages",
        over: "status IN ('sent', 'skipped') AND settled_at < now() - interval '90 days'",
    },
    // Longer than any gateway repeats itself.
    Passing { table: "webhook_inbox", over: "received_at < now() - interval '90 days'" },
    // What was done is in the payment's timeline; what was given up stays.
    Passing { table: "gateway_tasks", over: "status = 'done' AND ended_at < now() - interval '90 days'" },
    Passing {
        table: "scheduled_messages",
        over: "status = 'gave_up' AND settled_at < now() - interval '90 days' AND NOT EXISTS \
               (SELECT FROM dead_letters d WHERE d.source = 'message' AND d.consumer = scheduled_messages.channel AND d.subject_id = scheduled_messages.id)",
    },
    Passing {
        table: "dead_letters",
        over: "state IN ('settled', 'discarded') AND updated_at < now() - interval '90 days'",
    },
    // The archive went when it was taken, or after a day.
    Passing {
        table: "exports",
        over: "state IN ('downloaded', 'expired', 'failed') AND changed_at < now() - interval '90 days'",
    },
    Passing { table: "account_links", over: "expires_at < now() - interval '30 days'" },
    // Its tokens first: a session can have very many, and they must not all go in one statement.
    Passing { table: "refresh_tokens", over: "session_id IN (SELECT id FROM sessions WHERE expires_at < now())" },
    Passing {
        table: "sessions",
        over: "expires_at < now() AND NOT EXISTS (SELECT FROM refresh_tokens t WHERE t.session_id = sessions.id)",
    },
];

/// Rows in a statement: well within its time, and few enough not to hold up anyone else.
const BATCH: usize = 2_000;
/// Statements for a table in a round. What is left is the next one's.
const BATCHES: usize = 50;

/// What a round of forgetting did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Forgotten {
    /// Rows that went.
    pub rows: usize,
    /// Whether some table had more than a round takes.
    pub more: bool,
}

impl Postgres {
    /// Forgets what is over: idempotent answers, inbox marks, counts, messages and tasks that are done with, links, sessions.
    /// One table's failure leaves the others alone, and is told at the end.
    pub async fn forget_expired(&self) -> Result<Forgotten, PortError> {
        let (mut forgotten, mut failed) = (Forgotten::default(), None);
        for passing in &PASSING {
            for round in 1..=BATCHES {
                let batch = self.forget_some(passing).await;
                let full = matches!(batch, Ok(BATCH));
                match batch {
                    Ok(rows) => forgotten.rows += rows,
                    Err(error) => failed = Some(error),
                }
                if !full {
                    break;
                }
                forgotten.more |= round == BATCHES;
            }
        }
        failed.map_or(Ok(forgotten), Err)
    }

    async fn forget_some(&self, Passing { table, over }: &Passing) -> Result<usize, PortError> {
        // An array: the server can't know how few rows a subquery gives, and would read the whole table for a join.
        let sql = format!(
            "DELETE FROM {table} WHERE ctid = ANY (ARRAY(SELECT ctid FROM {table} WHERE {over} LIMIT {BATCH}))"
        );
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), diesel::sql_query(sql).execute(conn.raw()?)).await;
        Ok(conn.settle(result)?)
    }
}
