//! Pure decisions: how long what is kept, what is erased when, and what becomes of a copy.
#![allow(clippy::unwrap_used, reason = "tests")]

use amrutam_kernel::{AccountId, ConsultationId, ExportId};
use amrutam_privacy::model::{
    ARCHIVE_LIVES, Dossier, Erasure, ErasureState, Export, ExportState, Facts, FailureReason, Fate, HoldReference,
    Item, LiveVisit, MAX_DOSSIER, PREPARING_LIVES, RecordClass, RetentionRules, Step, WRITING_UP, decide_erasure,
    upcoming,
};
use jiff::{SignedDuration, Timestamp, civil::date, tz::TimeZone};
use proptest::prelude::*;
use uuid::Uuid;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn rules() -> RetentionRules {
    RetentionRules::in_force(date(2026, 11, 30)).unwrap()
}

fn kolkata() -> TimeZone {
    TimeZone::get("Asia/Kolkata").unwrap()
}

fn account() -> AccountId {
    AccountId::from_uuid(Uuid::from_u128(1))
}

fn facts(last_visit: Option<Timestamp>, on_hold: bool) -> Facts {
    Facts { account: account(), account_version: 3, calendar_version: 2, live: Vec::new(), last_visit, on_hold }
}

fn decided(facts: &Facts, cancelled: u32, now: &str) -> Erasure {
    decide_erasure(&rules(), &kolkata(), facts, cancelled, at(now))
}

fn line(erasure: &Erasure, item: Item) -> (Fate, Option<Timestamp>, &str) {
    let line = erasure.report.iter().find(|line| line.item == item).unwrap();
    (line.fate, line.until, &line.why.ground)
}

#[test]
fn every_release_has_rules_that_name_their_sources() {
    assert_eq!(RetentionRules::known().len(), 1);
    let years = |class| rules().rule(class).unwrap().years;
    assert_eq!(RecordClass::ALL.map(years), [Some(7), Some(8), None]);
    assert!(RetentionRules::in_force(date(2020, 1, 1)).is_none());
    let text = include_str!("../../data/retention-1.json");
    assert!(RetentionRules::parse(&text.replace("\"payments\"", "\"paymints\"")).is_err());
    assert!(
        RetentionRules::parse(&text.replace("right_to_erasure", "x").replace("medical_records_duty", " ")).is_err()
    );
}

#[test]
fn years_are_the_calendars_of_the_business_zone() {
    let keep = |since: &str| rules().keep_until(RecordClass::ClinicalRecord, at(since), &kolkata()).unwrap();
    // A visit that ended at 23:30 in India, on a day that was not yet over in London.
    assert_eq!(keep("2026-11-29T18:00:00Z"), at("2033-11-29T18:00:00Z"));
    // 00:10 of a 29th of February in India: seven years later there is none, and the record stays to the day after.
    assert_eq!(keep("2028-02-28T18:40:00Z"), at("2035-02-28T18:40:00Z"));
    assert_eq!(keep("2028-02-29T06:00:00Z"), at("2035-03-01T06:00:00Z"));
}

proptest! {
    #[test]
    fn nothing_ends_before_its_years(second in 0_i64..4_000_000_000, years in 0_u16..60, more in 0_i64..100_000_000) {
        let rules = rules().with_years(RecordClass::ClinicalRecord, Some(years));
        let keep = |second| {
            let since = Timestamp::from_second(second).unwrap();
            (since, rules.keep_until(RecordClass::ClinicalRecord, since, &kolkata()).unwrap())
        };
        let (since, until) = keep(second);
        prop_assert!(until >= since + SignedDuration::from_hours(24 * 365 * i64::from(years)));
        prop_assert!(until <= since + SignedDuration::from_hours(24 * (366 * i64::from(years) + 1)));
        prop_assert_eq!(years == 0, until == since);
        prop_assert!(keep(second + more).1 >= until);
    }

    #[test]
    fn what_is_kept_says_why_and_the_rest_is_erased(
        last in proptest::option::of(0_i64..2_000_000_000), on_hold: bool, cancelled in 0_u32..4,
    ) {
        let last = last.map(|second| Timestamp::from_second(second).unwrap());
        let now = at("2026-11-30T10:00:00Z");
        let erasure = decide_erasure(&rules(), &kolkata(), &facts(last, on_hold), cancelled, now);
        for line in &erasure.report {
            prop_assert!(!line.why.ground.is_empty() && !line.why.source.is_empty());
            prop_assert!(line.until.is_none() || line.fate == Fate::Kept);
        }
        for item in [Item::ContactDetails, Item::Identity, Item::SignIn, Item::Exports, Item::PendingMessages] {
            prop_assert_eq!(line(&erasure, item).0, Fate::Erased);
        }
        let counted = erasure.report.iter().find(|line| line.item == Item::UpcomingVisits).map(|line| line.count);
        prop_assert_eq!(counted, (cancelled > 0).then_some(Some(cancelled)));
        let unheld = line(&erasure, Item::UnheldVisits);
        let (fate, ground) = if on_hold { (Fate::Kept, "legal_hold") } else { (Fate::Erased, "right_to_erasure") };
        prop_assert_eq!((unheld.0, unheld.2, erasure.forgets_unheld()), (fate, ground, !on_hold));
        let (fate, until, ground) = line(&erasure, Item::ClinicalRecord);
        let expired = erasure.keep_until <= now;
        match fate {
            Fate::Erased => prop_assert!(expired && !on_hold),
            Fate::Kept if on_hold => prop_assert!(until.is_none() && ground == "legal_hold"),
            Fate::Kept => prop_assert!(!expired && until == Some(erasure.keep_until)),
            Fate::Cancelled => prop_assert!(false),
        }
        prop_assert_eq!(erasure.state, ErasureState::Locked);
    }
}

#[test]
fn without_a_visit_nothing_clinical_is_kept_and_with_one_for_seven_years() {
    let now = "2026-11-30T10:00:00Z";
    let nothing = decided(&facts(None, false), 0, now);
    assert_eq!((nothing.keep_until, line(&nothing, Item::ClinicalRecord).0), (at(now), Fate::Erased));
    let visited = decided(&facts(Some(at("2026-11-20T10:00:00Z")), false), 2, now);
    let until = at("2033-11-20T10:00:00Z");
    assert_eq!(line(&visited, Item::ClinicalRecord), (Fate::Kept, Some(until), "medical_records_duty"));
    assert_eq!(line(&visited, Item::Payments), (Fate::Kept, Some(at("2034-11-30T10:00:00Z")), "books_of_account"));
    assert_eq!(visited.rules, "retention-1");
    let long_ago = decided(&facts(Some(at("2015-11-20T10:00:00Z")), false), 0, now);
    assert_eq!(line(&long_ago, Item::ClinicalRecord).0, Fate::Erased);
}

#[test]
fn visits_ahead_are_called_off_and_one_under_way_is_waited_for() {
    let (start, end) = (at("2026-12-01T10:00:00Z"), at("2026-12-01T10:30:00Z"));
    let id = ConsultationId::from_uuid(Uuid::from_u128(2));
    let with =
        |begun| Facts { live: vec![LiveVisit { id, starts_at: start, ends_at: end, begun }], ..facts(None, false) };
    let second = SignedDuration::from_secs(1);
    assert_eq!(upcoming(&with(false), start - second), Ok(vec![id]));
    assert_eq!(upcoming(&with(false), start).unwrap_err().until, end);
    assert_eq!(upcoming(&with(false), end), Ok(Vec::new()), "nobody came");
    // Begun ten minutes early.
    assert_eq!(upcoming(&with(true), start - second).unwrap_err().until, end + WRITING_UP);
    assert_eq!(upcoming(&with(true), end + WRITING_UP), Ok(Vec::new()));
}

#[test]
fn a_copy_goes_from_its_order_to_its_one_taker() {
    let now = at("2026-11-30T10:00:00Z");
    let ordered = Export::new(ExportId::from_uuid(Uuid::from_u128(3)), account(), now);
    let made = Step::Made { bytes: 5, sha256: [1; 32] };
    let ready = ordered.step(made, now).unwrap();
    let taken = ready.step(Step::TakenAway, now).unwrap();
    assert_eq!((ready.version, taken.version, taken.state), (2, 3, ExportState::Downloaded));
    let (late, next_day) = (now + PREPARING_LIVES, now + ARCHIVE_LIVES);
    let failed = ordered.step(Step::RanOut, late).unwrap();
    assert_eq!(failed.state, ExportState::Failed(FailureReason::NotMade));
    assert_eq!(ready.step(Step::RanOut, next_day).unwrap().state, ExportState::Expired);
    assert_eq!((ready.seen_at(now).as_str(), ready.seen_at(next_day).as_str()), ("ready", "expired"));
    for (state, step, when) in [
        (&ordered, Step::TakenAway, now),
        (&ordered, Step::RanOut, now),
        (&ready, Step::RanOut, now),
        (&ready, Step::TakenAway, next_day),
        (&ready, made, now),
        (&ready, Step::GaveUp(FailureReason::TooLarge), now),
        (&taken, Step::TakenAway, now),
        (&taken, Step::RanOut, next_day),
        (&failed, made, late),
    ] {
        assert!(state.step(step, when).is_err(), "{state:?} {step:?}");
    }
    assert!(ordered.is_open() && ready.is_open() && !taken.is_open() && !failed.is_open());
}

#[test]
fn a_dossier_is_bounded_and_shows_nothing_of_itself() {
    let mut dossier = Dossier::default();
    dossier.add("one", vec![7; MAX_DOSSIER], []).unwrap();
    assert!(dossier.add("more", vec![7], []).is_err());
    let mut told = Dossier::default();
    told.add("name.json", b"canary".to_vec(), []).unwrap();
    let hex: String = format!("{:?}", b"canary".to_vec());
    assert!(!format!("{told:?}").contains(&hex));
}

#[test]
fn a_case_is_an_opaque_reference() {
    assert!("WP-2026/17.a".parse::<HoldReference>().is_ok());
    for bad in ["", "Asha Nair", "x".repeat(65).as_str(), "a\nb"] {
        assert!(bad.parse::<HoldReference>().is_err(), "{bad}");
    }
}
