use super::{first_of, kek, owner, random};
use crate::{
    model::{CHECK_BYTES, DataKeyId, KekId, MAX_SEALS, StoredKey, WrappedKey},
    ports::{Found, KeyStore, Put, Retired, Taken},
};
use amrutam_kernel::AccountId;
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;

/// The suite's store.
pub type Store = Arc<dyn KeyStore>;

/// Microseconds, as stores keep them. The store asks no clock.
fn now() -> Timestamp {
    "2026-08-03T05:00:00.123456Z".parse().unwrap()
}

fn long_ago() -> Timestamp {
    now() - SignedDuration::from_hours(24)
}

fn key(id: DataKeyId, kek: &KekId) -> StoredKey {
    let mut check = [0; CHECK_BYTES];
    check[..8].copy_from_slice(&random().to_be_bytes());
    let bytes = [random().to_be_bytes(), random().to_be_bytes()].concat();
    StoredKey { id, wrapped: WrappedKey { kek: kek.clone(), bytes }, check }
}

async fn put(store: &Store, id: DataKeyId, kek: &KekId) -> StoredKey {
    let key = key(id, kek);
    assert_eq!(store.put(&key, 1, now()).await, Ok(Put::Stored));
    key
}

async fn take(store: &Store, owner: AccountId, seals: u32) -> Taken {
    store.take(owner, seals, long_ago()).await.unwrap()
}

/// A key is taken and found whole, and its version is given once.
pub async fn a_key_is_made_once_and_found_as_it_was_stored(store: &Store) {
    let (owner, kek) = (owner(), kek());
    assert_eq!(take(store, owner, 1).await, Taken::Next(1));
    assert_eq!(store.find(first_of(owner)).await, Ok(Found::Unknown));
    let stored = put(store, first_of(owner), &kek).await;
    assert_eq!(take(store, owner, 1).await, Taken::Key(stored.clone()));
    assert_eq!(store.find(stored.id).await, Ok(Found::Key(stored.clone())));
    let (again, ahead) = (key(stored.id, &kek), key(DataKeyId { version: 3, ..stored.id }, &kek));
    for other in [again, ahead] {
        assert_eq!(store.put(&other, 1, now()).await, Ok(Put::Outrun), "{:?}", other.id);
    }
    assert_eq!(store.find(stored.id).await, Ok(Found::Key(stored)));
}

/// Processes that make a person's first key at once end with the same one.
pub async fn of_several_first_keys_one_is_stored(store: &Store) {
    let (owner, kek) = (owner(), kek());
    let keys: Vec<_> = (0..8).map(|_| key(first_of(owner), &kek)).collect();
    let puts = keys.iter().map(|key| store.put(key, 1, now()));
    let outcomes: Vec<_> = futures::future::join_all(puts).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(outcomes.iter().filter(|put| **put == Put::Stored).count(), 1, "{outcomes:?}");
    let winner = outcomes.iter().position(|put| *put == Put::Stored).unwrap();
    assert_eq!(take(store, owner, 1).await, Taken::Key(keys[winner].clone()));
}

/// What the processes take together is never more than a version may seal.
pub async fn a_key_seals_so_many_and_no_more(store: &Store) {
    let (owner, kek) = (owner(), kek());
    let first = put(store, first_of(owner), &kek).await;
    let most = MAX_SEALS - 1;
    let takes = (0..8).map(|_| store.take(owner, most / 4, long_ago()));
    let taken: Vec<_> = futures::future::join_all(takes).await.into_iter().map(Result::unwrap).collect();
    let (given, refused): (Vec<_>, Vec<_>) = taken.into_iter().partition(|taken| matches!(taken, Taken::Key(_)));
    assert_eq!((given.len(), refused), (4, vec![Taken::Next(2); 4]));
    assert_eq!(take(store, owner, 4).await, Taken::Next(2));
    assert_eq!(take(store, owner, 3).await, Taken::Key(first.clone()));
    assert_eq!(take(store, owner, 1).await, Taken::Next(2));
    let second = put(store, DataKeyId { version: 2, ..first.id }, &kek).await;
    assert_eq!(take(store, owner, MAX_SEALS - 1).await, Taken::Key(second));
    assert_eq!(take(store, owner, 1).await, Taken::Next(3));
    assert_eq!(store.find(first.id).await, Ok(Found::Key(first)));
}

/// A version ends by its age, or by hand.
pub async fn an_old_or_renewed_key_seals_no_more_and_is_still_found(store: &Store) {
    let (owner, kek) = (owner(), kek());
    assert_eq!(store.renew(owner).await, Ok(false));
    assert_eq!(take(store, owner, 1).await, Taken::Next(1));
    let stored = put(store, first_of(owner), &kek).await;
    let just_before = now() - SignedDuration::from_micros(1);
    assert_eq!(store.take(owner, 1, now()).await, Ok(Taken::Next(2)));
    assert_eq!(store.take(owner, 1, just_before).await, Ok(Taken::Key(stored.clone())));
    assert_eq!(store.renew(owner).await, Ok(true));
    assert_eq!(take(store, owner, 1).await, Taken::Next(2));
    assert_eq!(store.find(stored.id).await, Ok(Found::Key(stored)));
}

/// Destroyed is destroyed, also for whoever made a key and had not stored it yet.
pub async fn destroyed_keys_are_gone_and_no_others_come(store: &Store) {
    let (erased, never, other, kek) = (owner(), owner(), owner(), kek());
    for version in [1, 2] {
        put(store, DataKeyId { owner: erased, version }, &kek).await;
    }
    let kept = put(store, first_of(other), &kek).await;
    let listed = async |since| {
        let listed = store.destroyed_since(since).await.unwrap();
        listed.into_iter().filter(|owner| [erased, never, other].contains(owner)).collect::<Vec<_>>()
    };
    assert_eq!(store.destroy(erased, now()).await, Ok(2));
    assert_eq!(store.destroy(erased, now() + SignedDuration::from_hours(1)).await, Ok(0));
    assert_eq!(store.destroy(never, now()).await, Ok(0));
    for owner in [erased, never] {
        for version in [1, 2, 3] {
            let id = DataKeyId { owner, version };
            assert_eq!(store.find(id).await, Ok(Found::Erased));
            assert_eq!(store.put(&key(id, &kek), 1, now()).await, Ok(Put::Erased));
        }
        assert_eq!(take(store, owner, 1).await, Taken::Erased);
        assert_eq!(store.renew(owner).await, Ok(false));
    }
    let mut listed_now = listed(now()).await;
    listed_now.sort();
    let mut both = vec![erased, never];
    both.sort();
    assert_eq!(listed_now, both);
    assert_eq!(listed(now() + SignedDuration::from_micros(1)).await, []);
    assert_eq!(store.find(kept.id).await, Ok(Found::Key(kept.clone())));
    assert_eq!(store.count(&kek).await, Ok(1));
}

/// A new wrapping takes the place of the one it was made of, and of no other.
pub async fn keys_are_wrapped_anew_where_they_are_as_they_were_read(store: &Store) {
    let (old, new) = (kek(), kek());
    let mut owners: Vec<_> = (0..5).map(|_| owner()).collect();
    owners.sort();
    for owner in &owners {
        put(store, first_of(*owner), &old).await;
    }
    let page = store.wrapped_under(&old, None, 3).await.unwrap();
    assert_eq!(page.iter().map(|key| key.id.owner).collect::<Vec<_>>(), owners[..3]);
    let rest = store.wrapped_under(&old, Some(page[2].id), 3).await.unwrap();
    assert_eq!(rest.iter().map(|key| key.id.owner).collect::<Vec<_>>(), owners[3..]);
    let anew = |read: &StoredKey| StoredKey { wrapped: key(read.id, &new).wrapped, ..read.clone() };
    let wrapped: Vec<_> = page.iter().map(anew).collect();
    assert_eq!(store.destroy(owners[0], now()).await, Ok(1));
    assert_eq!(store.rewrap(&old, &wrapped, now()).await, Ok(2), "what is gone is passed over");
    assert_eq!(store.find(wrapped[1].id).await, Ok(Found::Key(wrapped[1].clone())));
    let stale: Vec<_> = page.iter().map(anew).collect();
    assert_eq!(store.rewrap(&old, &stale, now()).await, Ok(0));
    assert_eq!(store.find(wrapped[1].id).await, Ok(Found::Key(wrapped[1].clone())));
    assert_eq!((store.count(&old).await, store.count(&new).await), (Ok(2), Ok(2)));
    let known = store.keks().await.unwrap();
    let ours: Vec<_> = known.iter().filter(|kek| [&old, &new].contains(&&kek.id)).collect();
    assert_eq!(ours.len(), 2);
    assert!(ours.iter().all(|kek| kek.retired_at.is_none() && kek.first_used_at == now()));
}

/// Who would remove it would lose what it wraps.
pub async fn a_key_encryption_key_that_wraps_anything_is_not_retired(store: &Store) {
    let kek = kek();
    let stored = put(store, first_of(owner()), &kek).await;
    assert_eq!(store.retire(&kek, now()).await, Ok(Retired::Wraps(1)));
    let retired = async || store.keks().await.unwrap().into_iter().find(|known| known.id == kek).unwrap().retired_at;
    assert_eq!(retired().await, None);
    store.destroy(stored.id.owner, now()).await.unwrap();
    assert_eq!(store.retire(&kek, now()).await, Ok(Retired::Done));
    assert_eq!(store.retire(&kek, now() + SignedDuration::from_hours(1)).await, Ok(Retired::Done));
    assert_eq!(retired().await, Some(now()));
}

/// A process with old keys can't bring it back.
pub async fn nothing_is_wrapped_under_a_retired_key(store: &Store) {
    let (never_used, other) = (kek(), kek());
    assert_eq!(store.retire(&never_used, now()).await, Ok(Retired::Done));
    let refused = key(first_of(owner()), &never_used);
    assert_eq!(store.put(&refused, 1, now()).await, Ok(Put::KekRetired));
    assert_eq!(store.find(refused.id).await, Ok(Found::Unknown));
    let stored = put(store, first_of(owner()), &other).await;
    let back = StoredKey { wrapped: key(stored.id, &never_used).wrapped, ..stored.clone() };
    assert_eq!(store.rewrap(&other, &[back], now()).await, Ok(0));
    assert_eq!(store.find(stored.id).await, Ok(Found::Key(stored)));
}

/// Retiring and storing at once: one of them gives way, whichever.
pub async fn a_key_that_is_stored_meanwhile_is_counted_or_refused(store: &Store) {
    for _ in 0..10 {
        let kek = kek();
        let keys: Vec<_> = (0..4).map(|_| key(first_of(owner()), &kek)).collect();
        let puts = futures::future::join_all(keys.iter().map(|key| store.put(key, 1, now())));
        let (puts, retired) = futures::join!(puts, store.retire(&kek, now()));
        let stored = puts.into_iter().filter(|put| *put == Ok(Put::Stored)).count();
        match retired.unwrap() {
            Retired::Done => assert_eq!(stored, 0),
            Retired::Wraps(_) => assert_eq!(stored, 4),
        }
        assert_eq!(store.count(&kek).await, Ok(stored as u64));
    }
}
