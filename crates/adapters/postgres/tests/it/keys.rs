//! Data keys in a database: the suite of their store, and a database of their own.

use crate::support::{Database, Session, World, id, now};
use amrutam_kernel::{AccountId, PortError};
use amrutam_keys::{
    model::{DataKeyId, StoredKey, WrappedKey},
    ports::{Found, KeyStore, Put},
};
use amrutam_postgres::{KeysSettings, MigrateError};
use std::sync::Arc;

mod store {
    use super::*;
    use std::ops::Deref;

    /// The database stays as long as its store.
    struct Kept {
        store: Arc<dyn KeyStore>,
        _db: Arc<Database>,
    }

    impl Deref for Kept {
        type Target = Arc<dyn KeyStore>;
        fn deref(&self) -> &Self::Target {
            &self.store
        }
    }

    async fn store() -> Kept {
        let db = Database::shared();
        // Many wait for one row in the races, on a machine that is busy.
        let store = Arc::new(db.pool_with(|settings| settings.lock_timeout_ms = 4_000));
        Kept { store, _db: db }
    }
    amrutam_keys::key_store_contract!(store());
}

fn key() -> StoredKey {
    let id = DataKeyId { owner: AccountId::from_uuid(id(now())), version: 1 };
    let wrapped = WrappedKey { kek: "first".parse().unwrap(), bytes: b"wrapped".to_vec() };
    StoredKey { id, wrapped, check: [1; 16] }
}

async fn schemas(session: &Session) -> i64 {
    session.count("SELECT count(*) FROM pg_namespace WHERE nspname IN ('keys', 'phi')").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_their_own_holds_nothing_else_and_the_main_one_none_of_them() {
    let (main, alone) = (Database::new(), Database::bare());
    let ran = amrutam_postgres::migrate_keys(&alone.owner_url(), &main.owner_url()).await.unwrap();
    assert_eq!(ran.len(), 1);
    for again in [0, 0] {
        let ran = amrutam_postgres::migrate_keys(&alone.owner_url(), &main.owner_url()).await.unwrap();
        assert_eq!(ran.len(), again);
    }
    assert_eq!((schemas(&main.owner().await).await, schemas(&alone.owner().await).await), (1, 1));
    assert_eq!(alone.owner().await.count("SELECT count(*) FROM keys.owners").await, 0);

    let settings = KeysSettings {
        database_url: Some(alone.owner_url().parse().unwrap()),
        role: Some("amrutam_app".to_owned()),
        pool_size: None,
        beside_data: false,
    };
    let pool = main.pool_with(|_| ());
    let (key, keys) = (key(), settings.connect(&pool).unwrap());
    assert_eq!(keys.put(&key, 1, now()).await, Ok(Put::Stored));
    assert_eq!(keys.find(key.id).await, Ok(Found::Key(key.clone())));
    // Whoever was not told of it finds none, and makes none.
    let untold = KeysSettings::default().connect(&pool).unwrap();
    assert!(matches!(untold.put(&key, 1, now()).await, Err(PortError::Defect { .. })));
    keys.close();
    pool.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_in_the_main_database_are_not_taken_away() {
    let (main, alone) = (World::new(), Database::bare());
    let key = key();
    assert_eq!(main.store.put(&key, 1, now()).await, Ok(Put::Stored));
    let migrated = amrutam_postgres::migrate_keys(&alone.owner_url(), &main.db.owner_url()).await;
    assert!(matches!(migrated, Err(MigrateError::Run(why)) if why.contains("move the schema keys")));
    assert_eq!(main.store.find(key.id).await, Ok(Found::Key(key)));
}
