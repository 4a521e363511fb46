//! Versions of the formulary.

use crate::{
    effects::EffectRows,
    error::{DbError, unreadable},
    functions,
    json::Json,
    pool::Postgres,
};
use amrutam_clinical::{
    model::{Formulary, FormularyItem},
    ports::{FormularyStore, Imported},
};
use amrutam_kernel::{Effects, PortError};
use async_trait::async_trait;
use jiff::civil::Date;
use jiff_diesel::ToDiesel;
use serde::{Deserialize, Serialize};

#[derive(Debug, Deserialize)]
struct FormularyRow {
    version: String,
    effective_from: Date,
    approved_by: String,
    items: Vec<FormularyItem>,
}

#[derive(Debug, Serialize)]
struct NewFormulary<'a> {
    version: &'a str,
    effective_from: Date,
    approved_by: &'a str,
    items: Vec<&'a FormularyItem>,
}

#[async_trait]
impl FormularyStore for Postgres {
    async fn in_force(&self, day: Date) -> Result<Option<Formulary>, PortError> {
        let query = diesel::select(functions::formulary_in_force(day.to_diesel()));
        let row: Option<Json<FormularyRow>> = self.ask(query).await?;
        Ok(row.map(|Json(row)| Formulary::of_stored(row.version, row.effective_from, row.approved_by, row.items)))
    }

    async fn import(&self, formulary: &Formulary, effects: &Effects) -> Result<Imported, PortError> {
        let row = NewFormulary {
            version: &formulary.version,
            effective_from: formulary.effective_from,
            approved_by: &formulary.approved_by,
            items: formulary.items().collect(),
        };
        let query = diesel::select(functions::import_formulary(Json(row), Json(EffectRows::of(&[effects]))));
        let word: String = self.ask(query).await.map_err(|error: DbError| PortError::from(error))?;
        match &*word {
            "new" => Ok(Imported::New),
            "known" => Ok(Imported::Known),
            "taken" => Ok(Imported::VersionTaken),
            other => Err(unreadable(other)),
        }
    }
}
