//! Measures the stack that `make run` starts, and lets many clients fight for one slot.
//!
//! It makes its own practitioners, patients and slots, and sends load to loopback only. `docs/performance.md` tells how to
//! read what it prints.

mod accounts;
mod audit;
mod booking;
mod cpu;
mod http;
mod load;
mod pgbench;
mod race;
mod seal;
mod stack;
mod webhooks;
mod world;

use clap::{Parser, Subcommand};
use std::{error::Error, process::ExitCode};
use tokio::signal::unix::{SignalKind, signal};

type Fallible<T> = Result<T, Box<dyn Error>>;

#[derive(Debug, Parser)]
#[command(version, about = "Measures the running stack (make run)")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// How many bookings, how fast, and what pgbench reaches on the same server.
    Booking(booking::Options),
    /// What the audit trail bears, in a database of its own; asks for ADMIN_DATABASE_URL and DATABASE_URL, not for the stack.
    Audit(audit::Options),
    /// Many clients, one slot: one winner each time, also under faults.
    Race(race::Options),
    /// What sealing and opening a value cost; asks no server.
    Seal(seal::Options),
    /// How fast a gateway's notifications are answered, wrong ones too; asks for a stack whose visits are paid.
    Webhooks(webhooks::Options),
}

/// Somebody wants us to end: what is under way is undone.
async fn interrupted() -> Fallible<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupt = tokio::signal::ctrl_c() => interrupt?,
        _ = terminate.recv() => {}
    }
    Err("interrupted".into())
}

// One thread: whatever the generator uses, the servers lack.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Booking(options) => booking::run(&options).await,
        Command::Audit(options) => audit::run(&options).await,
        Command::Race(options) => race::run(&options).await,
        Command::Seal(options) => seal::run(&options).await,
        Command::Webhooks(options) => webhooks::run(&options).await,
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
