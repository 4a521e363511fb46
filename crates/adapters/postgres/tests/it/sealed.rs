//! What is kept of people can't be read in the tables, and opens where it was put only.

use crate::support::{Session as Sql, World, booking, id, now};
use amrutam_booking::ports::ConsultationStore;
use amrutam_identity::{
    Account, Profile,
    model::{Link, PasswordHash, PendingFactor, SecretDigest, Session, SessionLabel, Sex, Step, TotpSecret},
    ports::{AccountChange, AccountStore, Confirmed, FactorStore, LinkStore, SessionStore, StoredRefresh},
};
use amrutam_kernel::{AccountId, CommitError, Effects, LinkId, LinkPurpose, PortError, Role, Sensitive, SessionId};
use amrutam_notifications::ports::Contacts;
use jiff::civil::date;

const SECRET: [u8; TotpSecret::BYTES] = *b"canary of 20 bytes!!";

fn person(role: Role) -> Account {
    let profile = Profile {
        full_name: Sensitive::new("Meenakshi Venkataraman".parse().unwrap()),
        phone: Some(Sensitive::new("+919876512340".to_owned())),
        date_of_birth: Some(Sensitive::new(date(1984, 2, 29))),
        sex: Some(Sensitive::new(Sex::Female)),
        time_zone: "Asia/Kolkata".to_owned(),
    };
    let id = AccountId::from_uuid(id(now()));
    let email = Sensitive::new(format!("meenakshi.{id}@canary.example").parse().unwrap());
    Account::new(id, role, email, Some(PasswordHash::from_phc("$argon2id$".to_owned())), profile, now())
}

async fn insert(world: &World, account: &Account) {
    world.accounts.insert(account, None, &Effects::default()).await.unwrap();
}

async fn update(world: &World, account: &Account) {
    let change = AccountChange { account, spend: None, void_links: None, end_sessions: None };
    world.accounts.update(change, &Effects::default()).await.unwrap();
}

async fn enrol(world: &World, account: AccountId) {
    let (at, session) = (now(), SessionId::from_uuid(id(now())));
    let stored = Session::open(session, account, None, SessionLabel::new("test"), at);
    let first = StoredRefresh { digest: SecretDigest::of(session.to_string()), generation: 1, issued_at: at };
    let password_set_at = world.password_set_at(account).await;
    world.store.open(&stored, &first, password_set_at, &Effects::default()).await.unwrap();
    let pending = PendingFactor { secret: TotpSecret::from_bytes(SECRET), begun_at: at };
    world.accounts.begin(account, &pending, &Effects::default()).await.unwrap();
    let codes = [SecretDigest::of("a code")];
    let confirmed = Confirmed { begun_at: at, step: Step(1), at, codes: &codes, session };
    world.accounts.confirm(account, confirmed, &Effects::default()).await.unwrap();
    world.accounts.begin(account, &pending, &Effects::default()).await.unwrap();
}

/// Every row of every table, as a dump would show it.
async fn dump(owner: &Sql) -> String {
    let tables = "SELECT c.oid::regclass::text FROM pg_class c WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition \
                  AND c.relnamespace IN ('public'::regnamespace, 'phi'::regnamespace)";
    let mut all = String::new();
    for table in owner.column(tables, &[]).await {
        let rows = owner.column(&format!("SELECT row::text FROM {table} AS row"), &[]).await;
        all.push_str(&rows.join("\n"));
    }
    all.to_lowercase()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_shows_nobody() {
    let world = World::new();
    let mut patient = person(Role::Patient);
    insert(&world, &patient).await;
    patient.version += 1;
    update(&world, &patient).await;
    enrol(&world, patient.id).await;
    let link = Link {
        id: LinkId::from_uuid(id(now())),
        purpose: LinkPurpose::ResetPassword,
        account: patient.id,
        digest: SecretDigest::of("canary.token"),
        expires_at: now(),
        spent_at: None,
    };
    world.store.issue(&link, now(), &Effects::default()).await.unwrap();
    let slot = world.slots(1).await.remove(0);
    ConsultationStore::commit(&world.store, &booking(&slot, patient.id)).await.unwrap();

    let dump = dump(&world.db.owner().await).await;
    let shows = |bytes: &[u8]| {
        let text = std::str::from_utf8(bytes).unwrap().to_lowercase();
        dump.contains(&text) || dump.contains(&hex(bytes))
    };
    // What is there is found, in both forms.
    assert!(shows(patient.id.to_string().as_bytes()) && dump.contains(&hex(link.digest.as_bytes())));
    for canary in ["Meenakshi", "Venkataraman", "canary", "9876512340", "1984-02-29", "female"] {
        assert!(!shows(canary.as_bytes()), "{canary}");
    }
    assert!(!dump.contains(&hex(&SECRET)));

    // Two people of one address would be seen to be so, and nothing else is: no two sealed values are alike.
    let values = "SELECT encode(unnest(ARRAY[email, full_name, phone, date_of_birth, sex]), 'hex') FROM phi.contacts \
                  UNION ALL SELECT encode(secret, 'hex') FROM totp_factors";
    let owner = world.db.owner().await;
    let mut values: Vec<_> = owner.column(values, &[]).await.into_iter().filter(|value| !value.is_empty()).collect();
    let count = values.len();
    values.sort();
    values.dedup();
    assert!(count >= 9 && values.len() == count, "{count}");
}

fn names_the_row_only<T: std::fmt::Debug>(result: Result<T, PortError>, account: &Account, column: &str) {
    let Err(PortError::Defect { reason, .. }) = result else { panic!("{column}: {result:?}") };
    assert!(reason.contains(&format!("{column} of {}", account.id)), "{reason}");
    for secret in ["eenakshi", "canary", "98765", "1984", "female"] {
        assert!(!reason.contains(secret), "{reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_opens_in_its_own_row_column_and_version_only() {
    let world = World::new();
    let owner = world.db.owner().await;
    let (mut one, two) = (person(Role::Patient), person(Role::Doctor));
    for account in [&one, &two] {
        insert(&world, account).await;
    }
    let read = async || world.accounts.by_id(one.id).await;
    let set = async |column: &str, value: &str| {
        owner.run(&format!("UPDATE phi.contacts c SET {column} = {value} WHERE account_id = '{}'", one.id)).await;
    };
    for column in ["email", "full_name", "phone", "date_of_birth", "sex"] {
        owner
            .run(&format!(
                "CREATE TABLE kept AS SELECT {column} AS it FROM phi.contacts WHERE account_id = '{}'",
                one.id
            ))
            .await;
        let others = format!("(SELECT {column} FROM phi.contacts WHERE account_id = '{}')", two.id);
        let neighbour = if column == "phone" { "c.email" } else { "c.phone" };
        for moved in [&others, neighbour, "''", "(SELECT set_byte(it, 20, get_byte(it, 20) # 1) FROM kept)"] {
            set(column, moved).await;
            names_the_row_only(read().await, &one, column);
            let found = world.accounts.by_email(one.email.expose()).await;
            names_the_row_only(found, &one, column);
            if matches!(column, "email" | "full_name") {
                names_the_row_only(world.accounts.contact(one.id).await, &one, column);
            }
        }
        set(column, "(SELECT it FROM kept)").await;
        assert_eq!(read().await.unwrap().undisclosed().as_ref(), Some(&one));
        owner.run("DROP TABLE kept").await;
    }

    // An older value of the same row, put back.
    owner.run(&format!("CREATE TABLE kept AS SELECT phone FROM phi.contacts WHERE account_id = '{}'", one.id)).await;
    one.version += 1;
    one.profile.phone = Some(Sensitive::new("+919876500000".to_owned()));
    update(&world, &one).await;
    assert_eq!(world.accounts.by_id(one.id).await.unwrap().undisclosed().as_ref(), Some(&one));
    set("phone", "(SELECT phone FROM kept)").await;
    names_the_row_only(world.accounts.by_id(one.id).await, &one, "phone");

    assert_eq!(world.accounts.by_id(two.id).await.unwrap().undisclosed(), Some(two), "another's are as they were");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_factors_secret_opens_for_its_account_and_beginning_only() {
    let world = World::new();
    let owner = world.db.owner().await;
    let (one, two) = (person(Role::Doctor), person(Role::Doctor));
    for account in [&one, &two] {
        insert(&world, account).await;
        enrol(&world, account.id).await;
    }
    let known = world.accounts.factors(one.id).await.unwrap();
    assert_eq!(known.confirmed.unwrap().secret.expose(), &SECRET);
    let theirs = format!("account_id = '{}' AND state = 'confirmed'", one.id);
    owner.run(&format!("CREATE TABLE kept AS SELECT * FROM totp_factors WHERE {theirs}")).await;
    let others = format!("(SELECT secret FROM totp_factors WHERE account_id = '{}' AND state = 'confirmed')", two.id);
    for (column, broken) in [("secret", &*others), ("begun_at", "begun_at - interval '1 microsecond'")] {
        owner.run(&format!("UPDATE totp_factors SET {column} = {broken} WHERE {theirs}")).await;
        names_the_row_only(world.accounts.factors(one.id).await, &one, "secret");
        owner.run(&format!("UPDATE totp_factors SET {column} = (SELECT {column} FROM kept) WHERE {theirs}")).await;
        assert!(world.accounts.factors(one.id).await.is_ok());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_row_is_sealed_for_is_what_the_change_leaves() {
    let world = World::new();
    let mut account = person(Role::Patient);
    insert(&world, &account).await;
    // A change that is refused leaves values that open.
    let stale = AccountChange { account: &account, spend: None, void_links: None, end_sessions: None };
    let refused = world.accounts.update(stale, &Effects::default()).await;
    assert!(matches!(refused, Err(CommitError::Stale)), "{refused:?}");
    assert_eq!(world.accounts.by_id(account.id).await.unwrap().undisclosed().as_ref(), Some(&account));
    for _ in 0..3 {
        account.version += 1;
        update(&world, &account).await;
        assert_eq!(world.accounts.by_id(account.id).await.unwrap().undisclosed().as_ref(), Some(&account));
    }
}
