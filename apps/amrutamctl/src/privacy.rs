//! Legal holds: what a court or a claim keeps beyond its time. And erasures that must be done again.

use crate::{accounts::operator, settings::Settings};
use amrutam_crypto::{SystemClock, SystemIds};
use amrutam_identity::PolicyTable;
use amrutam_kernel::{AccountId, Clock};
use amrutam_postgres::Postgres;
use amrutam_privacy::{
    model::{HoldReference, RecordClass, RetentionRules},
    use_cases::{ErasureDeps, erase_again, lift_hold, place_hold},
};
use clap::Subcommand;
use jiff::tz::TimeZone;
use std::error::Error;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Keep a person's record, whether or not they are erased, until the hold is lifted.
    Hold {
        /// Whose.
        #[arg(long)]
        account: AccountId,
        /// The case, by an opaque reference: letters, digits, . / and -; never a name.
        #[arg(long)]
        case: HoldReference,
    },
    /// Lift a hold. What is due then is destroyed by the workers within seconds.
    Lift {
        /// Whose.
        #[arg(long)]
        account: AccountId,
        /// The case.
        #[arg(long)]
        case: HoldReference,
    },
    /// Erase an account again that a restored backup has brought back, as its owner has: contact details and what no law keeps go at once.
    Erase {
        /// Whose.
        #[arg(long)]
        account: AccountId,
        /// That it is meant: the account's id again.
        #[arg(long)]
        confirm: AccountId,
    },
}

pub(crate) async fn run(command: Command, settings: &Settings) -> Result<(), Box<dyn Error>> {
    let postgres = Postgres::connect(&settings.database.pool())?;
    let (clock, ids) = (SystemClock, SystemIds);
    let deps = ErasureDeps { store: &postgres, policy: &PolicyTable, clock: &clock, ids: &ids };
    let context = operator(&ids, &clock);
    match command {
        Command::Hold { account, case } => {
            place_hold(deps, &context, account, case.clone()).await?;
            println!("{account} is on hold for {case}");
        }
        Command::Lift { account, case } => {
            lift_hold(deps, &context, account, &case).await?;
            println!("the hold for {case} on {account} is lifted");
        }
        Command::Erase { account, confirm } => {
            if account != confirm {
                return Err("--confirm names somebody else".into());
            }
            let zone = TimeZone::get(&settings.business.time_zone)?;
            let rules = RetentionRules::in_force(zone.to_datetime(clock.now()).date());
            let rules = rules.ok_or("no rules of retention are in force")?;
            let rules = rules
                .with_years(RecordClass::ClinicalRecord, settings.retention.clinical_years)
                .with_years(RecordClass::Payments, settings.retention.financial_years);
            let erasure = erase_again(deps, &rules, &zone, &context, account).await?;
            for line in erasure.report {
                let until = line.until.map(|until| format!(" until {until}")).unwrap_or_default();
                println!("{}: {}{until} ({})", line.item.as_str(), line.fate.as_str(), line.why.ground);
            }
        }
    }
    Ok(())
}
