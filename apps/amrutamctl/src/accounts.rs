//! The first administrator can't be made by another one.

use crate::settings::Settings;
use amrutam_crypto::{Argon2Hasher, HasherSettings, SystemClock, SystemIds};
use amrutam_identity::{
    model::{NewPassword, Profile},
    use_cases::{Deps, NewStaff, create_staff},
};
use amrutam_kernel::{Clock, Context, CorrelationId, IdSource, Role, Sensitive};
use amrutam_postgres::Postgres;
use std::{error::Error, io::Read};

pub(crate) async fn create_admin(settings: &Settings, email: &str, name: &str) -> Result<(), Box<dyn Error>> {
    let mut password = String::new();
    std::io::stdin().read_to_string(&mut password)?;
    let command = NewStaff {
        role: Role::Admin,
        email: Sensitive::new(email.parse()?),
        password: NewPassword::parse(Sensitive::new(password.trim_end_matches(['\r', '\n']).to_owned()))?,
        profile: profile(name)?,
    };
    let postgres = Postgres::connect(&settings.database.pool())?;
    let accounts = settings.accounts(&postgres, &settings.tokens.load()?)?;
    let hasher = Argon2Hasher::new(HasherSettings::default())?;
    let (clock, ids) = (SystemClock, SystemIds);
    let deps = Deps { accounts: &accounts, hasher: &hasher, clock: &clock, ids: &ids };
    let id = create_staff(deps, &operator(&ids, &clock), command, None).await?;
    println!("created administrator {id}");
    Ok(())
}

/// The operator's command line acts for the system, in a flow of its own.
pub(crate) fn operator(ids: &dyn IdSource, clock: &dyn Clock) -> Context {
    Context::of_system("amrutamctl", CorrelationId::from(ids.uuid_v7(clock.now())))
}

pub(crate) fn profile(name: &str) -> Result<Profile, Box<dyn Error>> {
    Ok(Profile {
        full_name: Sensitive::new(name.parse()?),
        phone: None,
        date_of_birth: None,
        sex: None,
        time_zone: "Asia/Kolkata".to_owned(),
    })
}
