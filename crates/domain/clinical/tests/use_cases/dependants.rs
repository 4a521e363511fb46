//! The people an account keeps: keeping them, booking for them, treating them.

use super::*;
use amrutam_booking::{
    model::{BookingRefusal, CancelReason},
    use_cases::{Cancel, Detail, cancel, change_mode, read_consultation},
};
use amrutam_clinical::{
    model::{
        AdmissionRefusal, Dependant, DependantDetails, DependantRefusal, DependantRelation, Guardian, IdType, Kinship,
        MAX_DEPENDANTS, Pregnancy, Subject,
    },
    ports::ClinicalStore,
    use_cases::{
        add_dependant, dry_run, list_dependants, put_draft, read_dependant, read_person, read_records, record_guardian,
        remove_dependant, sign, update_dependant, write_note,
    },
};
use amrutam_kernel::{Denial, Limit, PageRequest};

fn first_page<K>() -> PageRequest<K> {
    PageRequest { limit: Limit::default(), after: None }
}

fn daughter(born: &str) -> DependantDetails {
    DependantDetails {
        full_name: "Kavya Rao".into(),
        date_of_birth: born.parse().unwrap(),
        sex: Some(amrutam_clinical::model::Sex::Female),
        relation: DependantRelation::Child,
    }
}

fn mother() -> Guardian {
    Guardian { name: "Asha Rao".into(), relation: Kinship::Mother, id_type: IdType::Pan, id_last_four: "12A4".into() }
}

impl Stage {
    pub(super) async fn keeps(&self, born: &str) -> Dependant {
        add_dependant(self.deps(), &self.as_patient(), daughter(born), None).await.unwrap().0
    }

    async fn stranger(&self) -> Context {
        self.clinic.patient(person(&self.clinic, Role::Patient, "1990-01-01").await)
    }

    /// The same hour with another practitioner.
    async fn another_slot_at(&self, slot: &Slot) -> Slot {
        let doctor = self.clinic.another_doctor().await.unwrap();
        let slots = self.clinic.open_slots_of(doctor).await.unwrap();
        slots.into_iter().find(|other| other.range == slot.range).unwrap()
    }

    /// A visit of theirs that is under way.
    async fn treats(&self, dependant: &Dependant) -> ConsultationId {
        let slot = self.clinic.open_slots().await.unwrap().remove(0);
        let id = self.booked_for(&slot, Mode::Video, Some(dependant.id)).await.unwrap();
        self.clinic.clock.set(slot.range.start());
        if self.begin(id).await.is_err() {
            record_guardian(self.deps(), &self.as_patient(), id, mother()).await.unwrap();
            self.begin(id).await.unwrap();
        }
        id
    }
}

#[tokio::test]
async fn they_are_added_listed_changed_and_removed_by_their_keeper_alone() {
    let stage = stage().await;
    let (keeper, stranger) = (stage.as_patient(), stage.stranger().await);
    let kept = stage.keeps("2018-06-01").await;
    let listed = list_dependants(stage.deps(), &keeper, first_page()).await.unwrap();
    assert_eq!(listed.items, std::slice::from_ref(&kept));
    assert_eq!(list_dependants(stage.deps(), &stranger, first_page()).await.unwrap().items, []);
    let rename = |details: DependantDetails| DependantDetails { full_name: "Kavya S. Rao".into(), ..details };
    let stale = refused(update_dependant(stage.deps(), &keeper, kept.id, Some(&[7]), rename).await);
    assert!(matches!(stale, ClinicalError::Precondition));
    let renamed = update_dependant(stage.deps(), &keeper, kept.id, Some(&[1]), rename).await.unwrap();
    assert_eq!((renamed.details.expose().full_name.as_str(), renamed.version), ("Kavya S. Rao", 2));
    for look in [
        refused(read_dependant(stage.deps(), &stranger, kept.id).await),
        refused(update_dependant(stage.deps(), &stranger, kept.id, None, rename).await.map(drop)),
        refused(remove_dependant(stage.deps(), &stranger, kept.id, None).await),
    ] {
        assert!(matches!(look, ClinicalError::NotFound));
    }
    assert_eq!(stage.audited("dependant.read"), [Outcome::Denied]);
    let doctors = refused(list_dependants(stage.deps(), &stage.as_doctor(), first_page()).await);
    assert!(matches!(doctors, ClinicalError::Denied(Denial::Forbidden)));
    remove_dependant(stage.deps(), &keeper, kept.id, Some(&[2])).await.unwrap();
    assert!(matches!(refused(read_dependant(stage.deps(), &keeper, kept.id).await), ClinicalError::NotFound));
}

#[tokio::test]
async fn an_account_keeps_ten_at_most() {
    let stage = stage().await;
    let mut last = None;
    for _ in 0..MAX_DEPENDANTS {
        last = Some(stage.keeps("2018-06-01").await);
    }
    let one_more = async || add_dependant(stage.deps(), &stage.as_patient(), daughter("2018-06-01"), None).await;
    assert!(matches!(refused(one_more().await), ClinicalError::Dependant(DependantRefusal::TooMany)));
    remove_dependant(stage.deps(), &stage.as_patient(), last.unwrap().id, None).await.unwrap();
    one_more().await.unwrap();
}

#[tokio::test]
async fn nobody_is_treated_twice_at_one_time_but_a_family_may_be() {
    let mut stage = stage().await;
    let (one, other) = (stage.keeps("2018-06-01").await, stage.keeps("2016-02-01").await);
    let slots = stage.clinic.open_slots().await.unwrap();
    let at = slots[2].clone();
    let first = stage.booked_for(&at, Mode::Video, Some(one.id)).await.unwrap();
    let seen = read_consultation(stage.clinic.deps(), &stage.as_doctor(), first, Detail::Words).await.unwrap();
    assert_eq!((seen.view.consultation.patient, seen.view.consultation.dependant), (stage.patient, Some(one.id)));
    let elsewhere = stage.another_slot_at(&at).await;
    let twice = stage.booked_for(&elsewhere, Mode::Video, Some(one.id)).await;
    assert!(matches!(twice, Err(BookError::Refused(BookingRefusal::OverlappingConsultation))), "{twice:?}");
    stage.booked_for(&elsewhere, Mode::Video, Some(other.id)).await.unwrap();
    let third = stage.another_slot_at(&at).await;
    stage.booked_for(&third, Mode::Video, None).await.unwrap();
    let fourth = stage.another_slot_at(&at).await;
    let again = stage.booked_for(&fourth, Mode::Video, None).await;
    assert!(matches!(again, Err(BookError::Refused(BookingRefusal::OverlappingConsultation))), "{again:?}");
    assert_eq!(stage.clinic.world.violations(), Vec::<String>::new());

    let anothers = stage.keeps("2018-06-01").await;
    stage.patient = person(&stage.clinic, Role::Patient, "1990-01-01").await;
    let stolen = stage.booked_for(&slots[4], Mode::Video, Some(anothers.id)).await;
    assert!(matches!(stolen, Err(BookError::Refused(BookingRefusal::UnknownDependent))), "{stolen:?}");
}

#[tokio::test]
async fn who_has_a_visit_to_come_stays_and_a_record_outlives_the_keeping() {
    let stage = stage().await;
    let kept = stage.keeps("2001-06-01").await;
    let slot = stage.clinic.open_slots().await.unwrap().remove(3);
    let id = stage.booked_for(&slot, Mode::Video, Some(kept.id)).await.unwrap();
    let remove = async || remove_dependant(stage.deps(), &stage.as_patient(), kept.id, None).await;
    assert!(matches!(refused(remove().await), ClinicalError::Dependant(DependantRefusal::VisitAhead)));
    let command = Cancel { id, reason: CancelReason::PatientOther, idempotency: None };
    cancel(stage.clinic.deps(), &stage.as_patient(), command).await.unwrap();
    remove().await.unwrap();
    assert_eq!(stage.audited("dependant.remove"), [Outcome::Failed, Outcome::Allowed]);
    let visit = stage.clinic.world.visit(id).await.unwrap().unwrap();
    assert_eq!(visit.person.expose().name, "Kavya Rao", "what was booked still says for whom");
    let gone = stage.booked_for(&slot, Mode::Video, Some(kept.id)).await;
    assert!(matches!(gone, Err(BookError::Refused(BookingRefusal::UnknownDependent))));
    assert_eq!(stage.clinic.world.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn a_childs_visit_waits_for_an_adult_whatever_the_keepers_age() {
    let stage = stage().await;
    let child = stage.keeps("2018-06-01").await;
    let slot = stage.clinic.open_slots().await.unwrap().remove(0);
    let id = stage.booked_for(&slot, Mode::Video, Some(child.id)).await.unwrap();
    stage.clinic.clock.set(slot.range.start());
    let refusal = refused(stage.begin(id).await);
    assert!(matches!(refusal, ClinicalError::Admission(AdmissionRefusal::GuardianRequired)));
    // The keeper may be that adult, but must be recorded as such.
    let recorded = record_guardian(stage.deps(), &stage.as_patient(), id, mother()).await.unwrap();
    assert_eq!(recorded.subject, child.subject());
    stage.begin(id).await.unwrap();
}

#[tokio::test]
async fn a_grown_up_whom_a_minors_account_books_for_needs_none() {
    let stage = stage_of("2012-01-01").await;
    let parent = stage.keeps("1960-01-01").await;
    let slot = stage.clinic.open_slots().await.unwrap().remove(0);
    let id = stage.booked_for(&slot, Mode::Video, Some(parent.id)).await.unwrap();
    stage.clinic.clock.set(slot.range.start());
    stage.begin(id).await.unwrap();
}

#[tokio::test]
async fn their_prescription_and_record_are_theirs() {
    let stage = stage().await;
    let kept = stage.keeps("2001-06-01").await;
    let id = stage.treats(&kept).await;
    for side in [stage.as_patient(), stage.as_doctor()] {
        assert_eq!(read_person(stage.deps(), &side, id).await.unwrap().expose().name, "Kavya Rao");
    }
    let stranger = stage.stranger().await;
    assert!(matches!(refused(read_person(stage.deps(), &stranger, id).await), ClinicalError::NotFound));
    let note = write_note(stage.deps(), &stage.as_doctor(), id, Default::default(), None).await.unwrap();
    assert_eq!((note.subject, note.subject.key_owner().as_uuid()), (kept.subject(), kept.id.as_uuid()));
    let content = PrescriptionContent { pregnancy: Some(Pregnancy::No), ..complete_content() };
    put_draft(stage.deps(), &stage.as_doctor(), id, content, None).await.unwrap();
    let signed = sign(stage.deps(), &stage.as_doctor(), id, None).await.unwrap();
    let facts = signed.signed.unwrap().into_exposed();
    assert_eq!((facts.person, facts.age_years), (kept.details.expose().person(), 25));
    stage.end(id).await;

    let read = async |who: &Context, dependant| {
        read_records(stage.deps(), who, stage.patient, dependant, None, first_page()).await.map(|page| page.items.len())
    };
    assert_eq!(read(&stage.as_patient(), Some(kept.id)).await.unwrap(), 1);
    assert_eq!(read(&stage.as_patient(), None).await.unwrap(), 0, "the keeper's own record is another");
    assert_eq!(read(&stage.as_doctor(), Some(kept.id)).await.unwrap(), 1);
    assert!(matches!(refused(read(&stage.as_doctor(), None).await), ClinicalError::NotFound));
    let sibling = stage.keeps("1999-06-01").await;
    assert!(matches!(refused(read(&stage.as_doctor(), Some(sibling.id)).await), ClinicalError::NotFound));
    assert!(matches!(refused(read(&stranger, Some(kept.id)).await), ClinicalError::NotFound));
    let their_own =
        read_records(stage.deps(), &stranger, stranger.actor.account().unwrap(), Some(kept.id), None, first_page());
    assert!(matches!(refused(their_own.await.map(|page| page.items.len())), ClinicalError::NotFound));
    remove_dependant(stage.deps(), &stage.as_patient(), kept.id, None).await.unwrap();
    assert_eq!(read(&stage.as_patient(), Some(kept.id)).await.unwrap(), 1, "the record outlives the keeping");
}

#[tokio::test]
async fn the_keepers_earlier_visits_make_no_follow_up_of_a_dependants() {
    let stage = stage().await;
    let own = stage.begun().await;
    put_draft(stage.deps(), &stage.as_doctor(), own, complete_content(), None).await.unwrap();
    sign(stage.deps(), &stage.as_doctor(), own, None).await.unwrap();
    stage.end(own).await;
    let kept = stage.keeps("2001-06-01").await;
    let id = stage.treats(&kept).await;
    let assessed = dry_run(stage.deps(), &stage.as_doctor(), id, Some(complete_content())).await.unwrap();
    assert_eq!(assessed.kind, amrutam_clinical::model::VisitKind::FirstVisit);
    assert_eq!(stage.clinic.world.visit(own).await.unwrap().unwrap().subject, Subject::Account(stage.patient));
}

#[tokio::test]
async fn what_may_be_signed_follows_from_the_mode_in_force() {
    let stage = stage().await;
    let id = stage.begun().await;
    let mut content = complete_content();
    content.items = vec![item("AYU-CHU-023", "3", Unit::Gram, "84")];
    put_draft(stage.deps(), &stage.as_doctor(), id, content, None).await.unwrap();
    let denied = async || {
        let assessed = dry_run(stage.deps(), &stage.as_doctor(), id, None).await.unwrap();
        assessed.items[0].decision.denials().iter().map(|finding| finding.rule).collect::<Vec<_>>()
    };
    assert_eq!(denied().await, []);
    change_mode(stage.clinic.deps(), &stage.as_patient(), id, Mode::Audio, None).await.unwrap();
    assert_eq!(denied().await, [Rule::ListA], "a first visit's list A is for video only");
    let refusal = refused(sign(stage.deps(), &stage.as_doctor(), id, None).await);
    assert!(matches!(refusal, ClinicalError::Objections(objections) if objections[0].rule == Rule::ListA));
    change_mode(stage.clinic.deps(), &stage.as_doctor(), id, Mode::Video, None).await.unwrap();
    let signed = sign(stage.deps(), &stage.as_doctor(), id, None).await.unwrap();
    assert_eq!(signed.signed.unwrap().expose().mode, amrutam_clinical::model::Mode::Video);
}
