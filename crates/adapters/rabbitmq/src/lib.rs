//! Events through RabbitMQ: published with confirms, consumed with a retry ladder and dead letters.
//!
//! ```text
//! amrutam.events (topic) --binding--> amrutam.<consumer> --> handler --ok--> ack
//!                                        ^                     |
//!                                        | TTL                 +--retry n--> amrutam.<consumer>.retry.<bound_ms>
//!                                        +---------------------------------------+
//!                                                              +--unavailable--> the longest step, as often as needed
//!                                                              +--6th failure, or permanent
//!                                                                   v
//!                        amrutam.dead (direct) --> amrutam.<consumer>.dead --> the dead-letter office
//! ```
//!
//! A message is acknowledged only after its handler's commit, or after the broker has confirmed its copy in a retry queue or
//! among the dead letters: it may come twice, it never gets lost. A dead letter is acknowledged when the
//! [`amrutam_kernel::DeadLetterOffice`] has it; requeued, it goes to its consumer's work queue alone. A new consumer is an [`amrutam_kernel::EventHandler`]
//! more in the lists given to [`Publisher::start`] and [`Consumers::start`].
#![deny(missing_docs)]

mod consumer;
mod dead;
mod handling;
mod link;
mod message;
mod publisher;
mod settings;
mod topology;

pub use consumer::{Consumers, Health, Parts};
pub use dead::DeadLetters;
pub use publisher::{Publisher, QueueDepth};
pub use settings::Settings;
pub use topology::{ConsumerSpec, Topology};
