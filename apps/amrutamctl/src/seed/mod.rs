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

/// Makes what is missing; a second run changes nothing and keeps the log-ins.
pub(crate) async fn run(settings: &Settings, env_file: &Path) -> Result<(), Box<dyn Error>> {
    if settings.environment == Environment::Production {
        return Err("demonstration data is refused in production (AMRUTAM__ENVIRONMENT)".into());
    }
    let known = DemoLogins::read(env_file)?;
    let world = World::connect(settings)?;
    if world.account_exists(people::ADMIN.email).await? {
        return match known {
            Some(_) => {
                println!("the database has been seeded before");
                Ok(())
            }
            None => {
                Err("the database is seeded, but the demo log-ins are lost: start from an empty one (make clean)"
                    .into())
            }
        };
    }
    let logins = match known {
        Some(logins) => logins,
        None => DemoLogins::generate(),
    };
    // Before the data: whoever finds the data finds its log-ins.
    logins.write(env_file)?;
    let admin = people::create_admin(&world, &logins).await?;
    let doctors = practitioners::create(&world, &admin, &logins).await?;
    let patients = people::create_patients(&world, &logins).await?;
    let visits = visits::past(&world, &doctors, &patients).await?;
    world.clock.follow_system();
    practitioners::extend_horizons(&world, &doctors).await?;
    let coming = visits::coming(&world, &doctors, &patients).await?;
    println!(
        "seeded {} practitioners, {} patients, {visits} past and {coming} coming visits",
        doctors.len(),
        patients.len()
    );
    Ok(())
}
