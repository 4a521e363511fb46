//! The administrator and the patients. Invented people; the addresses end in `.example`, which nobody can own.

use super::{env_file::DemoLogins, world::World};
use crate::accounts::{operator, profile};
use amrutam_identity::{
    model::{NewPassword, Profile},
    use_cases::{NewStaff, create_staff},
};
use amrutam_kernel::{AccountId, Role, Sensitive};
use std::error::Error;

pub(crate) struct Person {
    pub(crate) email: &'static str,
    name: &'static str,
}

pub(crate) const ADMIN: Person = Person { email: "admin@amrutam.example", name: "Demo Administrator" };
pub(crate) const DEMO_PATIENT: &str = "patient@amrutam.example";
/// No number in India begins so.
const DEMO_PHONE: &str = "+910000000001";

const PATIENTS: [Person; 12] = [
    Person { email: DEMO_PATIENT, name: "Asha Kulkarni" },
    Person { email: "rohan.mehta@amrutam.example", name: "Rohan Mehta" },
    Person { email: "lakshmi.iyer@amrutam.example", name: "Lakshmi Iyer" },
    Person { email: "imran.qureshi@amrutam.example", name: "Imran Qureshi" },
    Person { email: "gurpreet.sandhu@amrutam.example", name: "Gurpreet Sandhu" },
    Person { email: "ananya.das@amrutam.example", name: "Ananya Das" },
    Person { email: "joseph.kurien@amrutam.example", name: "Joseph Kurien" },
    Person { email: "sneha.patil@amrutam.example", name: "Sneha Patil" },
    Person { email: "vikram.rathore@amrutam.example", name: "Vikram Rathore" },
    Person { email: "meera.reddy@amrutam.example", name: "Meera Reddy" },
    Person { email: "tenzin.norbu@amrutam.example", name: "Tenzin Norbu" },
    Person { email: "farah.shaikh@amrutam.example", name: "Farah Shaikh" },
];

pub(crate) async fn create_admin(world: &World, logins: &DemoLogins) -> Result<(), Box<dyn Error>> {
    account(world, logins, Role::Admin, ADMIN.email, ADMIN.name).await?;
    Ok(())
}

/// The account at this address, made unless it is there. Usable at once, its address taken as verified: nobody reads these
/// mails.
pub(crate) async fn account(
    world: &World,
    logins: &DemoLogins,
    role: Role,
    email: &str,
    name: &str,
) -> Result<AccountId, Box<dyn Error>> {
    if let Some(known) = world.account(email).await? {
        return Ok(known);
    }
    let phone = (email == DEMO_PATIENT).then(|| Sensitive::new(DEMO_PHONE.to_owned()));
    let command = NewStaff {
        role,
        email: Sensitive::new(email.parse()?),
        password: NewPassword::parse(Sensitive::new(logins.password.clone()))?,
        profile: Profile { phone, ..profile(name)? },
    };
    Ok(create_staff(world.identity(), &operator(&world.ids, &world.clock), command, None).await?)
}

pub(crate) async fn create_patients(world: &World, logins: &DemoLogins) -> Result<Vec<AccountId>, Box<dyn Error>> {
    let mut patients = Vec::new();
    for person in &PATIENTS {
        patients.push(account(world, logins, Role::Patient, person.email, person.name).await?);
    }
    Ok(patients)
}
