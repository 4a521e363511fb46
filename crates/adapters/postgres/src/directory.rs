//! Practitioners' profiles.

use crate::{
    availability::offered,
    effects::{EffectRows, verdict},
    error::{Optional, unreadable},
    functions,
    json::Json,
    pool::{Postgres, bounded},
    rows::DoctorRow,
    schema::{accounts, doctors, slots},
};
use amrutam_booking::{
    model::{Practitioner, PractitionerStatus},
    ports::{DirectoryStore, DoctorFilter, DoctorKey, DoctorSort, ProfileInserted},
};
use amrutam_kernel::{AccountId, CommitError, DoctorId, Effects, Page, PortError, Role, recorded};
use async_trait::async_trait;
use diesel::{dsl::exists, prelude::*};
use diesel_async::RunQueryDsl;
use jiff_diesel::ToDiesel;

#[async_trait]
impl DirectoryStore for Postgres {
    async fn insert(&self, practitioner: &Practitioner, effects: &Effects) -> Result<ProfileInserted, PortError> {
        let row = serde_json::to_value(DoctorRow::from(practitioner)).map_err(unreadable)?;
        let query = diesel::select(functions::insert_doctor(row, Json(EffectRows::of(&[effects]))));
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.get_result::<String>(conn.raw()?)).await;
        let word = match conn.settle(result) {
            Err(error) if error.is_answered() => return Ok(ProfileInserted::AlreadyAnswered),
            settled => settled?,
        };
        match word.as_str() {
            "ok" => Ok(ProfileInserted::Created),
            "not_a_doctors_account" => Ok(ProfileInserted::NotADoctorsAccount),
            "account_has_profile" => Ok(ProfileInserted::AccountHasProfile),
            "registration_taken" => Ok(ProfileInserted::RegistrationTaken),
            other => Err(unreadable(other)),
        }
    }

    async fn update(&self, practitioner: &Practitioner, effects: &Effects) -> Result<(), CommitError> {
        let row = serde_json::to_value(DoctorRow::from(practitioner)).map_err(unreadable)?;
        let query = diesel::select(functions::update_doctor(row, Json(EffectRows::of(&[effects]))));
        let mut conn = self.connection().await.map_err(PortError::from)?;
        let result = bounded(conn.limit(), query.get_result::<String>(conn.raw()?)).await;
        verdict(&conn.settle(result)?)
    }

    async fn by_id(&self, id: DoctorId) -> Result<Option<Practitioner>, PortError> {
        let query = doctors::table.find(id.as_uuid()).select(DoctorRow::as_select());
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.first::<DoctorRow>(conn.raw()?)).await;
        conn.settle(result.optional())?.map(Practitioner::try_from).transpose()
    }

    async fn by_account(&self, account: AccountId) -> Result<Option<Practitioner>, PortError> {
        let query = doctors::table.filter(doctors::account_id.eq(account.as_uuid())).select(DoctorRow::as_select());
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.first::<DoctorRow>(conn.raw()?)).await;
        conn.settle(result.optional())?.map(Practitioner::try_from).transpose()
    }

    async fn practises(&self, account: AccountId) -> Result<bool, PortError> {
        let open = accounts::table
            .filter(accounts::id.eq(account.as_uuid()))
            .filter(accounts::role.eq(Role::Doctor.as_str()))
            .filter(accounts::status.eq("active"));
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), diesel::select(exists(open)).get_result(conn.raw()?)).await;
        Ok(conn.settle(result)?)
    }

    async fn search(&self, filter: &DoctorFilter) -> Result<Page<Practitioner, DoctorKey>, PortError> {
        let today = filter.today.to_diesel();
        let mut query = doctors::table
            .filter(doctors::status.eq(PractitionerStatus::Listed.as_str()))
            .filter(doctors::valid_until.is_null().or(doctors::valid_until.assume_not_null().ge(today)))
            .filter(doctors::registered_on.is_null().or(doctors::registered_on.assume_not_null().le(today)))
            .select(DoctorRow::as_select())
            .into_boxed();
        if let Some(text) = &filter.text {
            query = query.filter(doctors::full_name.ilike(format!("%{}%", escape_like(text))));
        }
        if let Some(code) = &filter.specialization {
            query = query.filter(doctors::specializations.contains(vec![code.clone()]));
        }
        if let Some(tag) = &filter.language {
            query = query.filter(doctors::languages.contains(vec![tag.clone()]));
        }
        if let Some(mode) = filter.mode {
            query = query.filter(doctors::modes.contains(vec![mode.as_str().to_owned()]));
        }
        if let Some(max_fee) = filter.max_fee {
            query = query.filter(doctors::fee_amount.le(max_fee.amount()));
            query = query.filter(doctors::fee_currency.eq(max_fee.currency().code()));
        }
        if let Some(range) = filter.available {
            let open = slots::table
                .filter(slots::doctor_id.eq(doctors::id))
                .filter(offered(filter.now.to_diesel()))
                .filter(slots::starts_at.ge(range.start().to_diesel()))
                .filter(slots::starts_at.lt(range.end().to_diesel()));
            query = query.filter(exists(open));
        }
        if let DoctorSort::Fee(currency) = filter.sort {
            query = query.filter(doctors::fee_currency.eq(currency.code()));
        }
        // The first condition of each says nothing new, but bounds the scan of an index: an OR can't.
        match &filter.after {
            Some(DoctorKey::Name(name, id)) => {
                let here = doctors::full_name.eq(name.clone()).and(doctors::id.gt(id.as_uuid()));
                query = query.filter(doctors::full_name.ge(name.clone()));
                query = query.filter(doctors::full_name.gt(name.clone()).or(here));
            }
            Some(DoctorKey::Fee(fee, id)) => {
                let here = doctors::fee_amount.eq(*fee).and(doctors::id.gt(id.as_uuid()));
                query = query.filter(doctors::fee_amount.ge(*fee));
                query = query.filter(doctors::fee_amount.gt(*fee).or(here));
            }
            None => {}
        }
        query = match filter.sort {
            DoctorSort::Name => query.order((doctors::full_name.asc(), doctors::id.asc())),
            DoctorSort::Fee(_) => query.order((doctors::fee_amount.asc(), doctors::id.asc())),
        };
        let query = query.limit(i64::from(filter.limit.get()) + 1);
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.load::<DoctorRow>(conn.raw()?)).await;
        let found = conn.settle(result)?.into_iter().map(Practitioner::try_from).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(found, filter.limit, |last| match filter.sort {
            DoctorSort::Name => DoctorKey::Name(last.details.full_name.clone(), last.id),
            DoctorSort::Fee(_) => DoctorKey::Fee(last.details.fee.amount(), last.id),
        }))
    }

    async fn record(&self, effects: &Effects) -> Result<(), PortError> {
        recorded(self.commit_effects(effects).await)
    }
}

/// The caller's text is text: `%`, `_` and `\` stand for themselves.
fn escape_like(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}
