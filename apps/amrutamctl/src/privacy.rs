//! Legal holds: what a court or a claim keeps beyond its time.

use crate::{accounts::operator, settings::Settings};
use amrutam_crypto::{SystemClock, SystemIds};
use amrutam_identity::PolicyTable;
use amrutam_kernel::AccountId;
use amrutam_postgres::Postgres;
use amrutam_privacy::{
    model::HoldReference,
    use_cases::{ErasureDeps, lift_hold, place_hold},
};
use clap::Subcommand;
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
    }
    Ok(())
}
