//! Key-encryption keys in a directory pass the suite of every wrapper, and go when nothing needs them.

use crate::support::TempDir;
use amrutam_crypto::{
    AesGcmSealer, KeyDir, Keys, LocalKeks, ManageError, Rotatable, SystemClock, generate_missing, retire_sealing,
    rotate,
};
use amrutam_kernel::{Clock, SealError, Sealer};
use amrutam_keys::{contract::Wrappers, ports::KeyWrapper};
use async_trait::async_trait;
use std::{fs, os::unix::fs::PermissionsExt, sync::Arc};

struct Dir {
    dir: TempDir,
    keys: Keys,
}

impl Dir {
    fn new() -> Self {
        let dir = TempDir::new();
        generate_missing(&dir.0, "first", SystemClock.now()).unwrap();
        let keys = Keys::load(KeyDir::new(&dir.0)).unwrap();
        Self { dir, keys }
    }

    fn rotate_at_once(&self, id: &str) {
        rotate(&self.dir.0, id, Rotatable::Sealing, true, SystemClock.now()).unwrap();
        assert!(self.keys.reload().unwrap());
    }
}

fn keks(keys: &Keys) -> Arc<dyn KeyWrapper> {
    Arc::new(LocalKeks::new(keys, Arc::new(SystemClock)).unwrap())
}

#[async_trait]
impl Wrappers for Dir {
    fn wrapper(&self) -> Arc<dyn KeyWrapper> {
        keks(&self.keys)
    }
    async fn rotate(&self) {
        self.rotate_at_once("second");
    }
    async fn impostor(&self) -> Arc<dyn KeyWrapper> {
        keks(&Self::new().keys)
    }
}

mod wrapper {
    use super::Dir;

    async fn wrappers() -> Dir {
        Dir::new()
    }
    amrutam_keys::key_wrapper_contract!(wrappers());
}

#[tokio::test]
async fn a_retired_key_leaves_its_name_and_running_processes_follow() {
    let world = Dir::new();
    let retire = |id: &str| retire_sealing(&world.dir.0, id, SystemClock.now());
    assert!(matches!(retire("first"), Err(ManageError::SealsNow(_))));
    assert!(matches!(retire("nobodys"), Err(ManageError::UnknownSealing(_))));
    let place = crate::rotation::place();
    let sealer = AesGcmSealer::new(&world.keys, Arc::new(SystemClock)).unwrap();
    let sealed = sealer.seal(&place, b"x").await.unwrap();
    world.rotate_at_once("second");
    let path = retire("first").unwrap();
    assert_eq!(retire("first").unwrap(), path, "twice is once");
    assert!(fs::read_to_string(&path).unwrap().starts_with("Retired: "));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(world.keys.reload().unwrap());
    assert_eq!(sealer.open(&place, &sealed).await, Err(SealError::UnknownKey));
    assert!(sealer.seal(&place, b"x").await.is_ok());
    let again = rotate(&world.dir.0, "first", Rotatable::Sealing, true, SystemClock.now());
    assert!(matches!(again, Err(ManageError::Exists { .. })), "its name is never given again");
    // One that merely disappears is an accident, as before.
    fs::remove_file(world.dir.0.join("second.kek")).unwrap();
    assert!(world.keys.reload().is_err());
}
