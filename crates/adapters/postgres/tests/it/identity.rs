//! Races of sessions, links and factors, and what their look-ups cost.

use crate::support::{World, id, now, vault};
use amrutam_identity::{
    model::{
        AccountStatus, EndReason, Link, PendingFactor, SecretDigest, Session, SessionLabel, Step, TotpSecret, Tries,
    },
    ports::{
        AccountChange, AccountStore, Confirmed, EndSessions, FactorStore, LinkStore, Proof, Rotated, Rotation,
        SessionGate, SessionStore, StoredRefresh,
    },
};
use amrutam_kernel::{AccountId, CommitError, Effects, LinkId, LinkPurpose, PortError, SessionId};
use amrutam_postgres::{Accounts, Postgres};
use futures::future::join_all;
use jiff::{SignedDuration, Timestamp, ToSpan};
use std::sync::Arc;
use tokio::sync::Barrier;

fn token(generation: u32) -> StoredRefresh {
    StoredRefresh { digest: SecretDigest::of(id(now()).as_bytes()), generation, issued_at: now() }
}

async fn open(store: &Postgres, account: AccountId, at: Timestamp) -> (Session, StoredRefresh) {
    let session = Session::open(SessionId::from_uuid(id(at)), account, None, SessionLabel::new("test"), at);
    let first = token(1);
    let account = Accounts::new(store.clone(), vault()).by_id(account).await.unwrap().undisclosed().unwrap();
    store.open(&session, &first, account.password_set_at, &Effects::default()).await.unwrap();
    (session, first)
}

fn link(account: AccountId, at: Timestamp) -> Link {
    let id = LinkId::from_uuid(id(at));
    let digest = SecretDigest::of(id.to_string());
    let purpose = LinkPurpose::ResetPassword;
    Link { id, purpose, account, digest, expires_at: at + purpose.lifetime(), spent_at: None }
}

async fn enrol(accounts: &Accounts, account: AccountId, session: SessionId, codes: &[SecretDigest]) {
    let pending = PendingFactor { secret: TotpSecret::from_bytes([7; TotpSecret::BYTES]), begun_at: now() };
    accounts.begin(account, &pending, &Effects::default()).await.unwrap();
    let confirmed = Confirmed { begun_at: pending.begun_at, step: Step(100), at: now(), codes, session };
    accounts.confirm(account, confirmed, &Effects::default()).await.unwrap();
}

/// A second process on the same database.
fn another(world: &World) -> Postgres {
    world.db.pool_with(|settings| settings.lock_timeout_ms = 4_000)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_20_submits_of_one_code_to_two_processes_one_is_accepted() {
    let world = World::with(|settings| settings.lock_timeout_ms = 4_000);
    let account = world.patient().await;
    let (session, _) = open(&world.store, account, now()).await;
    enrol(&world.accounts, account, session.id, &[]).await;
    let processes = [world.accounts.clone(), Accounts::new(another(&world), vault())];
    for step in 101..=105 {
        let start = Arc::new(Barrier::new(20));
        let submits = (0..20).map(|n| {
            let (accounts, start) = (processes[n % 2].clone(), Arc::clone(&start));
            tokio::spawn(async move {
                start.wait().await;
                accounts.redeem(account, &Proof::Step(Step(step)), now(), &Effects::default()).await.unwrap()
            })
        });
        let accepted = join_all(submits).await.into_iter().filter(|submit| *submit.as_ref().unwrap()).count();
        assert_eq!(accepted, 1, "step {step}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_refreshes_with_one_token_one_wins_and_the_other_ends_the_session() {
    let world = World::with(|settings| settings.lock_timeout_ms = 4_000);
    let (account, processes) = (world.patient().await, [world.store.clone(), another(&world)]);
    let bystander = open(&world.store, account, now()).await.0;
    for _ in 0..20 {
        let (session, first) = open(&world.store, account, now()).await;
        let start = Arc::new(Barrier::new(2));
        let refreshes = processes.iter().map(|store| {
            let (store, start, session) = (store.clone(), Arc::clone(&start), session.clone());
            tokio::spawn(async move {
                let (next, none) = (token(2), Effects::default());
                let rotation = Rotation { presented: &first.digest, next: &next, session: &session };
                start.wait().await;
                (store.rotate(rotation, &none, (now(), &none)).await.unwrap(), next)
            })
        });
        let results: Vec<_> = join_all(refreshes).await.into_iter().map(Result::unwrap).collect();
        let of = |wanted| results.iter().filter(|(rotated, _)| *rotated == wanted).count();
        assert_eq!((of(Rotated::Rotated), of(Rotated::Reused)), (1, 1));
        for (rotated, next) in &results {
            let kept = world.store.by_refresh(&next.digest).await.unwrap();
            assert_eq!(kept.is_some(), *rotated == Rotated::Rotated);
        }
        let ended = SessionStore::by_id(&world.store, session.id).await.unwrap().unwrap().ended;
        assert!(matches!(ended, Some((_, EndReason::TokenReused))), "{ended:?}");
        assert!(world.store.state(session.id, now()).await.unwrap().unwrap().ended);
    }
    assert_eq!(world.store.live(account, now()).await.unwrap(), [bystander]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn links_issued_at_once_leave_one_that_works() {
    let world = World::with(|settings| settings.lock_timeout_ms = 4_000);
    let account = world.patient().await;
    let links: Vec<_> = (0..16).map(|_| link(account, now())).collect();
    let issues = links.iter().map(|link| {
        let (store, link) = (world.store.clone(), *link);
        tokio::spawn(async move { store.issue(&link, now(), &Effects::default()).await.unwrap() })
    });
    for issued in join_all(issues).await {
        issued.unwrap();
    }
    let read = join_all(links.iter().map(|link| world.store.by_digest(link.purpose, &link.digest))).await;
    let unspent = read.into_iter().filter(|link| link.as_ref().unwrap().unwrap().spent_at.is_none()).count();
    assert_eq!(unspent, 1);
}

/// Everything that writes about one account, again and again, all at once: whoever waits is served, and nobody waits in a
/// circle.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_of_one_account_do_not_deadlock() {
    // Longer than the server takes to see a deadlock.
    let world = World::with(|settings| settings.lock_timeout_ms = 5_000);
    let account = world.patient().await;
    let (session, _) = open(&world.store, account, now()).await;
    enrol(&world.accounts, account, session.id, &[]).await;
    let code = SecretDigest::of("a code");
    let none = Effects::default();
    let unit = async |kind: usize, step: i64| -> Result<(), CommitError> {
        let (store, accounts) = (&world.store, &world.accounts);
        let ending = EndSessions { reason: EndReason::Ended, except: None, at: now() };
        match kind {
            0 => {
                let mut account = accounts.by_id(account).await?.undisclosed().unwrap();
                account.version += 1;
                let change = AccountChange {
                    account: &account,
                    spend: None,
                    void_links: Some(now()),
                    end_sessions: Some(ending),
                };
                accounts.update(change, &none).await?;
            }
            1 => store.issue(&link(account, now()), now(), &none).await?,
            2 => {
                let (session, first) = open(store, account, now()).await;
                let next = token(2);
                let rotation = Rotation { presented: &first.digest, next: &next, session: &session };
                store.rotate(rotation, &none, (now(), &none)).await?;
            }
            3 => drop(store.end_all(account, ending, &none).await?),
            4 => {
                let pending = PendingFactor { secret: TotpSecret::from_bytes([9; 20]), begun_at: now() };
                accounts.begin(account, &pending, &none).await?;
                let step = Step(step);
                let confirmed =
                    Confirmed { begun_at: pending.begun_at, step, at: now(), codes: &[code], session: session.id };
                accounts.confirm(account, confirmed, &none).await?;
            }
            5 => accounts.replace_codes(account, &[code, SecretDigest::of("another")], &none).await?,
            6 => accounts.remove(account, &none).await?,
            7 => drop(accounts.redeem(account, &Proof::RecoveryCode(code), now(), &none).await?),
            8 => drop(accounts.redeem(account, &Proof::Step(Step(step + 1)), now(), &none).await?),
            _ => {
                let tries = accounts.factors(account).await?.tries;
                let tries = Tries { at: vec![now()], version: tries.version + 1 };
                accounts.claim_try(account, &tries).await?;
            }
        }
        Ok(())
    };
    let kinds = (0..10).map(async |kind| {
        for round in 0..25 {
            match unit(kind, round).await {
                Ok(()) | Err(CommitError::Stale) => {}
                Err(error) => panic!("kind {kind}: {error:?}"),
            }
        }
    });
    join_all(kinds).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sessions_ended_at_once_from_many_sides_end_once_each() {
    let world = World::with(|settings| settings.lock_timeout_ms = 5_000);
    let account = world.patient().await;
    for _ in 0..10 {
        let opened = join_all((0..30).map(|_| open(&world.store, account, now()))).await;
        let mut opened: Vec<_> = opened.into_iter().map(|(session, _)| session.id).collect();
        let ends = (0..6).map(|_| {
            let store = world.store.clone();
            let ending = EndSessions { reason: EndReason::Ended, except: None, at: now() };
            tokio::spawn(async move { store.end_all(account, ending, &Effects::default()).await.unwrap() })
        });
        let mut ended: Vec<_> = join_all(ends).await.into_iter().flat_map(Result::unwrap).collect();
        ended.sort();
        opened.sort();
        assert_eq!(ended, opened);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sessions_state_is_one_index_look_up_per_table() {
    let world = World::new();
    let (owner, app) = (world.db.owner().await, world.db.app().await);
    // Enough rows that reading whole tables would be the wrong plan, seen by the planner or not.
    owner
        .run(
            "INSERT INTO accounts (id, role, status, email_index, time_zone, version, created_at)
               SELECT gen_random_uuid(), 'patient', 'active', uuid_send(gen_random_uuid()), 'UTC', 1, now()
               FROM generate_series(1, 3000);
             INSERT INTO sessions (id, account_id, created_at, last_used_at, idle_expires_at, expires_at, label)
               SELECT gen_random_uuid(), id, now(), now(), now() + interval '30 days', now() + interval '90 days', ''
               FROM accounts;
             INSERT INTO totp_factors (account_id, state, secret, begun_at, confirmed_at, last_step)
               SELECT id, 'confirmed', '', now(), now(), 1 FROM accounts",
        )
        .await;
    let sessions = owner.column("SELECT id::text FROM sessions ORDER BY id LIMIT 8", &[]).await;
    // Each row that a scan of an index finds, and each scan of a whole table, in this transaction and those not reported yet.
    let scans = async || {
        let sql = "SELECT sum(coalesce(idx_scan, 0))::int8 FROM pg_stat_xact_user_tables WHERE relname IN \
                   ('sessions', 'accounts', 'totp_factors') UNION ALL SELECT sum(seq_scan)::int8 FROM pg_stat_xact_user_tables";
        let sql = format!("SELECT string_agg(sum::text, ' ') FROM ({sql}) AS s (sum)");
        let counts = app.column(&sql, &[]).await.remove(0);
        let counts: Vec<i64> = counts.split(' ').map(|count| count.parse().unwrap()).collect();
        (counts[0], counts[1])
    };
    for analyzed in [false, true] {
        if analyzed {
            owner.run("ANALYZE accounts; ANALYZE sessions; ANALYZE totp_factors").await;
        }
        for mode in ["force_custom_plan", "force_generic_plan"] {
            app.run(&format!("SET plan_cache_mode = {mode}")).await;
            for wanted in [1, 8] {
                let ids = sessions[..wanted].join(",");
                app.run("BEGIN").await;
                let before = scans().await;
                let sql = format!("SELECT count(*) FROM session_states('{{{ids}}}') AS s WHERE s IS NOT NULL");
                assert_eq!(app.count(&sql).await, i64::try_from(wanted).unwrap());
                let after = scans().await;
                let looked_up = 3 * i64::try_from(wanted).unwrap();
                assert_eq!((after.0 - before.0, after.1 - before.1), (looked_up, 0), "{mode}, {wanted}, {analyzed}");
                app.run("ROLLBACK").await;
            }
        }
    }
}

/// Those that come together go together, and each gets its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn states_asked_for_at_once_are_each_their_own() {
    let world = World::new();
    let mut sessions = Vec::new();
    for _ in 0..6 {
        let account = world.patient().await;
        sessions.push((account, open(&world.store, account, now()).await.0.id));
    }
    let nobody = SessionId::from_uuid(id(now()));
    let asks = (0..120).map(|n| {
        let (store, wanted) = (world.store.clone(), sessions.get(n % 7).copied());
        tokio::spawn(async move {
            let (account, session) = wanted.unzip();
            let state = store.state(session.unwrap_or(nobody), now()).await.unwrap();
            assert_eq!(state.map(|state| state.account), account);
        })
    });
    for asked in join_all(asks).await {
        asked.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_accounts_sessions_are_over_and_its_role_is_the_one_of_now() {
    let world = World::new();
    let account = world.patient().await;
    let (session, _) = open(&world.store, account, now()).await;
    world.db.owner().await.run("UPDATE accounts SET role = 'support'").await;
    let state = world.store.state(session.id, now()).await.unwrap().unwrap();
    assert_eq!((state.role.as_str(), state.ended), ("support", false));
    let mut closed = world.accounts.by_id(account).await.unwrap().undisclosed().unwrap();
    closed.version += 1;
    closed.status = AccountStatus::Deactivated;
    let change = AccountChange { account: &closed, spend: None, void_links: None, end_sessions: None };
    world.accounts.update(change, &Effects::default()).await.unwrap();
    assert!(world.store.state(session.id, now()).await.unwrap().unwrap().ended);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_is_forgotten_and_nothing_else() {
    let world = World::new();
    let account = world.patient().await;
    let day = SignedDuration::from_hours(24);
    let (old, old_token) = open(&world.store, account, now() - day * 91).await;
    let (ended, ended_token) = open(&world.store, account, now() - day * 89).await;
    SessionStore::end(&world.store, ended.id, now(), EndReason::Ended, &Effects::default()).await.unwrap();
    let (gone, kept) = (link(account, now() - day * 32), link(account, now() - day * 29));
    for link in [&gone, &kept] {
        world.store.issue(link, now(), &Effects::default()).await.unwrap();
    }
    assert_eq!(world.store.forget_expired().await.unwrap().rows, 3);
    assert_eq!(SessionStore::by_id(&world.store, old.id).await.unwrap(), None);
    assert_eq!(world.store.by_refresh(&old_token.digest).await.unwrap(), None);
    assert!(world.store.by_refresh(&ended_token.digest).await.unwrap().is_some());
    assert_eq!(world.store.by_digest(gone.purpose, &gone.digest).await.unwrap(), None);
    assert!(world.store.by_digest(kept.purpose, &kept.digest).await.unwrap().is_some());
    assert_eq!(world.store.forget_expired().await.unwrap().rows, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_nobody_is_refused_and_leaves_nothing() {
    let world = World::new();
    let nobody = AccountId::from_uuid(id(now()));
    let session = Session::open(SessionId::from_uuid(id(now())), nobody, None, SessionLabel::default(), now());
    let opened = world.store.open(&session, &token(1), None, &Effects::default()).await;
    assert!(matches!(opened, Err(CommitError::Stale)), "{opened:?}");
    assert_eq!(SessionStore::by_id(&world.store, session.id).await.unwrap(), None);
    // Nor does an error of the server repeat what it was given.
    let account = world.patient().await;
    let (_, first) = open(&world.store, account, now()).await;
    let again =
        Session::open(SessionId::from_uuid(id(now())), account, None, SessionLabel::new("canary"), now() + 1.minute());
    let password_set_at = world.password_set_at(account).await;
    let opened = world.store.open(&again, &first, password_set_at, &Effects::default()).await;
    let Err(CommitError::Port(PortError::Defect { reason, .. })) = opened else { panic!("one digest of two tokens") };
    assert!(reason.contains("refresh_tokens_pkey") && !reason.contains("canary"), "{reason}");
}
