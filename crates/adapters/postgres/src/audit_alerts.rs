//! The rules on unusual access, held against the log wherever it is.

use crate::{
    effects::EffectRows,
    error::unreadable,
    functions::{audit_has_looked, audit_rules_in_force, raise_audit_alert, unusual_in_log, unusual_not_told},
    json::Json,
    pool::Postgres,
};
use amrutam_audit::ports::{Alerts, Look, Unusual};
use amrutam_kernel::{Effects, PortError};
use async_trait::async_trait;
use serde::Deserialize;
use serde_json::Value;

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

#[derive(Debug, Deserialize)]
struct Found {
    unusual: Vec<Value>,
    upto: i64,
}

#[async_trait]
impl Alerts for AccessWatch {
    async fn unusual(&self) -> Result<Look, PortError> {
        let rules: Json<Value> = self.first.ask(diesel::select(audit_rules_in_force())).await?;
        let Json(found): Json<Found> = self.log.ask(diesel::select(unusual_in_log(rules))).await?;
        let upto = u64::try_from(found.upto).map_err(unreadable)?;
        if found.unusual.is_empty() {
            return Ok(Look { unusual: Vec::new(), upto });
        }
        let found = Json(Value::Array(found.unusual));
        let Json(unusual): Json<Vec<Unusual>> = self.first.ask(diesel::select(unusual_not_told(found))).await?;
        Ok(Look { unusual, upto })
    }

    async fn raise(&self, unusual: &Unusual, effects: &Effects) -> Result<bool, PortError> {
        let effects = Json(EffectRows::of(&[effects]));
        Ok(self.first.ask(diesel::select(raise_audit_alert(Json(unusual.clone()), effects))).await?)
    }

    async fn looked(&self, upto: u64) -> Result<(), PortError> {
        let upto = i64::try_from(upto).map_err(unreadable)?;
        let _: bool = self.log.ask(diesel::select(audit_has_looked(upto))).await?;
        Ok(())
    }
}
