//! Practitioners: an account, a profile, the check of it, working hours.

use super::{
    entries::{ENTRIES, Entry, Hours},
    env_file::DemoLogins,
    people::account,
    world::World,
};
use crate::accounts::operator;
use amrutam_booking::{
    model::{MedicalSystem, Mode, Modes, PractitionerDetails, PractitionerStatus, WeeklyRule},
    ports::{AvailabilityStore, DirectoryStore},
    use_cases::{NewProfile, create_profile, extend_horizon, set_availability, verify},
};
use amrutam_kernel::{AccountId, Clock, Currency, DoctorId, Money, Role};
use jiff::{
    ToSpan,
    civil::{Time, Weekday, date, time},
};
use std::error::Error;

/// How long ago the story begins.
const DAYS_AGO: i64 = 21;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Doctor {
    pub(crate) id: DoctorId,
    pub(crate) account: AccountId,
}

/// The first entry is the demo doctor.
pub(crate) fn demo_email() -> &'static str {
    "doctor@amrutam.example"
}

pub(crate) async fn create(world: &World, logins: &DemoLogins) -> Result<Vec<Doctor>, Box<dyn Error>> {
    world.clock.set(world.clock.now().checked_sub((DAYS_AGO * 24).hours())?);
    let mut doctors = Vec::new();
    for (index, entry) in ENTRIES.iter().enumerate() {
        let email = if index == 0 { demo_email().to_owned() } else { format!("doctor{index:02}@amrutam.example") };
        let account = account(world, logins, Role::Doctor, &email, entry.name).await?;
        let doctor = world.acting(account, Role::Doctor);
        let profile = match world.postgres.by_account(account).await? {
            Some(known) => known,
            None => {
                let profile = NewProfile { account: None, details: details(index, entry)? };
                create_profile(world.directory(), &doctor, profile, None).await?
            }
        };
        let id = profile.id;
        if profile.status == PractitionerStatus::Applied {
            verify(world.directory(), &operator(&world.ids, &world.clock), id, None).await?;
        }
        let known = world.postgres.load(id, world.clock.now()).await?;
        if known.is_none_or(|known| known.rules.is_empty()) {
            set_availability(world.availability(), &doctor, id, rules(entry)?, None).await?;
        }
        doctors.push(Doctor { id, account });
    }
    Ok(doctors)
}

/// From then to now: the slots up to sixty days from today.
pub(crate) async fn extend_horizons(world: &World, doctors: &[Doctor]) -> Result<(), Box<dyn Error>> {
    for doctor in doctors {
        extend_horizon(world.availability(), &world.acting(doctor.account, Role::Doctor), doctor.id).await?;
    }
    Ok(())
}

fn details(index: usize, entry: &Entry) -> Result<PractitionerDetails, Box<dyn Error>> {
    let years = 6 + index % 25;
    let registered = 2026 - i16::try_from(years)?;
    let month = 1 + i8::try_from(index % 12)?;
    Ok(PractitionerDetails {
        full_name: entry.name.to_owned(),
        system: MedicalSystem::Ayurveda,
        council: entry.council.to_owned(),
        registration_number: format!("DEMO-{registered}-{:04}", 1000 + 37 * index),
        registered_on: Some(date(registered, month, 12)),
        valid_until: None,
        qualifications: vec!["BAMS".to_owned(), entry.degree.to_owned()],
        specializations: entry.specializations.iter().map(|&code| code.to_owned()).collect(),
        languages: entry.languages.iter().map(|&tag| tag.to_owned()).collect(),
        modes: modes(&Mode::ALL)?,
        fee: Money::new(entry.fee * 100, Currency::Inr)?,
        bio: format!("Practises in {} since {registered}; {years} years of experience.", entry.city),
        time_zone: "Asia/Kolkata".to_owned(),
    })
}

fn rules(entry: &Entry) -> Result<Vec<WeeklyRule>, Box<dyn Error>> {
    use Weekday::{Friday, Monday, Saturday, Sunday, Thursday, Tuesday, Wednesday};
    let all = modes(&Mode::ALL)?;
    let rule = |weekday, (start, end): (Time, Time), slot_minutes, buffer_minutes| WeeklyRule {
        weekday,
        start,
        end,
        slot_minutes,
        buffer_minutes,
        modes: all.clone(),
        valid_from: None,
        valid_until: None,
    };
    let clock = |hour, minute| time(hour, minute, 0, 0);
    Ok(match entry.hours {
        Hours::Mornings => [Monday, Tuesday, Wednesday, Thursday, Friday, Saturday]
            .map(|day| rule(day, (clock(9, 0), clock(13, 0)), 20, 5))
            .to_vec(),
        Hours::Split => [Monday, Tuesday, Wednesday, Thursday, Friday]
            .into_iter()
            .flat_map(|day| {
                [rule(day, (clock(8, 30), clock(11, 30)), 25, 5), rule(day, (clock(17, 0), clock(20, 0)), 25, 5)]
            })
            .collect(),
        Hours::Afternoons => [Monday, Tuesday, Wednesday, Friday, Saturday, Sunday]
            .map(|day| rule(day, (clock(14, 0), clock(18, 30)), 30, 0))
            .to_vec(),
    })
}

fn modes(modes: &[Mode]) -> Result<Modes, Box<dyn Error>> {
    Modes::new(modes.iter().copied()).ok_or_else(|| "no modes".into())
}
