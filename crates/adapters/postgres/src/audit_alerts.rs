//! The rules on unusual access, held against the log wherever it is.

use crate::{
    effects::EffectRows,
    error::DbError,
    functions::{audit_rules_in_force, raise_audit_alert, unusual_in_log, unusual_not_told},
    json::Json,
    pool::{Postgres, bounded},
};
use amrutam_audit::ports::{Alerts, Unusual};
use amrutam_kernel::{Effects, PortError};
use async_trait::async_trait;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt::Debug;

/// The rules and what was told, beside the consultations; and the log, which may lie elsewhere.
#[derive(Clone)]
pub struct AccessWatch {
    first: Postgres,
    log: Postgres,
}

impl AccessWatch {
    /// Over the first database, and the one that has the log.
    pub fn new(first: Postgres, log: Postgres) -> Self {
        Self { first, log }
    }
}

async fn rows<'q, T, Q>(db: &'q Postgres, query: Q) -> Result<Vec<T>, DbError>
where
    T: DeserializeOwned + Debug + Send + 'q,
    Q: diesel_async::methods::LoadQuery<'q, AsyncPgConnection, Json<T>> + Send + 'q,
{
    let mut conn = db.connection().await?;
    let result = bounded(conn.limit(), query.load::<Json<T>>(conn.raw()?)).await;
    Ok(conn.settle(result)?.into_iter().map(|Json(row)| row).collect())
}

#[async_trait]
impl Alerts for AccessWatch {
    async fn unusual(&self) -> Result<Vec<Unusual>, PortError> {
        let rules: Json<Value> = self.first.ask(diesel::select(audit_rules_in_force())).await?;
        let found: Vec<Value> = rows(&self.log, diesel::select(unusual_in_log(rules))).await?;
        if found.is_empty() {
            return Ok(Vec::new());
        }
        Ok(rows(&self.first, diesel::select(unusual_not_told(Json(Value::Array(found))))).await?)
    }

    async fn raise(&self, unusual: &Unusual, effects: &Effects) -> Result<bool, PortError> {
        let effects = Json(EffectRows::of(&[effects]));
        Ok(self.first.ask(diesel::select(raise_audit_alert(Json(unusual.clone()), effects))).await?)
    }
}
