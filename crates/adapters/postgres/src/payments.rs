//! Payments: one function to read what a change is decided on, one to commit it; tasks, and the reads of reconciliation.

use crate::{
    effects::verdict,
    error::unreadable,
    functions,
    json::Json,
    payment_changes::{ChangeRow, TaskRow},
    pool::{Postgres, bounded},
    rows::money,
    schema::{payment_timeline, payments},
};
use amrutam_booking::model::ConsultationStatus;
use amrutam_crash::Point;
use amrutam_kernel::{
    CommitError, ConsultationId, EventId, IdempotencyClaim, PaymentId, PortError, TimeRange, Unrecorded,
};
use amrutam_payments::{
    model::{Evidence, GatewayName, GatewayPaymentRef, GatewayTask, Payment, PaymentEntry},
    ports::{Balances, Booked, Locator, PaymentChanges, PaymentSnapshot, PaymentStore, VisitFacts, VisitReader},
};
use async_trait::async_trait;
use diesel::{
    prelude::*,
    sql_types::{BigInt, Nullable, Text, Timestamptz, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl;
use jiff::{SignedDuration, Timestamp};
use jiff_diesel::ToDiesel;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

#[derive(Debug, Deserialize)]
struct SnapshotRow {
    recorded: Option<crate::booking::RecordedRow>,
    payment: Option<Payment>,
    tasks: Vec<TaskRow>,
}

#[async_trait]
impl PaymentStore for Postgres {
    async fn snapshot(
        &self,
        locator: Locator<'_>,
        claim: Option<&IdempotencyClaim>,
    ) -> Result<Unrecorded<PaymentSnapshot>, PortError> {
        let (caller, key) = crate::booking::claim_columns(claim);
        let (id, gateway, order, capture, task) = match locator {
            Locator::Id(id) => (Some(id.as_uuid()), None, None, None, None),
            Locator::Order(gateway, order) => (None, Some(gateway.as_str()), Some(order.as_str()), None, None),
            Locator::Capture(gateway, capture) => (None, Some(gateway.as_str()), None, Some(capture.as_str()), None),
            Locator::Task(task) => (None, None, None, None, Some(task.as_uuid())),
        };
        let query = diesel::select(functions::payment_snapshot(id, gateway, order, capture, task, caller, key));
        let Json(row): Json<SnapshotRow> = self.ask(query).await?;
        Ok(Unrecorded::new(PaymentSnapshot {
            recorded: crate::booking::recorded(row.recorded, claim)?,
            payment: row.payment,
            tasks: row.tasks.into_iter().map(GatewayTask::from).collect(),
        }))
    }

    async fn commit(&self, changes: &PaymentChanges) -> Result<(), CommitError> {
        let (before, after) = match changes.ended {
            Some(_) => (Point::TaskBeforeCommit, Point::TaskAfterCommit),
            None => (Point::PaymentBeforeCommit, Point::PaymentAfterCommit),
        };
        amrutam_crash::here(before);
        let query = diesel::select(functions::commit_payment(Json(ChangeRow::of(changes))));
        let word: String = self.ask(query).await?;
        amrutam_crash::here(after);
        verdict(&word)
    }

    async fn timeline(&self, id: PaymentId) -> Result<Unrecorded<Vec<PaymentEntry>>, PortError> {
        let query = payment_timeline::table
            .filter(payment_timeline::payment_id.eq(id.as_uuid()))
            .order(payment_timeline::version.asc())
            .select(EntryRow::as_select());
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.load::<EntryRow>(conn.raw()?)).await;
        let entries: Vec<_> =
            conn.settle(result)?.into_iter().map(|row| row.into_entry(id)).collect::<Result<_, _>>()?;
        Ok(Unrecorded::new(entries))
    }

    async fn claim_tasks(&self, lease: SignedDuration, limit: u16) -> Result<Vec<GatewayTask>, PortError> {
        let lease_us = i64::try_from(lease.as_micros()).unwrap_or(i64::MAX);
        let query = diesel::select(functions::claim_gateway_tasks(lease_us, i32::from(limit)));
        let Json(rows): Json<Vec<Value>> = self.ask(query).await?;
        let mut claimed = Vec::with_capacity(rows.len());
        for row in rows {
            let read = TaskRow::deserialize(&row).map(GatewayTask::from);
            match read {
                Ok(task) => claimed.push(task),
                // Those beside it are claimed; it comes again when its lease ends, and shows as an old one.
                Err(why) => tracing::error!(task = ?row.get("id"), %why, "a task that can't be read"),
            }
        }
        Ok(claimed)
    }

    async fn overdue(&self, now: Timestamp, limit: u16) -> Result<Vec<PaymentId>, PortError> {
        let query = payments::table
            .filter(payments::look_at.assume_not_null().le(now.to_diesel()))
            .order((payments::look_at.asc(), payments::id.asc()))
            .limit(i64::from(limit))
            .select(payments::id);
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.load::<Uuid>(conn.raw()?)).await;
        Ok(conn.settle(result)?.into_iter().map(PaymentId::from_uuid).collect())
    }

    async fn booked(
        &self,
        gateway: &GatewayName,
        range: TimeRange,
        after: Option<&Booked>,
        limit: u16,
    ) -> Result<Vec<Booked>, PortError> {
        // Two index ranges, each in order: a page costs a page.
        const SQL: &str = "
            (SELECT payment_id, reference AS of, NULL AS refund, amount, currency, captured_at AS at, reference AS name
               FROM payment_captures
               WHERE gateway = $1 AND captured_at >= $2 AND captured_at < $3
                 AND ($4 IS NULL OR (captured_at, reference) > ($4, $5))
               ORDER BY captured_at, reference LIMIT $6)
            UNION ALL
            (SELECT payment_id, reference, refund, refunded_amount, currency, refunded_at, refund
               FROM payment_captures
               WHERE gateway = $1 AND refunded_at >= $2 AND refunded_at < $3 AND refund IS NOT NULL
                 AND ($4 IS NULL OR (refunded_at, refund) > ($4, $5))
               ORDER BY refunded_at, refund LIMIT $6)
            ORDER BY at, name LIMIT $6";
        let name = after.map(|last| match &last.refund {
            Some(refund) => refund.as_str(),
            None => last.of.as_str(),
        });
        let query = diesel::sql_query(SQL)
            .bind::<Text, _>(gateway.as_str())
            .bind::<Timestamptz, _>(range.start().to_diesel())
            .bind::<Timestamptz, _>(range.end().to_diesel())
            .bind::<Nullable<Timestamptz>, _>(after.map(|last| last.at.to_diesel()))
            .bind::<Nullable<Text>, _>(name)
            .bind::<BigInt, _>(i64::from(limit));
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.load::<BookedRow>(conn.raw()?)).await;
        conn.settle(result)?.into_iter().map(Booked::try_from).collect()
    }

    async fn balances(&self) -> Result<Balances, PortError> {
        const SQL: &str = "SELECT account, currency,
            sum(CASE entry WHEN 'debit' THEN amount ELSE -amount END)::bigint AS balance
            FROM ledger_lines GROUP BY account, currency";
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), diesel::sql_query(SQL).load::<BalanceRow>(conn.raw()?)).await;
        let rows = conn.settle(result)?;
        rows.into_iter()
            .map(|row| Ok(((row.account, row.currency.parse().map_err(unreadable)?), row.balance)))
            .collect()
    }
}

#[async_trait]
impl VisitReader for Postgres {
    async fn visit(&self, id: ConsultationId) -> Result<Unrecorded<Option<VisitFacts>>, PortError> {
        let Some(view) = self.visit_view(id).await? else { return Ok(Unrecorded::new(None)) };
        let visit = view.consultation;
        Ok(Unrecorded::new(Some(VisitFacts {
            id,
            patient: visit.patient,
            doctor_account: view.doctor_account,
            starts_at: visit.range.start(),
            least_notice: visit.least_notice,
            fee: visit.fee,
            hold_until: visit.hold_expires_at,
            cancellable: matches!(visit.status, ConsultationStatus::Pending | ConsultationStatus::Confirmed),
        })))
    }
}

#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = crate::schema::payment_timeline)]
struct EntryRow {
    version: i64,
    #[diesel(deserialize_as = jiff_diesel::Timestamp)]
    at: Timestamp,
    kind: String,
    amount: Option<i64>,
    currency: Option<String>,
    actor: String,
    cause: String,
    evidence: Value,
    event_id: Uuid,
    correlation_id: String,
}

impl EntryRow {
    fn into_entry(self, payment: PaymentId) -> Result<PaymentEntry, PortError> {
        let amount = self.amount.zip(self.currency).map(|(amount, currency)| money(amount, &currency)).transpose()?;
        Ok(PaymentEntry {
            payment,
            version: self.version,
            at: self.at,
            kind: self.kind.parse().map_err(unreadable)?,
            amount,
            actor: self.actor,
            cause: self.cause,
            evidence: Evidence::deserialize(self.evidence).map_err(unreadable)?,
            event: EventId::from_uuid(self.event_id),
            correlation_id: self.correlation_id.parse().map_err(unreadable)?,
        })
    }
}

#[derive(Debug, QueryableByName)]
struct BookedRow {
    #[diesel(sql_type = SqlUuid)]
    payment_id: Uuid,
    #[diesel(sql_type = Text)]
    of: String,
    #[diesel(sql_type = Nullable<Text>)]
    refund: Option<String>,
    #[diesel(sql_type = BigInt)]
    amount: i64,
    #[diesel(sql_type = Text)]
    currency: String,
    #[diesel(sql_type = Timestamptz, deserialize_as = jiff_diesel::Timestamp)]
    at: Timestamp,
}

impl TryFrom<BookedRow> for Booked {
    type Error = PortError;
    fn try_from(row: BookedRow) -> Result<Self, PortError> {
        Ok(Self {
            payment: PaymentId::from_uuid(row.payment_id),
            of: GatewayPaymentRef::try_from(row.of).map_err(unreadable)?,
            refund: row.refund.map(TryInto::try_into).transpose().map_err(unreadable)?,
            amount: money(row.amount, &row.currency)?,
            at: row.at,
        })
    }
}

#[derive(Debug, QueryableByName)]
struct BalanceRow {
    #[diesel(sql_type = Text)]
    account: String,
    #[diesel(sql_type = Text)]
    currency: String,
    #[diesel(sql_type = BigInt)]
    balance: i64,
}
