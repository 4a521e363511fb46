//! A witness that dies between its memory and the outside tells the outside when it comes back.

use crate::{
    audit::{Now, entry, last, seal_all, signer},
    support::World,
};
use amrutam_audit::{
    model::{Algorithm, Checkpoint, NoteSigner, SignedNote},
    ports::{CheckpointArchive, TrailReader, WitnessStore},
    use_cases::{WatchDeps, watch},
};
use amrutam_kernel::{AuditTrail, Dependency, PortError};
use async_trait::async_trait;
use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

/// Its memory, and an archive that can be away for what it does not have yet.
#[derive(Default)]
struct Outside {
    last: Mutex<Option<SignedNote>>,
    kept: Mutex<BTreeMap<u64, SignedNote>>,
    away: AtomicBool,
}

#[async_trait]
impl WitnessStore for Outside {
    async fn last(&self) -> Result<Option<SignedNote>, PortError> {
        Ok(self.last.lock().unwrap().clone())
    }
    async fn remember(&self, note: &SignedNote) -> Result<(), PortError> {
        *self.last.lock().unwrap() = Some(note.clone());
        Ok(())
    }
}

#[async_trait]
impl CheckpointArchive for Outside {
    async fn keep(&self, checkpoint: &Checkpoint, note: &SignedNote) -> Result<(), PortError> {
        let there = self.kept.lock().unwrap().contains_key(&checkpoint.size);
        if self.away.load(Ordering::SeqCst) && !there {
            return Err(PortError::unavailable(Dependency::Archive, "away"));
        }
        self.kept.lock().unwrap().insert(checkpoint.size, note.clone());
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_remembered_gets_outside_however_often_the_witness_dies() {
    let (world, outside) = (World::new(), Outside::default());
    let witness = NoteSigner::new("witness.example", Algorithm::Cosignature, &[3; 32]).unwrap();
    let log_key = signer().verifier();
    let deps = WatchDeps {
        log: &world.store,
        log_key: &log_key,
        witness: &witness,
        store: &outside,
        cosignatures: &world.store,
        archive: Some(&outside),
        clock: &Now,
    };
    let cosigned = async || {
        let newest = world.store.checkpoints(None, 1).await.unwrap().remove(0);
        witness.verifier().check(&newest.note).is_ok()
    };
    let grow = async || {
        world.store.record(vec![entry(None)]).await.unwrap();
        seal_all(&world.store, &signer()).await;
        last(&world.store).await
    };
    let first = grow().await;
    outside.away.store(true, Ordering::SeqCst);
    watch(deps).await.unwrap_err();
    assert!(outside.last.lock().unwrap().is_some() && !cosigned().await, "it died in between");
    outside.away.store(false, Ordering::SeqCst);
    assert_eq!(watch(deps).await.unwrap(), None);
    assert!(outside.kept.lock().unwrap().contains_key(&first.size) && cosigned().await);
    // And when the log has gone on meanwhile.
    let second = grow().await;
    outside.away.store(true, Ordering::SeqCst);
    watch(deps).await.unwrap_err();
    outside.away.store(false, Ordering::SeqCst);
    let third = grow().await;
    assert_eq!(watch(deps).await.unwrap(), Some(third.clone()));
    let kept: Vec<_> = outside.kept.lock().unwrap().keys().copied().collect();
    assert_eq!(kept, [first.size, second.size, third.size]);
    assert!(cosigned().await);
}
