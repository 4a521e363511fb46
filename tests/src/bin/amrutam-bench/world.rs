//! Practitioners, patients and slots of the benchmark's own, and what became of them.
//!
//! Two patients register and log in over HTTP. The others are stored through the adapter, with contact details sealed like
//! everybody's and a password hash that no password has; their sessions are written by SQL and their tokens signed here with
//! the stack's key: a log-in costs an argon2 hash, thousands of them minutes. The api cannot tell the difference; it verifies
//! these tokens and looks up these sessions like any other.

use crate::{Fallible, http, stack::Stack};
use amrutam_crypto::{
    EnvelopeSealer, HmacBlindIndex, JwtTokens, KeySource, Keys, SystemClock, SystemIds, TokenSettings,
};
use amrutam_identity::{
    Account, Profile,
    model::{Assurance, PasswordHash},
    ports::{AccessClaims, AccountStore, TokenIssuer},
};
use amrutam_kernel::{AccountId, Clock, Effects, IdSource, Role, Sensitive, SessionId};
use amrutam_postgres::{Accounts, Postgres, Vault};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures::{StreamExt, TryStreamExt, future::ready, stream};
use jiff::{SignedDuration, Timestamp, Unit};
use serde_json::{Value, json};
use std::{cell::Cell, io::Write, sync::Arc, thread};
use tokio_postgres::Client;
use uuid::Uuid;

const VISITS_PER_PATIENT: usize = 16;
const DOCTORS: usize = 100;
const SLOT_MINUTES: i64 = 15;
/// Far from what people look at, and reminders are not due while this database lives.
const DAYS_AHEAD: i64 = 400;
const PRACTITIONER: &str = "Benchmark practitioner";
const CHUNK: usize = 10_000;
/// A request's body: two ids and what is around them.
const BODY_BYTES: usize = 2 * 36 + 44;

pub(crate) struct World {
    /// Names this run's rows.
    pub(crate) run: String,
    doctors: Vec<Uuid>,
    /// Each patient's token.
    tokens: Vec<String>,
    slots: Vec<Slot>,
    next: Cell<usize>,
}

#[derive(Clone, Copy)]
pub(crate) struct Slot {
    pub(crate) id: Uuid,
    doctor: usize,
    patient: usize,
    /// Counts slot lengths from the first one.
    time: usize,
}

/// What the database says about this run.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) booked_slots: i64,
    pub(crate) consultations: i64,
    pub(crate) slots_with_two: i64,
    pub(crate) acknowledged_and_there: i64,
    pub(crate) parted: i64,
}

impl World {
    /// At least `slots` of them. One patient's never overlap, and slots next to each other belong to different patients, so
    /// that requests which run together do not meet in one patient's calendar.
    pub(crate) async fn for_bookings(stack: &Stack, db: &Client, slots: usize) -> Fallible<Self> {
        let times = slots.div_ceil(DOCTORS);
        let groups = times.div_ceil(VISITS_PER_PATIENT);
        let ids = SystemIds;
        let now = SystemClock.now();
        let slot = |number: usize| {
            let (time, doctor) = (number / DOCTORS, number % DOCTORS);
            Slot { id: ids.uuid_v7(now), doctor, patient: (time % groups) * DOCTORS + doctor, time }
        };
        Self::write(stack, db, DOCTORS, groups * DOCTORS, (0..times * DOCTORS).map(slot).collect()).await
    }

    /// `slots` of one practitioner, one after the other, and `patients` who all want them.
    pub(crate) async fn for_race(stack: &Stack, db: &Client, patients: usize, slots: usize) -> Fallible<Self> {
        let now = SystemClock.now();
        let slot = |time| Slot { id: SystemIds.uuid_v7(now), doctor: 0, patient: 0, time };
        Self::write(stack, db, 1, patients, (0..slots).map(slot).collect()).await
    }

    async fn write(stack: &Stack, db: &Client, doctors: usize, patients: usize, slots: Vec<Slot>) -> Fallible<Self> {
        retire(db, &left_over(db).await?).await?;
        let (ids, now) = (SystemIds, SystemClock.now());
        let draw = |count: usize| (0..count).map(|_| ids.uuid_v7(now)).collect::<Vec<_>>();
        let run = format!("bench-{}", ids.uuid_v7(now).simple());
        let (accounts, doctors, patients) = (draw(doctors), draw(doctors), draw(patients));

        let keys = KeySource::dir(stack.dir.join("keys")).load()?;
        let store = account_store(stack, &keys)?;
        insert_accounts(&store, &run, Role::Doctor, &accounts).await?;
        insert_accounts(&store, &run, Role::Patient, &patients).await?;
        let made = db
            .execute(
                "INSERT INTO doctors
                   SELECT n.id::uuid, n.account::uuid, $4, d.system, d.council, $3 || '-' || n.position,
                          d.registered_on, NULL, d.qualifications, d.specializations, d.languages,
                          ARRAY['video', 'audio', 'chat'], d.fee_amount, d.fee_currency, 'Not a person.', d.time_zone,
                          'applied', 1, now(), now()
                   FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS n (id, account, position),
                        (SELECT * FROM doctors WHERE status = 'listed' LIMIT 1) AS d",
                &[&text(&doctors), &text(&accounts), &run, &PRACTITIONER],
            )
            .await?;
        if usize::try_from(made)? != doctors.len() {
            return Err("there is no listed practitioner to take after; is the demo data there?".into());
        }
        let first = (now + SignedDuration::from_hours(24 * DAYS_AHEAD)).round(Unit::Hour)?;
        for part in slots.chunks(CHUNK) {
            insert_slots(db, &doctors, part, first).await?;
        }
        db.batch_execute("ANALYZE slots; ANALYZE accounts; ANALYZE doctors").await?;

        let sessions = draw(patients.len());
        insert_sessions(db, &sessions, &patients).await?;
        let signed_in: Vec<_> = patients.iter().copied().zip(sessions).collect();
        let tokens = sign(&issuer(stack, &keys, &run).await?, &signed_in)?;
        // Last, so that nobody sees them in the directory when something before has failed.
        db.execute("UPDATE doctors SET status = 'listed' WHERE id = ANY ($1::text[]::uuid[])", &[&text(&doctors)])
            .await?;
        Ok(Self { run, doctors, tokens, slots, next: Cell::new(0) })
    }

    pub(crate) fn slot_count(&self) -> usize {
        self.slots.len()
    }

    /// Somebody's access token.
    pub(crate) fn token(&self, patient: usize) -> Fallible<&str> {
        Ok(self.tokens.get(patient % self.tokens.len().max(1)).ok_or("no such patient")?)
    }

    pub(crate) fn patient_count(&self) -> usize {
        self.tokens.len()
    }

    /// The next slot that nobody was sent for, with its number.
    pub(crate) fn take(&self) -> Option<(usize, Slot)> {
        let number = self.next.get();
        let slot = self.slots.get(number)?;
        self.next.set(number + 1);
        Some((number, *slot))
    }

    /// The request in which the slot's own patient books it.
    pub(crate) fn request(&self, number: usize, slot: Slot, into: &mut Vec<u8>) -> Fallible<()> {
        self.request_by(slot.patient, number, slot, into)
    }

    /// The request in which any of the patients books it.
    pub(crate) fn request_by(&self, patient: usize, key: usize, slot: Slot, into: &mut Vec<u8>) -> Fallible<()> {
        let token = self.tokens.get(patient).ok_or("no such patient")?;
        let doctor = self.doctors.get(slot.doctor).ok_or("no such practitioner")?;
        into.clear();
        write!(
            into,
            "POST /v1/consultations HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\nIdempotency-Key: {}-{key}\r\n\
             Content-Type: application/json\r\nContent-Length: {BODY_BYTES}\r\n\r\n",
            self.run,
        )?;
        let head = into.len();
        write!(into, r#"{{"doctor_id":"{doctor}","slot_id":"{}","mode":"video"}}"#, slot.id)?;
        if into.len() == head + BODY_BYTES {
            Ok(())
        } else {
            Err("the request's body is not as long as it says".into())
        }
    }

    /// What is there of this run, and of the consultations that it was told of.
    pub(crate) async fn found(&self, db: &Client, acknowledged: &[Uuid]) -> Fallible<Found> {
        let doctors = text(&self.doctors);
        let row = db
            .query_one(
                "WITH mine AS MATERIALIZED (
                   SELECT id, slot_id FROM consultations WHERE doctor_id = ANY ($1::text[]::uuid[])
                     AND status NOT IN ('cancelled', 'expired')
                 ), booked AS MATERIALIZED (
                   SELECT id, consultation_id FROM slots WHERE doctor_id = ANY ($1::text[]::uuid[]) AND status = 'booked'
                 )
                 SELECT (SELECT count(*) FROM booked),
                        (SELECT count(*) FROM mine),
                        (SELECT count(*) FROM (SELECT 1 FROM mine GROUP BY slot_id HAVING count(*) > 1) AS two),
                        (SELECT count(*) FROM mine FULL JOIN booked ON mine.slot_id = booked.id
                           WHERE booked.consultation_id IS DISTINCT FROM mine.id),
                        (SELECT count(DISTINCT mine.id) FROM mine JOIN unnest($2::text[]) AS told (id) ON told.id::uuid = mine.id)",
                &[&doctors, &text(acknowledged)],
            )
            .await?;
        Ok(Found {
            booked_slots: row.get(0),
            consultations: row.get(1),
            slots_with_two: row.get(2),
            parted: row.get(3),
            acknowledged_and_there: row.get(4),
        })
    }

    /// How many consultations a slot has.
    pub(crate) async fn winners(&self, db: &Client, slot: Slot) -> Fallible<i64> {
        let row = db
            .query_one(
                "SELECT count(*) FROM consultations WHERE doctor_id = ANY ($1::text[]::uuid[]) AND slot_id = $2::text::uuid",
                &[&text(&self.doctors), &slot.id.to_string()],
            )
            .await?;
        Ok(row.get(0))
    }

    /// See [`retire`].
    pub(crate) async fn retire(&self, db: &Client) -> Fallible<()> {
        retire(db, &text(&self.doctors)).await
    }

    /// A visit as anybody would make it: registered, logged in and booked over HTTP. Gives the consultation.
    pub(crate) async fn walk(&self, stack: &Stack) -> Fallible<Uuid> {
        let (number, slot) = self.take().ok_or("no slots")?;
        let doctor = self.doctors.get(slot.doctor).ok_or("no such practitioner")?;
        let token = register(stack, &format!("{}-walk", self.run)).await?;
        let body = json!({ "doctor_id": doctor, "slot_id": slot.id, "mode": "video" }).to_string();
        let request = format!(
            "POST /v1/consultations HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\nIdempotency-Key: {}-{number}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.run,
            body.len()
        );
        let mut connection = http::Connection::open(stack.api).await?;
        let (status, answer) = connection.send(request.as_bytes()).await?;
        match (status, booked_id(answer)) {
            (201, Some(id)) => Ok(id),
            _ => Err(format!("a booking over HTTP was answered {status}: {}", String::from_utf8_lossy(answer)).into()),
        }
    }
}

/// Takes practitioners out of the directory and their open slots off sale. What was booked stays: it is history, and its audit
/// trail can't be deleted. Who is suspended has no open slots: that comes last.
async fn retire(db: &Client, doctors: &[String]) -> Fallible<()> {
    for statement in [
        "UPDATE slots SET status = 'withdrawn', version = version + 1 WHERE doctor_id = ANY ($1::text[]::uuid[]) AND status = 'open'",
        "UPDATE doctors SET status = 'suspended', version = version + 1 WHERE id = ANY ($1::text[]::uuid[])",
    ] {
        db.execute(statement, &[&doctors]).await?;
    }
    Ok(())
}

/// Practitioners of a run that was killed.
async fn left_over(db: &Client) -> Fallible<Vec<String>> {
    let rows = db
        .query(
            "SELECT id::text FROM doctors WHERE full_name = $1 AND registration_number LIKE 'bench-%' AND status <> 'suspended'",
            &[&PRACTITIONER],
        )
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// The consultation's id: the first `id` of a booking's answer.
pub(crate) fn booked_id(answer: &[u8]) -> Option<Uuid> {
    const NAME: &[u8] = br#""id":""#;
    let at = answer.windows(NAME.len()).position(|window| window == NAME)? + NAME.len();
    Uuid::try_parse_ascii(answer.get(at..at + 36)?).ok()
}

fn text(ids: &[Uuid]) -> Vec<String> {
    ids.iter().map(Uuid::to_string).collect()
}

fn account_store(stack: &Stack, keys: &Keys) -> Fallible<Accounts> {
    let mut settings = amrutam_postgres::Settings::for_url(stack.value("ADMIN_DATABASE_URL")?.parse()?);
    settings.role = Some("amrutam_app".to_owned());
    let postgres = Postgres::connect(&settings)?;
    let sealer = Arc::new(EnvelopeSealer::new(keys, Arc::new(postgres.clone()), Arc::new(SystemClock))?);
    let vault = Vault::new(sealer, Arc::new(HmacBlindIndex::new(keys)?));
    Ok(Accounts::new(postgres, vault))
}

async fn insert_accounts(store: &Accounts, run: &str, role: Role, ids: &[Uuid]) -> Fallible<()> {
    let now = SystemClock.now();
    let account = |(position, id): (usize, &Uuid)| -> Fallible<Account> {
        let profile = Profile {
            full_name: Sensitive::new(format!("Benchmark {role}").parse()?),
            phone: None,
            date_of_birth: None,
            sex: None,
            time_zone: "Asia/Kolkata".to_owned(),
        };
        let email = Sensitive::new(format!("{run}-{role}-{position}@bench.invalid").parse()?);
        let hash = Some(PasswordHash::from_phc("!".to_owned()));
        Ok(Account::new(AccountId::from_uuid(*id), role, email, hash, profile, now))
    };
    let all = ids.iter().enumerate().map(account).collect::<Fallible<Vec<_>>>()?;
    let nothing = Effects::default();
    let inserts = all.iter().map(|account| store.insert(account, None, &nothing));
    stream::iter(inserts).buffer_unordered(8).try_for_each(|_| ready(Ok(()))).await?;
    Ok(())
}

async fn insert_sessions(db: &Client, sessions: &[Uuid], accounts: &[Uuid]) -> Fallible<()> {
    db.execute(
        "INSERT INTO sessions (id, account_id, created_at, last_used_at, idle_expires_at, expires_at, label)
           SELECT id::uuid, account::uuid, now(), now(), now() + interval '1 day', now() + interval '1 day', 'benchmark'
           FROM unnest($1::text[], $2::text[]) AS n (id, account)",
        &[&text(sessions), &text(accounts)],
    )
    .await?;
    Ok(())
}

async fn insert_slots(db: &Client, doctors: &[Uuid], slots: &[Slot], first: Timestamp) -> Fallible<()> {
    let ids: Vec<_> = slots.iter().map(|slot| slot.id.to_string()).collect();
    let whose = slots.iter().map(|slot| doctors.get(slot.doctor).map(Uuid::to_string)).collect::<Option<Vec<_>>>();
    let minutes = slots
        .iter()
        .map(|slot| i64::try_from(slot.time).map(|time| time * SLOT_MINUTES))
        .collect::<Result<Vec<_>, _>>()?;
    db.execute(
        "INSERT INTO slots (id, doctor_id, starts_at, ends_at, modes, status, version)
           SELECT id::uuid, doctor::uuid, $4::text::timestamptz + minute * interval '1 minute',
                  $4::text::timestamptz + (minute + $5::int8) * interval '1 minute', ARRAY['video', 'audio', 'chat'], 'open', 1
           FROM unnest($1::text[], $2::text[], $3::int8[]) AS n (id, doctor, minute)",
        &[&ids, &whose.ok_or("no such practitioner")?, &minutes, &first.to_string(), &SLOT_MINUTES],
    )
    .await?;
    Ok(())
}

/// A patient with a password of their own; gives the token of their first log-in.
async fn register(stack: &Stack, name: &str) -> Fallible<String> {
    let (email, password) = (format!("{name}@bench.invalid"), SystemIds.uuid_v7(SystemClock.now()).to_string());
    let person =
        json!({ "email": email, "password": password, "full_name": "Benchmark patient", "time_zone": "Asia/Kolkata" });
    let (status, answer) = http::once(stack.api, "POST", "/v1/auth/register", Some(&person)).await?;
    if status != 201 {
        return Err(format!("registering was answered {status}: {answer}").into());
    }
    let known = json!({ "email": email, "password": password });
    let (status, answer) = http::once(stack.api, "POST", "/v1/auth/login", Some(&known)).await?;
    let token = answer.get("access_token").and_then(Value::as_str);
    Ok(token.ok_or_else(|| format!("logging in was answered {status}"))?.to_owned())
}

/// Signs as the api does: issuer and audience are those of a token it has given.
async fn issuer(stack: &Stack, keys: &Keys, run: &str) -> Fallible<JwtTokens> {
    let token = register(stack, run).await?;
    let claims = token.split('.').nth(1).ok_or("not a token")?;
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims)?)?;
    let claim =
        |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned).ok_or_else(|| format!("no {name}"));
    Ok(JwtTokens::new(TokenSettings { issuer: claim("iss")?, audience: claim("aud")? }, keys)?)
}

fn sign(tokens: &JwtTokens, patients: &[(Uuid, Uuid)]) -> Fallible<Vec<String>> {
    let now = SystemClock.now();
    let one = |(account, session): &(Uuid, Uuid)| {
        let claims = AccessClaims {
            account: AccountId::from_uuid(*account),
            session: SessionId::from_uuid(*session),
            role: Role::Patient,
            assurance: Assurance::Password,
            issued_at: now,
            expires_at: now + SignedDuration::from_hours(1),
        };
        tokens.issue_access(&claims, SystemIds.uuid_v7(now)).map(amrutam_kernel::Sensitive::into_exposed)
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let parts = thread::scope(|scope| {
        let threads: Vec<_> = patients
            .chunks(patients.len().div_ceil(cores).max(1))
            .map(|part| scope.spawn(move || part.iter().map(one).collect::<Result<Vec<_>, _>>()))
            .collect();
        threads.into_iter().map(thread::ScopedJoinHandle::join).collect::<Vec<_>>()
    });
    let mut signed = Vec::with_capacity(patients.len());
    for part in parts {
        signed.extend(part.map_err(|_| "signing panicked")?.map_err(|error| format!("signing: {error}"))?);
    }
    Ok(signed)
}
