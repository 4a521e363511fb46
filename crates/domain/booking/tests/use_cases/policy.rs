//! Every use case, by everybody, on their own and on others': what they are told, and that a denial is on the record.

use super::*;
use amrutam_booking::{
    AvailabilityError, ConsultationError, DirectoryError, RescheduleError,
    model::{CancelReason, EndReason, IdentityCheck, PractitionerStatus},
    ports::{ConsultationStore, DirectoryStore},
    use_cases::{
        Access, Changed, Detail, NewProfile, add_time_off, cancel, change_mode, complete, create_profile, end,
        expire_hold, extend_horizon, list_consultations, list_open_slots, list_time_off, no_show, read_availability,
        read_consultation, read_doctor, read_timeline, remove_time_off, reschedule, set_availability, start, suspend,
        update_profile, verify,
    },
};
use amrutam_kernel::{
    Actor, AuditEntry, Clock, Context, Denial, DoctorId, IdSource, Limit, Outcome, PageRequest, SecondFactor,
    TimeOffId, TimeRange,
};
use jiff::SignedDuration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Book,
    Read,
    Timeline,
    List,
    Cancel,
    Reschedule,
    Start,
    Complete,
    End,
    ChangeMode,
    NoShow,
    Expire,
    Create,
    Update,
    Verify,
    Suspend,
    ReadDoctor,
    ReadHours,
    SetHours,
    Extend,
    AddTimeOff,
    RemoveTimeOff,
    ListTimeOff,
    Slots,
}
use Deed::*;

/// What a use case's errors say of the policy, in the letters of [`TABLE`].
trait Verdict {
    fn letter(&self) -> char;
}

fn denied(denial: Denial) -> char {
    match denial {
        Denial::NotSignedIn => '?',
        Denial::Forbidden => 'x',
        Denial::Hidden => '-',
        Denial::SecondFactorRequired => '2',
        Denial::StepUpRequired => '5',
    }
}

impl Verdict for BookError {
    fn letter(&self) -> char {
        match self {
            Self::Denied(denial) => denied(*denial),
            _ => 'f',
        }
    }
}

macro_rules! verdict {
    ($($error:ty),+) => {$(
        impl Verdict for $error {
            fn letter(&self) -> char {
                match self {
                    Self::Denied(denial) => denied(*denial),
                    Self::NotFound => '-',
                    // Let in, and refused for the state of things.
                    _ => 'f',
                }
            }
        }
    )+};
}

verdict!(ConsultationError, DirectoryError, AvailabilityError);

impl Verdict for RescheduleError {
    fn letter(&self) -> char {
        match self {
            Self::Consultation(error) => error.letter(),
            Self::Refused(_) => 'f',
        }
    }
}

fn first_page<K>() -> PageRequest<K> {
    PageRequest { limit: Limit::default(), after: None }
}

fn letter<T, E: Verdict>(result: Result<T, E>) -> char {
    result.map_or_else(|error| error.letter(), |_| 'f')
}

fn seen<T, E: Verdict>(result: Result<T, E>, access: impl Fn(&T) -> Access) -> char {
    match result {
        Ok(seen) if access(&seen) == Access::Masked => 'm',
        other => letter(other),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scene {
    Listed,
    Suspended,
    Absent,
}

const SCENES: [Scene; 3] = [Scene::Listed, Scene::Suspended, Scene::Absent];

/// What is acted on, anew for every cell: a visit that is about to begin, and its practitioner.
struct Stage {
    clinic: Clinic,
    patient: AccountId,
    visit: ConsultationId,
    doctor: DoctorId,
    free: SlotId,
}

impl Stage {
    async fn set(scene: Scene) -> Self {
        let clinic = clinic().await;
        let patient = patient(&clinic, "asha").await;
        let (visit, free) = (booked(&clinic, patient, 2).await, slot(&clinic, 5).await);
        let begins = clinic
            .world
            .view(visit)
            .await
            .unwrap()
            .map(|found| found.judge(Clone::clone))
            .unwrap()
            .consultation
            .range
            .start();
        clinic.clock.set(begins - SignedDuration::from_mins(5));
        let unknown = || clinic.ids.uuid_v7(clinic.clock.now());
        let (visit, doctor) = match scene {
            Scene::Listed => (visit, clinic.doctor),
            Scene::Suspended => {
                let operator = clinic.context(Actor::System("test"));
                suspend(clinic.directory(), &operator, clinic.doctor, None).await.unwrap();
                (visit, clinic.doctor)
            }
            Scene::Absent => (ConsultationId::from_uuid(unknown()), DoctorId::from_uuid(unknown())),
        };
        Self { clinic, patient, visit, doctor, free }
    }

    /// In the order of the columns.
    async fn everybody(&self) -> Vec<(&'static str, Context)> {
        let clinic = &self.clinic;
        let account = |id, role| clinic.context(Actor::Account { id, role });
        let mut all = vec![
            ("its patient", account(self.patient, Role::Patient)),
            ("its doctor", account(clinic.doctor_account, Role::Doctor)),
        ];
        let others = [
            ("another patient", Role::Patient),
            ("another doctor", Role::Doctor),
            ("support", Role::Support),
            ("an admin", Role::Admin),
            ("an auditor", Role::Auditor),
        ];
        for (name, role) in others {
            let id = clinic.person(role, &format!("other.{role}@amrutam.example")).await.unwrap();
            all.push((name, account(id, role)));
        }
        all.push(("the system", clinic.context(Actor::System("test"))));
        all.push(("nobody", clinic.context(Actor::Anonymous)));
        all
    }

    async fn act(&self, deed: Deed, who: &Context) -> char {
        let clinic = &self.clinic;
        let (deps, directory, hours) = (clinic.deps(), clinic.directory(), clinic.availability());
        let (visit, doctor) = (self.visit, self.doctor);
        let coming = TimeRange::new(clinic.clock.now(), clinic.clock.now() + SignedDuration::from_hours(24)).unwrap();
        let changed = |changed: &(Changed, _)| changed.0.access;
        match deed {
            Book => letter(book(deps, who, wanted(clinic, self.free)).await),
            Read => seen(read_consultation(deps, who, visit, Detail::Words).await, |seen| {
                assert_eq!(seen.reason.is_some(), seen.access == Access::Full, "the reason is for the two sides alone");
                seen.access
            }),
            Timeline => letter(read_timeline(deps, who, visit).await),
            List => seen(list_consultations(deps, who, Default::default(), first_page()).await, |page| {
                page.items.first().map_or(Access::Full, |seen| seen.access)
            }),
            Cancel => {
                let own = who.actor.is(clinic.doctor_account, Role::Doctor);
                let reason = if own { CancelReason::DoctorOther } else { CancelReason::PatientOther };
                let command = amrutam_booking::use_cases::Cancel { id: visit, reason, idempotency: None };
                seen(cancel(deps, who, command).await, changed)
            }
            Reschedule => seen(reschedule(deps, who, visit, self.free, None).await, changed),
            Start => seen(start(deps, who, visit, IdentityCheck::Asked, None).await, changed),
            Complete => seen(complete(deps, who, visit, None, None).await, changed),
            End => seen(end(deps, who, visit, EndReason::Concluded, None).await, changed),
            ChangeMode => seen(change_mode(deps, who, visit, Mode::Audio, None).await, changed),
            NoShow => seen(no_show(deps, who, visit, None).await, changed),
            Expire => letter(expire_hold(deps, who, visit).await),
            Create => {
                let own = self.clinic.world.by_id(clinic.doctor).await.unwrap().unwrap();
                let profile = NewProfile { account: Some(own.account), details: own.details };
                letter(create_profile(directory, who, profile, None).await)
            }
            Update => letter(update_profile(directory, hours, who, doctor, None, |details| details).await),
            Verify => letter(verify(directory, who, doctor, None).await),
            Suspend => letter(suspend(directory, who, doctor, None).await),
            ReadDoctor => seen(read_doctor(directory, who, doctor).await, |seen| seen.access),
            ReadHours => letter(read_availability(hours, who, doctor).await),
            SetHours => letter(set_availability(hours, who, doctor, Vec::new(), None).await),
            Extend => letter(extend_horizon(hours, who, doctor).await),
            AddTimeOff => letter(add_time_off(hours, who, doctor, coming, None, None).await),
            RemoveTimeOff => {
                let system = clinic.context(Actor::System("test"));
                let added = add_time_off(hours, &system, doctor, coming, None, None).await;
                let unknown = || TimeOffId::from_uuid(clinic.ids.uuid_v7(clinic.clock.now()));
                let id = added.map_or_else(|_| unknown(), |(off, _)| off.id);
                letter(remove_time_off(hours, who, doctor, id).await)
            }
            ListTimeOff => letter(list_time_off(hours, who, doctor).await),
            Slots => letter(list_open_slots(hours, who, doctor, coming, None, first_page()).await),
        }
    }

    fn denials(&self) -> Vec<AuditEntry> {
        self.clinic.world.audit().into_iter().filter(|entry| entry.outcome == Outcome::Denied).collect()
    }

    /// What they are told, and that it is on the record when, and only when, it is a denial.
    async fn told(&self, deed: Deed, name: &str, who: &Context, cell: &str) -> char {
        let before = self.denials().len();
        let told = self.act(deed, who).await;
        let denials = self.denials().split_off(before);
        if denials.is_empty() {
            assert!(!"x?25".contains(told), "{cell}: {told} is not on the record");
            return if told == '-' { '.' } else { told };
        }
        assert!("-x?25".contains(told) && denials.len() == 1, "{cell}: {told} with {denials:?}");
        let (denial, (about, patient)) = (&denials[0], self.object(deed));
        assert_eq!((denial.action, denial.actor), (name, who.actor), "{cell}");
        assert_eq!((denial.resource_id.clone(), denial.patient), (about, patient), "{cell}");
        told
    }

    /// What the record of a denial names, and whose it is.
    fn object(&self, deed: Deed) -> (String, Option<AccountId>) {
        let known = self.clinic.world.consultations().iter().any(|visit| visit.id == self.visit);
        match deed {
            Book => (self.free.to_string(), None),
            List | Create => (String::new(), None),
            Read | Timeline | Cancel | Reschedule | Start | Complete | End | ChangeMode | NoShow | Expire => {
                (self.visit.to_string(), known.then_some(self.patient))
            }
            _ => (self.doctor.to_string(), None),
        }
    }
}

/// By columns: the visit's patient, its practitioner, another patient, another doctor, support, an admin, an auditor, the
/// system, nobody. `f` let in, `m` let in and shown it masked, `-` denied as if it did not exist, `.` it does not exist,
/// `x` not for this role, `?` not signed in. First with a listed practitioner, then with a suspended one, then with ids of
/// nothing.
#[rustfmt::skip]
const TABLE: [(Deed, &str, [&str; 3]); 24] = [
    (Book,          "consultation.book",       ["fxfxxxxx?", "fxfxxxxx?", "fxfxxxxx?"]),
    (Read,          "consultation.read",       ["ff--mmxm?", "ff--mmxm?", "----..x.?"]),
    (Timeline,      "consultation.timeline",   ["ff--ffxf?", "ff--ffxf?", "----..x.?"]),
    (List,          "consultation.list",       ["ffffmmxm?", "ffffmmxm?", "ffffmmxm?"]),
    (Cancel,        "consultation.cancel",     ["ff--xmxm?", "ff--xmxm?", "----x.x.?"]),
    (Reschedule,    "consultation.reschedule", ["fx--xxxm?", "fx--xxxf?", "----xxx.?"]),
    (Start,         "consultation.start",      ["xf--xxxm?", "xx--xxxx?", "----xxx.?"]),
    (Complete,      "consultation.complete",   ["xf--xxxf?", "xf--xxxf?", "----xxx.?"]),
    (End,           "consultation.end",         ["ff--xxxx?", "ff--xxxx?", "----xxxx?"]),
    (ChangeMode,    "consultation.change_mode", ["ff--xxxx?", "ff--xxxx?", "----xxxx?"]),
    (NoShow,        "consultation.no_show",    ["ff--xxxf?", "ff--xxxf?", "----xxx.?"]),
    (Expire,        "consultation.expire",     ["xx--xxxf?", "xx--xxxf?", "----xxx.?"]),
    (Create,        "doctor.create",           ["xfx-xfxf?", "xfx-xfxf?", "xfx-xfxf?"]),
    (Update,        "doctor.update",           ["xfx-xfxx?", "-f---f-x?", "-----.-x?"]),
    (Verify,        "doctor.verify",           ["xxxxxfxf?", "xxxxxfxf?", "xxxxx.x.?"]),
    (Suspend,       "doctor.suspend",          ["xxxxxfxf?", "xxxxxfxf?", "xxxxx.x.?"]),
    (ReadDoctor,    "doctor.read",             ["mfmmmfmfm", "-f---f-f-", "........."]),
    (ReadHours,     "availability.read",       ["xfx-xfxf?", "-f---f-f?", "-----.-.?"]),
    (SetHours,      "availability.set",        ["xfx-xfxf?", "-f---f-f?", "-----.-.?"]),
    (Extend,        "availability.extend",     ["xfx-xfxf?", "-f---f-f?", "-----.-.?"]),
    (AddTimeOff,    "availability.time_off",   ["xfx-xfxf?", "-f---f-f?", "-----.-.?"]),
    (RemoveTimeOff, "availability.time_off",   ["xfx-xfxf?", "-f---f-f?", "-----.-.?"]),
    (ListTimeOff,   "availability.time_off",   ["xfx-xfxf?", "-f---f-f?", "-----.-.?"]),
    (Slots,         "slot.read",               ["fffffffff", ".........", "........."]),
];

#[tokio::test]
async fn everybody_may_what_the_table_says_and_each_denial_is_on_the_record() {
    for (deed, name, rows) in TABLE {
        for (scene, row) in SCENES.into_iter().zip(rows) {
            for (column, expected) in row.chars().enumerate() {
                let stage = Stage::set(scene).await;
                let (whom, who) = stage.everybody().await.swap_remove(column);
                let cell = format!("{deed:?} by {whom}, {scene:?}");
                assert_eq!(stage.told(deed, name, &who, &cell).await, expected, "{cell}");
            }
        }
    }
}

#[tokio::test]
async fn who_lacks_their_second_factor_is_let_in_nowhere_and_that_is_on_the_record() {
    for (deed, name, [row, ..]) in TABLE {
        // The system and nobody have no factor to lack.
        for (column, with_factor) in row.chars().take(7).enumerate() {
            let stage = Stage::set(Scene::Listed).await;
            let (whom, mut who) = stage.everybody().await.swap_remove(column);
            who.sign_in.as_mut().unwrap().second_factor = SecondFactor::Missing;
            let expected = match (deed, with_factor) {
                // What is public is no matter of signing in.
                (Slots, _) => 'f',
                (ReadDoctor, _) => 'm',
                (_, 'f' | 'm') => '2',
                (_, denied) => denied,
            };
            let cell = format!("{deed:?} by {whom}");
            assert_eq!(stage.told(deed, name, &who, &cell).await, expected, "{cell}");
        }
    }
    let stage = Stage::set(Scene::Suspended).await;
    let (_, mut own) = stage.everybody().await.swap_remove(1);
    own.sign_in.as_mut().unwrap().second_factor = SecondFactor::Missing;
    assert_eq!(stage.told(ReadDoctor, "doctor.read", &own, "what is not public").await, '2');
}

#[tokio::test]
async fn suspending_asks_for_a_factor_shown_within_five_minutes() {
    for (shown, expected) in [(None, '5'), (Some(300), '5'), (Some(299), 'f')] {
        let stage = Stage::set(Scene::Listed).await;
        let (_, mut admin) = stage.everybody().await.swap_remove(5);
        let ago = |seconds| stage.clinic.clock.now() - SignedDuration::from_secs(seconds);
        admin.sign_in.as_mut().unwrap().second_factor_at = shown.map(ago);
        assert_eq!(stage.told(Suspend, "doctor.suspend", &admin, "suspend").await, expected, "{shown:?}");
        let status = stage.clinic.world.by_id(stage.doctor).await.unwrap().unwrap().status;
        assert_eq!(status == PractitionerStatus::Suspended, expected == 'f');
    }
}

#[tokio::test]
async fn a_person_without_a_session_is_let_in_nowhere() {
    for (deed, name, _) in TABLE {
        for column in 0..7 {
            let stage = Stage::set(Scene::Listed).await;
            let (whom, mut who) = stage.everybody().await.swap_remove(column);
            who.sign_in = None;
            let told = stage.told(deed, name, &who, whom).await;
            let public = matches!((deed, told), (Slots, 'f') | (ReadDoctor, 'm'));
            assert!(public || "-x?".contains(told), "{deed:?} by {whom}: {told}");
        }
    }
}
