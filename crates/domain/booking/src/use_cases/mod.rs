//! One file per verb.

mod act;
mod book;
mod call_off_ruled;
mod cancel;
mod change_mode;
mod complete;
mod confirm_paid;
mod consume;
mod departures;
mod directory;
mod expire_hold;
mod no_show;
mod permit;
mod read;
mod record;
mod release_unpaid;
mod reschedule;
mod search_directory;
mod set_availability;
mod slots;
mod start;
mod time_off;

pub use act::{Access, Changed};
pub use amrutam_kernel::Idempotent;
pub use book::{Book, Booked, book};
pub use call_off_ruled::call_off_ruled;
pub use cancel::{Cancel, cancel};
pub use change_mode::change_mode;
pub use complete::{complete, end};
pub use confirm_paid::confirm_paid;
pub use consume::{BINDINGS, CONSUMER, handle};
pub use departures::{DEPARTURES_BINDINGS, DEPARTURES_CONSUMER, account_closed};
pub use directory::{DirectoryDeps, NewProfile, UpdatedProfile, create_profile, suspend, update_profile, verify};
pub use expire_hold::{expire_hold, expire_holds};
pub use no_show::no_show;
pub use read::{Detail, ListFilter, Seen, list_consultations, read_consultation, read_timeline};
pub use release_unpaid::release_unpaid;
pub use reschedule::reschedule;
pub use search_directory::{SeenPractitioner, read_doctor, search_doctors};
pub use set_availability::{AvailabilityDeps, AvailabilityState, extend_horizon, read_availability, set_availability};
pub use slots::list_open_slots;
pub use start::start;
pub use time_off::{AddedTimeOff, add_time_off, list_time_off, remove_time_off};

use crate::{
    model::{BookingRules, PaymentsMode},
    ports::{ConsultationStore, SlotLocks},
};
use amrutam_kernel::{Clock, IdSource, Pause, Policy, Sealer};

/// What the use cases on consultations work with.
#[derive(Clone, Copy)]
pub struct Deps<'a> {
    /// Consultations and slots.
    pub store: &'a dyn ConsultationStore,
    /// The filter in front of it.
    pub locks: &'a dyn SlotLocks,
    /// Seals what a patient writes.
    pub sealer: &'a dyn Sealer,
    /// Who may do what.
    pub policy: &'a dyn Policy,
    /// Time.
    pub clock: &'a dyn Clock,
    /// Ids and jitter.
    pub ids: &'a dyn IdSource,
    /// Waiting.
    pub pause: &'a dyn Pause,
    /// The numbers.
    pub rules: &'a BookingRules,
    /// Whether a visit is paid before it is confirmed.
    pub payments: PaymentsMode,
}
