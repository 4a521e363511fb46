//! Lists of consultations.

use super::{
    Harness,
    stage::{Booking, HOLD, Stage, minutes},
};
use crate::{
    model::{ConsultationStatus, PatientCalendar},
    ports::{ConsultationFilter, Whose},
};
use amrutam_kernel::{AccountId, ConsultationId, Limit, PageRequest};
use jiff::{SignedDuration, Timestamp};

fn filter(stage: &Stage<'_>, whose: Whose) -> ConsultationFilter {
    ConsultationFilter { whose, status: None, from: None, to: None, now: stage.now }
}

/// All pages of a list; checks that each is full but the last.
async fn walk(stage: &Stage<'_>, filter: &ConsultationFilter, size: u16) -> Vec<(Timestamp, ConsultationId)> {
    let limit = Limit::new(size).unwrap();
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = stage.consultations.list(filter, PageRequest { limit, after }).await.unwrap().judge(Clone::clone);
        found.extend(page.items.iter().map(|view| (view.consultation.range.start(), view.consultation.id)));
        let Some(next) = page.next else {
            assert!(page.items.len() <= usize::from(size));
            return found;
        };
        assert_eq!(page.items.len(), usize::from(size), "a page with a next one is full");
        assert_eq!(Some(&next), found.last(), "the cursor is the last item's key");
        assert_ne!(Some(next), after, "the next page begins where the last one did");
        after = Some(next);
    }
}

async fn ids(stage: &Stage<'_>, filter: &ConsultationFilter) -> Vec<ConsultationId> {
    walk(stage, filter, 100).await.into_iter().map(|(_, id)| id).collect()
}

/// Books several slots, one after another, for one patient.
async fn book_all(stage: &Stage<'_>, patient: AccountId, slots: &[crate::model::Slot]) -> Vec<Booking> {
    let mut calendar = PatientCalendar::default();
    let mut bookings = Vec::new();
    for slot in slots {
        let booking = stage.booking(slot, patient, &calendar);
        stage.consultations.commit(&booking.changes).await.unwrap();
        calendar = booking.calendar.clone();
        bookings.push(booking);
    }
    bookings
}

/// A patient's, a practitioner's (by account), everybody's.
pub async fn a_list_shows_whose_it_is(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let (doctor, slots) = stage.doctor_with_slots(2).await;
    let (colleague, others) = stage.doctor_with_slots(1).await;
    let mine = stage.book(&slots[0]).await;
    let theirs = stage.book(&slots[1]).await;
    let elsewhere = stage.book(&others[0]).await;
    let id = |booking: &Booking| booking.consultation.id;
    let patient = |booking: &Booking| Whose::Patient(booking.consultation.patient);

    assert_eq!(ids(&stage, &filter(&stage, patient(&mine))).await, [id(&mine)]);
    assert_eq!(ids(&stage, &filter(&stage, patient(&theirs))).await, [id(&theirs)]);
    assert_eq!(ids(&stage, &filter(&stage, Whose::Doctor(doctor.account))).await, [id(&mine), id(&theirs)]);
    assert_eq!(ids(&stage, &filter(&stage, Whose::Doctor(colleague.account))).await, [id(&elsewhere)]);
    for nobody in [Whose::Doctor(mine.consultation.patient), Whose::Patient(doctor.account)] {
        assert_eq!(ids(&stage, &filter(&stage, nobody)).await, []);
    }
    let everybody = ids(&stage, &filter(&stage, Whose::Everybody)).await;
    for booking in [&mine, &theirs, &elsewhere] {
        assert_eq!(everybody.iter().filter(|listed| **listed == id(booking)).count(), 1);
    }

    let page = PageRequest { limit: Limit::default(), after: None };
    let listed = stage.consultations.list(&filter(&stage, patient(&mine)), page).await.unwrap().judge(Clone::clone);
    let viewed = stage.consultations.view(id(&mine)).await.unwrap().map(|found| found.judge(Clone::clone));
    assert_eq!(listed.items.into_iter().next(), viewed, "a list's item is what the view shows");
}

/// `from` is inside, `to` is not.
pub async fn a_list_keeps_to_its_bounds(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let (_, slots) = stage.doctor_with_slots(3).await;
    let patient = stage.patient().await;
    let bookings = book_all(&stage, patient, &slots).await;
    let start = |index: usize| slots[index].range.start();
    let moment = SignedDuration::from_micros(1);
    let cases = [
        (None, None, 0..3),
        (Some(start(1)), None, 1..3),
        (Some(start(1) + moment), None, 2..3),
        (None, Some(start(1)), 0..1),
        (None, Some(start(1) + moment), 0..2),
        (Some(start(0)), Some(start(2)), 0..2),
        (Some(start(1)), Some(start(1)), 0..0),
        (Some(start(2) + moment), None, 0..0),
    ];
    for (from, to, expected) in cases {
        let filter = ConsultationFilter { from, to, ..filter(&stage, Whose::Patient(patient)) };
        let expected: Vec<_> = bookings[expected].iter().map(|booking| booking.consultation.id).collect();
        assert_eq!(ids(&stage, &filter).await, expected, "{from:?}..{to:?}");
    }
}

/// A hold that ran out is listed as expired, though nobody has changed the row.
pub async fn a_lists_status_is_as_of_now(harness: &dyn Harness) {
    use ConsultationStatus::{Cancelled, Confirmed, Expired, Pending};
    let stage = Stage::new(harness);
    let (_, slots) = stage.doctor_with_slots(4).await;
    let patient = stage.patient().await;
    let bookings = book_all(&stage, patient, &slots).await;
    let (pending, confirmed) = (bookings[0].consultation.id, bookings[1].consultation.id);
    let (cancelled, expired) = (bookings[2].consultation.id, bookings[3].consultation.id);
    for (index, to) in [(1, Confirmed), (2, Cancelled), (3, Expired)] {
        let (_, mut changes) = stage.becoming(&bookings[index].consultation, to);
        if !to.is_live() {
            changes.slots.push(crate::ports::SlotUpdate(bookings[index].slot.freed()));
        }
        stage.consultations.commit(&changes).await.unwrap();
    }
    let before = stage.now + HOLD - SignedDuration::from_micros(1);
    let after = stage.now + HOLD;
    for (now, status, expected) in [
        (before, Some(Pending), vec![pending]),
        (before, Some(Expired), vec![expired]),
        (after, Some(Pending), vec![]),
        (after, Some(Expired), vec![pending, expired]),
        (after, Some(Confirmed), vec![confirmed]),
        (after, Some(Cancelled), vec![cancelled]),
        (after, Some(ConsultationStatus::NoShow), vec![]),
        (after, None, vec![pending, confirmed, cancelled, expired]),
    ] {
        let filter = ConsultationFilter { status, now, ..filter(&stage, Whose::Patient(patient)) };
        assert_eq!(ids(&stage, &filter).await, expected, "{status:?} at {now}");
    }
    // The row itself is as it was stored: the reader asks `status_at`.
    assert_eq!(stage.consultation(pending).await.unwrap().status, Pending);
}

/// By start, then id; pages of every size give the same list.
pub async fn a_list_is_paged_without_loss_or_repetition(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let patient = stage.patient().await;
    // Three practitioners, so that three visits begin at each start and the id decides.
    let mut slots = Vec::new();
    for _ in 0..3 {
        slots.extend(stage.doctor_with_slots(3).await.1);
    }
    let bookings = book_all(&stage, patient, &slots).await;
    let mut expected: Vec<_> = bookings.iter().map(|b| (b.consultation.range.start(), b.consultation.id)).collect();
    expected.sort_unstable();
    let mine = filter(&stage, Whose::Patient(patient));
    for size in [1, 2, 3, 4, 8, 9, 10, 100] {
        assert_eq!(walk(&stage, &mine, size).await, expected, "pages of {size}");
    }
    let middle = ConsultationFilter { from: Some(expected[3].0), to: Some(expected[6].0), ..mine.clone() };
    assert_eq!(walk(&stage, &middle, 2).await, expected[3..6]);

    // Among everybody's too: no row twice, none of ours missing, in order.
    let everybody =
        ConsultationFilter { from: Some(expected[0].0), to: Some(expected[6].0), ..filter(&stage, Whose::Everybody) };
    let listed = walk(&stage, &everybody, 2).await;
    assert!(listed.is_sorted_by(|one, other| one < other), "in order, each once");
    assert!(expected[..6].iter().all(|key| listed.contains(key)));

    // A row that comes in between is no reason to lose or repeat another.
    let limit = Limit::new(4).unwrap();
    let first = stage.consultations.list(&mine, PageRequest { limit, after: None }).await.unwrap().judge(Clone::clone);
    let (_, more) = stage.doctor_with_slots(1).await;
    let calendar = stage.calendar(patient).await;
    stage.consultations.commit(&stage.booking(&more[0], patient, &calendar).changes).await.unwrap();
    let rest =
        stage.consultations.list(&mine, PageRequest { limit, after: first.next }).await.unwrap().judge(Clone::clone);
    let keys = |page: &amrutam_kernel::Page<crate::ports::ConsultationView, _>| {
        page.items.iter().map(|view| view.consultation.id).collect::<Vec<_>>()
    };
    let old: Vec<_> = expected[..8].iter().map(|(_, id)| *id).collect();
    assert_eq!([keys(&first), keys(&rest)].concat(), old);
}

/// Pending, and the hold ended at or before the instant: never more than asked for.
pub async fn run_out_holds_are_found(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let (_, slots) = stage.doctor_with_slots(4).await;
    let mut held = Vec::new();
    for slot in &slots {
        held.push(stage.book(slot).await.consultation);
    }
    let confirmed = stage.becoming(&held[2], ConsultationStatus::Confirmed);
    let (_, mut expired) = stage.becoming(&held[3], ConsultationStatus::Expired);
    let freed = stage.slot(slots[3].id).await.freed();
    expired.slots.push(crate::ports::SlotUpdate(freed));
    for changes in [confirmed.1, expired] {
        stage.consultations.commit(&changes).await.unwrap();
    }
    let ours =
        |found: Vec<ConsultationId>| -> Vec<_> { held.iter().map(|c| c.id).filter(|id| found.contains(id)).collect() };
    let ends = stage.now + HOLD;
    let before = ends - SignedDuration::from_micros(1);
    assert_eq!(ours(stage.consultations.expired_holds(before, u16::MAX).await.unwrap()), []);
    for now in [ends, ends + minutes(60)] {
        let found = stage.consultations.expired_holds(now, u16::MAX).await.unwrap();
        assert_eq!(ours(found), [held[0].id, held[1].id]);
    }
    assert_eq!(stage.consultations.expired_holds(ends, 1).await.unwrap().len(), 1);
    assert_eq!(stage.consultations.expired_holds(ends, 0).await.unwrap(), []);
}
