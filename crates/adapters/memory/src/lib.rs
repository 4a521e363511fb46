//! **The fake.** Every port in memory, for fast tests and as a worked example of an adapter. Nothing survives the
//! process, passwords and tokens are protected by nothing: never wire it into a program that serves people.
//!
//! It is a faithful fake: what the real database enforces (versions, uniqueness, slots that don't overlap, all or
//! nothing) is enforced here as well, and both pass the same contract suites. Where a use case breaks a rule that only a
//! defect can break, it answers [`PortError::Defect`](amrutam_kernel::PortError::Defect) with the rule's name.
//!
//! [`MemoryWorld`] is the database: one locked copy of state that implements the stores of every domain. Around it stand
//! [`ManualClock`], [`SeededIds`] and [`VirtualPause`] for time and chance, [`MemoryLog`], [`MemorySlotLocks`], [`FakeHasher`],
//! [`FakeTokens`], [`FakeLinks`], [`FakeSecrets`], [`FakeSigner`], [`FakeRenderer`], [`MemoryTotp`], [`MemoryGate`],
//! [`FakeGateway`], [`FakeSealer`], [`FakeArchiver`], [`FakeDestroyer`], [`MemoryKeyStore`], [`FakeKeks`], [`FakeIndex`],
//! [`RecordingMailer`], [`RecordingSmsSender`] and [`RecordingPublisher`] for the other technologies.
//!
//! ```
//! use amrutam_identity::ports::AccountStore;
//! use amrutam_memory::{ManualClock, MemoryWorld};
//! use std::sync::Arc;
//!
//! let clock = Arc::new(ManualClock::at("2026-11-23T03:30:00Z".parse()?));
//! let world = Arc::new(MemoryWorld::new(clock.clone()));
//! let accounts: Arc<dyn AccountStore> = world.clone();
//! // ... run use cases with `accounts`, then look at what they left behind:
//! assert!(world.outbox().is_empty());
//! # drop(accounts);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![deny(missing_docs)]

mod audit;
mod clinic;
mod clinical;
mod gate;
mod gateway;
mod keys;
mod links;
mod locks;
mod mail;
mod passwords;
mod privacy;
mod publisher;
mod sealing;
mod secrets;
mod sms;
mod stores;
mod time;
mod tokens;
mod totp;
mod world;

pub use audit::MemoryLog;
pub use clinic::Clinic;
pub use clinical::{FakeRenderer, FakeSigner};
pub use gate::MemoryGate;
pub use gateway::{FAKE_SIGNATURE, FAKE_SIGNED_AT, FakeGateway, GatewayFault, RefundMode};
pub use keys::{FakeKeks, MemoryKeyStore};
pub use links::FakeLinks;
pub use locks::{LockMode, MemorySlotLocks};
pub use mail::RecordingMailer;
pub use passwords::FakeHasher;
pub use privacy::{FakeArchiver, FakeDestroyer};
pub use publisher::RecordingPublisher;
pub use sealing::{FakeIndex, FakeSealer};
pub use secrets::FakeSecrets;
pub use sms::RecordingSmsSender;
pub use time::{ManualClock, SeededIds, VirtualPause};
pub use tokens::FakeTokens;
pub use totp::MemoryTotp;
pub use world::{Fault, MemoryWorld};
