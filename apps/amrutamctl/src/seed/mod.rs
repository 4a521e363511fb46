//! Demonstration data, made through the public use cases: what they refuse can't be seeded.
//!
//! Everything happens under a clock that begins three weeks ago, so that there are past visits, and ends now.

mod entries;
mod env_file;
mod people;
mod practitioners;
mod visits;
mod world;

use crate::settings::{Environment, Settings};
use env_file::DemoLogins;
use std::{error::Error, path::Path};
use world::World;

/// Makes what is missing. The administrator is the last to be made: who finds one finds everything, and a run that was cut
/// off before is taken up by the next one where it ended.
pub(crate) async fn run(settings: &Settings, env_file: &Path) -> Result<(), Box<dyn Error>> {
    if settings.environment == Environment::Production {
        return Err("demonstration data is refused in production (AMRUTAM__ENVIRONMENT)".into());
    }
    let known = DemoLogins::read(env_file)?;
    let world = World::connect(settings)?;
    let complete = world.account(people::ADMIN.email).await?.is_some();
    let begun = complete || world.account(practitioners::demo_email()).await?.is_some();
    let logins = match known {
        Some(logins) => logins,
        None if begun => {
            return Err(
                "the database has demonstration data, but the log-ins are lost: start from an empty one (make clean)"
                    .into(),
            );
        }
        None => DemoLogins::generate(),
    };
    if complete {
        println!("the database has been seeded before");
        return Ok(());
    }
    // Before the data: whoever finds the data finds its log-ins.
    logins.write(env_file)?;
    let doctors = practitioners::create(&world, &logins).await?;
    let patients = people::create_patients(&world, &logins).await?;
    let visits = visits::past(&world, &doctors, &patients).await?;
    world.clock.follow_system();
    practitioners::extend_horizons(&world, &doctors).await?;
    let coming = visits::coming(&world, &doctors, &patients).await?;
    people::create_admin(&world, &logins).await?;
    println!(
        "seeded {} practitioners, {} patients, {visits} past and {coming} coming visits",
        doctors.len(),
        patients.len()
    );
    Ok(())
}
