//! Ages, first visits and follow-ups, who treats, who came.

use super::*;
use amrutam_clinical::model::{
    Condition, EarlierVisit, NoShowRefusal, Note, NoteContent, NoteRefusal, Presence, Side, age_on, decide_no_show,
    is_treating, visit_kind,
};
use jiff::{SignedDuration, civil::date};

#[test]
fn an_age_is_counted_in_birthdays() {
    let born = date(2008, 11, 30);
    for (day, age) in [
        (date(2026, 11, 29), Some(17)),
        (date(2026, 11, 30), Some(18)),
        (date(2008, 11, 30), Some(0)),
        (date(2008, 11, 29), None),
    ] {
        assert_eq!(age_on(born, day), age, "{day}");
    }
    assert_eq!(age_on(date(2008, 2, 29), date(2026, 2, 28)), Some(17), "a birthday of a leap day comes on 1 March");
    // The business day counts: at 20:00 UTC the day before it is the birthday in India.
    let mut visit = visit();
    visit.range = TimeRange::new(at("2026-05-16T20:00:00Z"), at("2026-05-16T20:30:00Z")).unwrap();
    assert_eq!(visit.age_years(&zone()), Some(36));
}

#[test]
fn a_follow_up_is_the_same_condition_with_the_same_practitioner_within_six_months() {
    let starts = at("2026-11-30T04:00:00Z");
    let kind = |conditions: &[&str], earlier: &[(&str, &str)], downgraded| {
        let conditions: Vec<_> = conditions.iter().map(|text| Condition::of(text)).collect();
        let earlier: Vec<_> = earlier
            .iter()
            .map(|(started, text)| EarlierVisit {
                consultation: ConsultationId::from_uuid(Uuid::nil()),
                started_at: at(started),
                conditions: vec![Condition::of(text)],
            })
            .collect();
        visit_kind(&rules(), &zone(), starts, &conditions, &earlier, downgraded)
    };
    let (first, follow_up) = (VisitKind::FirstVisit, VisitKind::FollowUp);
    assert_eq!(kind(&["Amlapitta"], &[], false), first);
    assert_eq!(kind(&["Amlapitta"], &[("2026-06-01T04:00:00Z", " amlapitta ")], false), follow_up);
    assert_eq!(kind(&["Amlapitta"], &[("2026-06-01T04:00:00Z", "Sandhivata")], false), first);
    assert_eq!(
        kind(&[], &[("2026-06-01T04:00:00Z", "Amlapitta")], false),
        first,
        "of nothing in particular there is none"
    );
    assert_eq!(kind(&["Amlapitta"], &[("2026-05-30T04:00:00Z", "Amlapitta")], false), follow_up, "to the day");
    assert_eq!(kind(&["Amlapitta"], &[("2026-05-30T03:59:59Z", "Amlapitta")], false), first);
    assert_eq!(
        kind(&["Amlapitta"], &[("2026-11-30T04:00:00Z", "Amlapitta")], false),
        first,
        "itself is not an earlier one"
    );
    assert_eq!(kind(&["Amlapitta"], &[("2026-06-01T04:00:00Z", "Amlapitta")], true), first, "downgraded");
}

#[test]
fn a_treating_relation_ends() {
    let ended = at("2025-11-30T04:30:00Z");
    assert!(is_treating(&rules(), ended, at("2026-11-30T04:30:00Z")));
    assert!(!is_treating(&rules(), ended, at("2026-11-30T04:30:01Z")));
}

#[test]
fn a_no_show_is_decided_by_who_was_there() {
    let starts = at("2026-11-30T04:00:00Z");
    let grace = SignedDuration::from_mins(10);
    let seen = |side, text: &str| Presence { side, at: at(text) };
    let doctor = seen(Side::Doctor, "2026-11-30T03:55:00Z");
    let patient = seen(Side::Patient, "2026-11-30T04:09:59Z");
    let late = seen(Side::Patient, "2026-11-30T04:10:01Z");
    let decide =
        |evidence: &[Presence], claimant, now: &str| decide_no_show(evidence, claimant, starts, grace, at(now));
    let later = "2026-11-30T04:12:00Z";
    assert_eq!(decide(&[doctor], Side::Doctor, later), Ok(Side::Patient));
    assert_eq!(decide(&[patient], Side::Patient, later), Ok(Side::Doctor));
    assert_eq!(decide(&[doctor], Side::Doctor, "2026-11-30T04:09:59Z"), Err(NoShowRefusal::TooEarly));
    assert_eq!(decide(&[doctor, patient], Side::Doctor, later), Err(NoShowRefusal::OtherSidePresent));
    assert_eq!(
        decide(&[doctor, late], Side::Doctor, later),
        Ok(Side::Patient),
        "who comes after the grace did not come"
    );
    assert_eq!(decide(&[], Side::Doctor, later), Err(NoShowRefusal::NotThereYourself));
}

#[test]
fn notes_are_written_during_the_visit_and_added_to_after_it() {
    let now = at("2026-11-30T04:10:00Z");
    let content = NoteContent { subjective: "burning after meals".into(), ..NoteContent::default() };
    let during = visit();
    let first = Note::write(None, &during, content.clone(), now).unwrap();
    let second = Note::write(Some(&first), &during, NoteContent::default(), now).unwrap();
    assert_eq!((first.version, second.version), (1, 2));
    assert_eq!(Note::add(Some(&first), &during, "late".into(), now), Err(NoteRefusal::Open));
    let mut after = visit();
    after.status = VisitStatus::Completed;
    assert_eq!(Note::write(Some(&first), &after, NoteContent::default(), now), Err(NoteRefusal::Closed));
    let added = Note::add(Some(&first), &after, "she called: better".into(), now).unwrap();
    assert_eq!((added.version, added.content.expose()), (2, &content), "what was written stays");
    let again = Note::add(Some(&added), &after, "better still".into(), now).unwrap();
    assert_eq!(again.addenda.expose().len(), 2);
    let mut before = visit();
    before.status = VisitStatus::Confirmed;
    assert_eq!(Note::write(None, &before, NoteContent::default(), now), Err(NoteRefusal::NotBegun));
    assert_eq!(Note::add(None, &before, "x".into(), now), Err(NoteRefusal::NotBegun));
}
