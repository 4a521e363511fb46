//! What an operator watches of payments, and which spans of time were reconciled.

use crate::{
    pool::{Postgres, bounded},
    schema::reconciliations,
};
use amrutam_kernel::{PortError, TimeRange};
use amrutam_payments::model::GatewayName;
use diesel::{
    prelude::*,
    sql_types::{BigInt, Double, Text},
};
use diesel_async::RunQueryDsl;
use jiff::Timestamp;
use jiff_diesel::ToDiesel;

/// What an operator watches of payments.
#[derive(Debug, Clone, Default)]
pub struct PaymentFigures {
    /// Tasks that are neither done nor dead.
    pub open_tasks: i64,
    /// Tasks that were given up, and whose dead letters wait for a person.
    pub dead_tasks: i64,
    /// How long the longest-waiting open task has existed, in seconds.
    pub oldest_task_seconds: f64,
    /// How many payments stand in each state in which payments do not end.
    pub open: Vec<(String, i64)>,
}

#[derive(Debug, QueryableByName)]
struct TaskFigures {
    #[diesel(sql_type = BigInt)]
    open: i64,
    #[diesel(sql_type = BigInt)]
    dead: i64,
    #[diesel(sql_type = Double)]
    oldest: f64,
}

#[derive(Debug, QueryableByName)]
struct StateFigure {
    #[diesel(sql_type = Text)]
    state: String,
    #[diesel(sql_type = BigInt)]
    count: i64,
}

impl Postgres {
    /// The figures of now.
    pub async fn payment_figures(&self) -> Result<PaymentFigures, PortError> {
        // A task that is dead stays so when what it was to do was begun afresh: its letter tells whether it waits for anybody.
        const TASKS: &str = "SELECT count(*) AS open,
            (SELECT count(*) FROM dead_letters WHERE state = 'dead' AND source = 'gateway_task') AS dead,
            coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 AS oldest
            FROM gateway_tasks WHERE status = 'live'";
        const STATES: &str = "SELECT state, count(*) AS count FROM payments
            WHERE state IN ('created', 'pending', 'captured', 'refunding', 'refund_failed') GROUP BY state";
        let mut conn = self.connection().await?;
        let limit = conn.limit();
        let raw = conn.raw()?;
        let result = bounded(limit, async {
            let tasks = diesel::sql_query(TASKS).get_result::<TaskFigures>(raw).await?;
            let states = diesel::sql_query(STATES).load::<StateFigure>(raw).await?;
            Ok((tasks, states))
        })
        .await;
        let (tasks, states) = conn.settle(result)?;
        Ok(PaymentFigures {
            open_tasks: tasks.open,
            dead_tasks: tasks.dead,
            oldest_task_seconds: tasks.oldest,
            open: states.into_iter().map(|figure| (figure.state, figure.count)).collect(),
        })
    }

    /// When the last reconciled span of a gateway ended.
    pub async fn reconciled_until(&self, gateway: &GatewayName) -> Result<Option<Timestamp>, PortError> {
        let query = reconciliations::table
            .filter(reconciliations::gateway.eq(gateway.as_str()))
            .order(reconciliations::starts_at.desc())
            .select(reconciliations::ends_at)
            .limit(1);
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.load::<jiff_diesel::Timestamp>(conn.raw()?)).await;
        Ok(conn.settle(result)?.into_iter().next().map(Into::into))
    }

    /// Notes that a span was compared, and what was found.
    pub async fn note_reconciled(
        &self,
        gateway: &GatewayName,
        span: TimeRange,
        compared: usize,
        differences: usize,
    ) -> Result<(), PortError> {
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let row = (
            reconciliations::gateway.eq(gateway.as_str()),
            reconciliations::starts_at.eq(span.start().to_diesel()),
            reconciliations::ends_at.eq(span.end().to_diesel()),
            reconciliations::compared.eq(count(compared)),
            reconciliations::differences.eq(count(differences)),
        );
        let query = diesel::insert_into(reconciliations::table).values(row).on_conflict_do_nothing();
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.execute(conn.raw()?)).await;
        conn.settle(result)?;
        Ok(())
    }
}
