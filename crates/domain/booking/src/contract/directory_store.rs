//! Profiles and the search among them.

use super::{
    Harness,
    stage::{HOLD, Stage, minutes, modes, word},
};
use crate::{
    model::{MedicalSystem, Mode, Practitioner, PractitionerStatus},
    ports::{DoctorFilter, DoctorKey, DoctorSort, ProfileInserted},
};
use amrutam_kernel::{
    AccountId, AggregateRef, CommitError, CorrelationId, Currency, DoctorId, Effects, EventEnvelope, EventId, Limit,
    Money, Role, TimeRange,
};
use jiff::civil::date;

fn effects(stage: &Stage<'_>, about: DoctorId) -> Effects {
    Effects {
        events: vec![EventEnvelope {
            id: EventId::from_uuid(stage.id()),
            event_type: "practitioner.happened.v1".to_owned(),
            aggregate: AggregateRef { kind: "practitioner".to_owned(), id: about.as_uuid(), version: 1 },
            occurred_at: stage.now,
            actor: "system:contract".to_owned(),
            correlation_id: CorrelationId::from(stage.id()),
            trace_parent: None,
            payload: serde_json::json!({ "doctor_id": about }),
        }],
        audit: vec![stage.audit(about.to_string())],
        ..Effects::default()
    }
}

async fn on_record(stage: &Stage<'_>, about: DoctorId) -> (usize, usize) {
    let announced = stage.harness.announced(about.as_uuid()).await;
    (announced.len(), stage.harness.audited(&about.to_string()).await.len())
}

/// With every field empty and every field full, in every status and system.
pub async fn a_profile_reads_back_whole(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let mut full = stage.profile().await;
    full.details.full_name = "Vaidya \u{0936}\u{0930}\u{094d}\u{092e}\u{093e} O'Neill".to_owned();
    full.details.registered_on = Some(date(1999, 2, 28));
    full.details.valid_until = Some(date(2999, 12, 31));
    full.details.modes = modes(&[Mode::Audio]);
    full.details.fee = Money::new(Money::MAX_MINOR, Currency::Aed).unwrap();
    full.details.time_zone = "America/St_Johns".to_owned();
    let mut bare = stage.profile().await;
    bare.details.bio = String::new();
    bare.details.fee = Money::new(0, Currency::Eur).unwrap();
    bare.details.qualifications.truncate(1);
    for profile in [full, bare] {
        assert_eq!(stage.directory.by_id(profile.id).await.unwrap(), None);
        assert_eq!(stage.directory.by_account(profile.account).await.unwrap(), None);
        let effects = effects(&stage, profile.id);
        assert_eq!(stage.directory.insert(&profile, &effects).await.unwrap(), ProfileInserted::Created);
        assert_eq!(stage.directory.by_id(profile.id).await.unwrap().as_ref(), Some(&profile));
        assert_eq!(stage.directory.by_account(profile.account).await.unwrap().as_ref(), Some(&profile));
        assert_eq!(on_record(&stage, profile.id).await, (1, 1));
    }
    let mut profile = stage.profile().await;
    profile.status = PractitionerStatus::Applied;
    stage.insert(profile.clone()).await;
    let statuses = [
        PractitionerStatus::Verified,
        PractitionerStatus::Listed,
        PractitionerStatus::Suspended,
        PractitionerStatus::Expired,
    ];
    let systems = [MedicalSystem::Siddha, MedicalSystem::Unani, MedicalSystem::Homoeopathy, MedicalSystem::Allopathy];
    for (status, system) in statuses.into_iter().zip(systems) {
        profile.status = status;
        profile.details.system = system;
        profile.details.fee = Money::new(profile.version, Currency::Usd).unwrap();
        profile.version += 1;
        profile.updated_at = stage.now + minutes(profile.version);
        stage.directory.update(&profile, &effects(&stage, profile.id)).await.unwrap();
        assert_eq!(stage.directory.by_id(profile.id).await.unwrap().as_ref(), Some(&profile));
    }
    assert_eq!(on_record(&stage, profile.id).await, (4, 4));
}

/// [`ProfileInserted::NotADoctorsAccount`].
pub async fn a_profile_needs_a_doctors_account(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let nobody = AccountId::from_uuid(stage.id());
    let (open, closed) = (stage.account(Role::Doctor).await, stage.account(Role::Doctor).await);
    stage.harness.close_account(closed).await;
    assert!(stage.directory.practises(open).await.unwrap());
    for account in [nobody, stage.account(Role::Patient).await, stage.account(Role::Admin).await, closed] {
        assert!(!stage.directory.practises(account).await.unwrap());
        let profile = Practitioner { account, ..stage.profile().await };
        let inserted = stage.directory.insert(&profile, &effects(&stage, profile.id)).await.unwrap();
        assert_eq!(inserted, ProfileInserted::NotADoctorsAccount);
        assert_eq!(stage.directory.by_id(profile.id).await.unwrap(), None);
        assert_eq!(on_record(&stage, profile.id).await, (0, 0), "nothing is stored, effects neither");
    }
}

/// [`ProfileInserted::AccountHasProfile`].
pub async fn an_account_has_one_profile(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let first = stage.doctor().await;
    let second = Practitioner { account: first.account, ..stage.profile().await };
    let inserted = stage.directory.insert(&second, &effects(&stage, second.id)).await.unwrap();
    assert_eq!(inserted, ProfileInserted::AccountHasProfile);
    assert_eq!(stage.directory.by_id(second.id).await.unwrap(), None);
    assert_eq!(stage.directory.by_account(first.account).await.unwrap(), Some(first));
    assert_eq!(on_record(&stage, second.id).await, (0, 0));
}

/// [`ProfileInserted::RegistrationTaken`]: council and number together.
pub async fn a_registration_is_in_the_directory_once(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let first = stage.doctor().await;
    let mut second = stage.profile().await;
    second.details.registration_number.clone_from(&first.details.registration_number);
    let inserted = stage.directory.insert(&second, &effects(&stage, second.id)).await.unwrap();
    assert_eq!(inserted, ProfileInserted::RegistrationTaken);
    assert_eq!(stage.directory.by_id(second.id).await.unwrap(), None);
    assert_eq!(on_record(&stage, second.id).await, (0, 0));
    second.details.council = "Gujarat Board of Ayurvedic and Unani Systems of Medicine".to_owned();
    stage.insert(second).await;
}

/// [`ProfileInserted::AlreadyAnswered`] and [`CommitError::AlreadyAnswered`]: nothing of it is stored.
pub async fn an_answered_request_changes_no_profile(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let answer = stage.claim(stage.account(Role::Admin).await, "one");
    let claimed = |about| Effects { answer: Some(answer.clone()), ..effects(&stage, about) };
    let first = stage.profile().await;
    let inserted = stage.directory.insert(&first, &claimed(first.id)).await.unwrap();
    assert_eq!(inserted, ProfileInserted::Created);
    let second = stage.profile().await;
    let inserted = stage.directory.insert(&second, &claimed(second.id)).await.unwrap();
    assert_eq!(inserted, ProfileInserted::AlreadyAnswered);
    assert_eq!(stage.directory.by_id(second.id).await.unwrap(), None);
    assert_eq!(on_record(&stage, second.id).await, (0, 0));
    let changed = Practitioner { version: first.version + 1, status: PractitionerStatus::Suspended, ..first.clone() };
    let updated = stage.directory.update(&changed, &claimed(first.id)).await;
    assert!(matches!(updated, Err(CommitError::AlreadyAnswered)), "{updated:?}");
    assert_eq!(stage.directory.by_id(first.id).await.unwrap(), Some(first.clone()));
    assert_eq!(on_record(&stage, first.id).await, (1, 1));
}

/// Older, newer and unknown versions are all stale, and leave nothing.
pub async fn a_profile_at_another_version_refuses_the_update(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let stored = stage.doctor().await;
    for version in [stored.version - 1, stored.version, stored.version + 2] {
        let late = Practitioner { version, status: PractitionerStatus::Suspended, ..stored.clone() };
        let refused = stage.directory.update(&late, &effects(&stage, stored.id)).await;
        assert!(matches!(refused, Err(CommitError::Stale)), "version {version}: {refused:?}");
    }
    let unknown = Practitioner { version: 2, ..stage.profile().await };
    let refused = stage.directory.update(&unknown, &effects(&stage, unknown.id)).await;
    assert!(matches!(refused, Err(CommitError::Stale)), "{refused:?}");
    assert_eq!(stage.directory.by_id(stored.id).await.unwrap().as_ref(), Some(&stored));
    assert_eq!(on_record(&stage, stored.id).await, (0, 0));
    assert_eq!(on_record(&stage, unknown.id).await, (0, 0));
}

/// A refusal on the record.
pub async fn directory_effects_alone_are_committed(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let doctor = stage.doctor().await;
    stage.directory.record(&effects(&stage, doctor.id)).await.unwrap();
    assert_eq!(on_record(&stage, doctor.id).await, (1, 1));
}

fn filter(stage: &Stage<'_>, text: &str) -> DoctorFilter {
    DoctorFilter {
        text: Some(text.to_owned()),
        specialization: None,
        language: None,
        mode: None,
        max_fee: None,
        available: None,
        sort: DoctorSort::Name,
        limit: Limit::new(100).unwrap(),
        after: None,
        today: stage.today(),
        now: stage.now,
    }
}

fn rupees(amount: i64) -> Option<Money> {
    Some(Money::new(amount, Currency::Inr).unwrap())
}

async fn found(stage: &Stage<'_>, filter: &DoctorFilter) -> Vec<DoctorId> {
    stage.directory.search(filter).await.unwrap().items.into_iter().map(|practitioner| practitioner.id).collect()
}

/// A practitioner whose name ends in `word`.
async fn named(stage: &Stage<'_>, first: &str, word: &str, change: impl FnOnce(&mut Practitioner)) -> Practitioner {
    let mut profile = stage.profile().await;
    profile.details.full_name = format!("{first} {word}");
    change(&mut profile);
    stage.insert(profile).await
}

/// Listed, and registered on the day: both of its ends included.
pub async fn a_search_finds_only_those_who_take_bookings(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let word = word();
    let today = stage.today();
    let (yesterday, tomorrow) = (today.yesterday().unwrap(), today.tomorrow().unwrap());
    let mut expected = Vec::new();
    for (index, (from, until, registered)) in [
        (None, None, true),
        (Some(today), Some(today), true),
        (Some(yesterday), Some(tomorrow), true),
        (Some(tomorrow), None, false),
        (None, Some(yesterday), false),
    ]
    .into_iter()
    .enumerate()
    {
        let practitioner = named(&stage, &format!("Dr {index}"), &word, |profile| {
            profile.details.registered_on = from;
            profile.details.valid_until = until;
        })
        .await;
        if registered {
            expected.push(practitioner.id);
        }
    }
    for status in [
        PractitionerStatus::Applied,
        PractitionerStatus::Verified,
        PractitionerStatus::Suspended,
        PractitionerStatus::Expired,
    ] {
        named(&stage, status.as_str(), &word, |profile| profile.status = status).await;
    }
    assert_eq!(found(&stage, &filter(&stage, &word)).await, expected);
    let whole = stage.directory.search(&filter(&stage, &word)).await.unwrap();
    assert_eq!(stage.directory.by_id(expected[0]).await.unwrap().as_ref(), whole.items.first());
    assert_eq!(whole.next, None);
}

/// Each filter alone, and all of them together.
pub async fn a_search_filters(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let word = word();
    let one = named(&stage, "Dr Anand", &word, |profile| {
        profile.details.specializations = vec!["shalya-tantra".to_owned(), "kayachikitsa".to_owned()];
        profile.details.languages = vec!["hi".to_owned()];
        profile.details.modes = modes(&[Mode::Video]);
        profile.details.fee = Money::new(30_000, Currency::Inr).unwrap();
    })
    .await
    .id;
    let other = named(&stage, "Dr Bhatt", &word, |profile| {
        profile.details.specializations = vec!["kayachikitsa".to_owned()];
        profile.details.languages = vec!["hi-Latn".to_owned(), "en".to_owned()];
        profile.details.modes = modes(&[Mode::Chat, Mode::Video]);
        profile.details.fee = Money::new(60_000, Currency::Inr).unwrap();
    })
    .await
    .id;
    let all = filter(&stage, &word);
    let some = |text: &str| Some(text.to_owned());
    let cases = [
        (all.clone(), vec![one, other]),
        (DoctorFilter { text: some(&word.to_uppercase()), ..all.clone() }, vec![one, other]),
        (DoctorFilter { text: some(&format!("bHATT {word}")), ..all.clone() }, vec![other]),
        (DoctorFilter { text: some(&word[1..9]), ..all.clone() }, vec![one, other]),
        (DoctorFilter { text: some(&format!("{word}{word}")), ..all.clone() }, vec![]),
        (DoctorFilter { specialization: some("kayachikitsa"), ..all.clone() }, vec![one, other]),
        (DoctorFilter { specialization: some("shalya-tantra"), ..all.clone() }, vec![one]),
        (DoctorFilter { specialization: some("shalya"), ..all.clone() }, vec![]),
        (DoctorFilter { language: some("hi"), ..all.clone() }, vec![one]),
        (DoctorFilter { language: some("en"), ..all.clone() }, vec![other]),
        (DoctorFilter { mode: Some(Mode::Video), ..all.clone() }, vec![one, other]),
        (DoctorFilter { mode: Some(Mode::Chat), ..all.clone() }, vec![other]),
        (DoctorFilter { mode: Some(Mode::Audio), ..all.clone() }, vec![]),
        (DoctorFilter { max_fee: rupees(60_000), ..all.clone() }, vec![one, other]),
        (DoctorFilter { max_fee: rupees(59_999), ..all.clone() }, vec![one]),
        (DoctorFilter { max_fee: rupees(0), ..all.clone() }, vec![]),
        (
            DoctorFilter {
                specialization: some("kayachikitsa"),
                language: some("en"),
                mode: Some(Mode::Chat),
                max_fee: rupees(60_000),
                ..all.clone()
            },
            vec![other],
        ),
        (DoctorFilter { language: some("hi"), mode: Some(Mode::Chat), ..all.clone() }, vec![]),
    ];
    for (filter, expected) in cases {
        assert_eq!(found(&stage, &filter).await, expected, "{filter:?}");
    }
    // Without a text, among all others, down to the last page.
    let mut by_code = DoctorFilter { text: None, specialization: some("shalya-tantra"), language: some("hi"), ..all };
    let mut seen = 0;
    loop {
        let page = stage.directory.search(&by_code).await.unwrap();
        assert!(page.items.iter().all(|practitioner| practitioner.details.languages.iter().any(|tag| tag == "hi")));
        seen += page.items.iter().filter(|practitioner| practitioner.id == one).count();
        assert!(page.items.iter().all(|practitioner| practitioner.id != other));
        if page.next.is_none() {
            break;
        }
        assert_ne!(page.next, by_code.after, "the next page begins where the last one did");
        by_code.after = page.next;
    }
    assert_eq!(seen, 1);
}

/// No character means anything but itself.
pub async fn a_searched_text_is_taken_literally(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let word = word();
    let odd = named(&stage, r"Dr 100%_\'", &word, |_| {}).await.id;
    named(&stage, "Dr Plain", &word, |_| {}).await;
    for text in [r"%_\' ", r"_\' ", r"\' ", "' "] {
        assert_eq!(found(&stage, &filter(&stage, &format!("{text}{word}"))).await, [odd], "{text}");
    }
    for text in ["Dr%", "D_ ", "%", "_", r"\", ".*", "(?i)"] {
        assert_eq!(found(&stage, &filter(&stage, &format!("{text}{word}"))).await, [], "{text}");
    }
}

/// A slot that is offered and starts in the range; booked and withdrawn ones are none, nor those that have begun. One whose
/// hold ran out is.
pub async fn a_search_knows_who_has_open_slots(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let word = word();
    let doctor = named(&stage, "Dr Open", &word, |_| {}).await;
    named(&stage, "Dr None", &word, |_| {}).await;
    let made = stage.slots(doctor.id, 4).await;
    stage.book(&made[1]).await;
    let mut changes = stage.making(doctor.id, Vec::new()).await;
    changes.plan.withdraw = vec![(made[2].id, made[2].version)];
    stage.availability.commit(&changes).await.unwrap();
    let starts = |from: usize, to: usize| TimeRange::new(made[from].range.start(), made[to].range.start());
    for (range, expected) in [
        (starts(0, 1), vec![doctor.id]),
        (starts(1, 2), vec![]),
        (starts(1, 3), vec![]),
        (starts(0, 3), vec![doctor.id]),
        (TimeRange::new(made[0].range.start() + minutes(1), made[1].range.start()), vec![]),
        (TimeRange::new(made[3].range.start(), made[3].range.end()), vec![doctor.id]),
    ] {
        assert!(range.is_some());
        let filter = DoctorFilter { available: range, ..filter(&stage, &word) };
        assert_eq!(found(&stage, &filter).await, expected, "{range:?}");
    }
    let at = |available, now| DoctorFilter { available, now, ..filter(&stage, &word) };
    let first = made[0].range.start();
    let moment = jiff::SignedDuration::from_micros(1);
    assert_eq!(found(&stage, &at(starts(0, 1), first - moment)).await, [doctor.id]);
    assert_eq!(found(&stage, &at(starts(0, 1), first)).await, [], "it has begun");
    assert_eq!(found(&stage, &at(starts(1, 2), stage.now + HOLD - moment)).await, []);
    assert_eq!(found(&stage, &at(starts(1, 2), stage.now + HOLD)).await, [doctor.id], "the hold ran out");
}

async fn walk(stage: &Stage<'_>, mut filter: DoctorFilter, size: u16) -> Vec<Practitioner> {
    filter.limit = Limit::new(size).unwrap();
    let mut found: Vec<Practitioner> = Vec::new();
    loop {
        let page = stage.directory.search(&filter).await.unwrap();
        found.extend(page.items);
        let Some(next) = page.next else { return found };
        let last = found.last().unwrap();
        let expected = match filter.sort {
            DoctorSort::Name => DoctorKey::Name(last.details.full_name.clone(), last.id),
            DoctorSort::Fee(_) => DoctorKey::Fee(last.details.fee.amount(), last.id),
        };
        assert_eq!(next, expected, "the cursor is the last item's key");
        assert_ne!(Some(&next), filter.after.as_ref(), "the next page begins where the last one did");
        assert_eq!(found.len() % usize::from(size), 0, "a page with a next one is full");
        filter.after = Some(next);
    }
}

/// By name, then id; pages of every size give the same list.
pub async fn a_search_is_sorted_and_paged_by_name(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let word = word();
    let mut all = Vec::new();
    // One case, letters only: what follows is the same in every collation.
    for first in ["Dr Devi", "Dr Asha", "Dr Chandra", "Dr Bala", "Dr Chandra", "Dr Chandra", "Dr Esha"] {
        all.push(named(&stage, first, &word, |_| {}).await);
    }
    all.sort_by(|one, other| (&one.details.full_name, one.id).cmp(&(&other.details.full_name, other.id)));
    for size in [1, 2, 3, 6, 7, 100] {
        assert_eq!(walk(&stage, filter(&stage, &word), size).await, all, "pages of {size}");
    }
}

/// By fee, lowest first, then id.
pub async fn a_search_is_sorted_and_paged_by_fee(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let word = word();
    let mut all = Vec::new();
    for fee in [500, 9, 100_000, 500, 500, 0, 10] {
        let fee = Money::new(fee, Currency::Inr).unwrap();
        all.push(named(&stage, "Dr Fee", &word, |profile| profile.details.fee = fee).await);
    }
    all.sort_by_key(|practitioner| (practitioner.details.fee.amount(), practitioner.id));
    let filter = DoctorFilter { sort: DoctorSort::Fee(Currency::Inr), ..filter(&stage, &word) };
    for size in [1, 2, 3, 6, 7, 100] {
        assert_eq!(walk(&stage, filter.clone(), size).await, all, "pages of {size}");
    }
}

/// 100 rupees are not 100 dollars: others are left out when fees are compared.
pub async fn fees_are_compared_within_one_currency(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let word = word();
    let asks = async |amount, currency| {
        let fee = Money::new(amount, currency).unwrap();
        named(&stage, "Dr Fee", &word, |profile| profile.details.fee = fee).await.id
    };
    let (rupees, dear) = (asks(50_000, Currency::Inr).await, asks(90_000, Currency::Inr).await);
    let (dollars, dear_dollars) = (asks(100, Currency::Usd).await, asks(70_000, Currency::Usd).await);
    let all = || filter(&stage, &word);
    for (currency, cheap, both) in
        [(Currency::Inr, rupees, [rupees, dear]), (Currency::Usd, dollars, [dollars, dear_dollars])]
    {
        let max_fee = Some(Money::new(60_000, currency).unwrap());
        assert_eq!(found(&stage, &DoctorFilter { max_fee, ..all() }).await, [cheap]);
        assert_eq!(found(&stage, &DoctorFilter { sort: DoctorSort::Fee(currency), ..all() }).await, both);
    }
    assert_eq!(found(&stage, &all()).await.len(), 4);
}
