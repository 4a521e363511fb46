//! Properties of the pure model, each against a second answer that was written from the rules and not from the code.
#![expect(clippy::unwrap_used, reason = "tests")]

mod codes;
mod passwords;
mod sessions;
mod tries;

use jiff::Timestamp;

fn start() -> Timestamp {
    "2026-11-23T03:30:00Z".parse().unwrap()
}
