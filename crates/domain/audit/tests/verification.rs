//! What is done to a log is found, and told at its place.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod support;

use amrutam_audit::model::{
    Algorithm, Checkpoint, Entry, Finding, Frontier, Hash, NoteSigner, Report, SignedNote, Verification, cosign,
};
use jiff::Timestamp;
use support::{entry, root_of, row};

const BATCH: usize = 10;

/// Entries as they stand, leaf hashes as they are stored, checkpoints every ten.
struct Log {
    rows: Vec<(u64, Entry)>,
    stored: Vec<Hash>,
    checkpoints: Vec<Checkpoint>,
}

impl Log {
    fn of(count: u64) -> Self {
        let entries: Vec<_> = (0..count).map(entry).collect();
        let stored = entries.iter().map(Entry::leaf).collect();
        let checkpoints = (BATCH..=entries.len()).step_by(BATCH).map(|size| checkpoint(&entries[..size])).collect();
        Self { rows: (0..).zip(entries).collect(), stored, checkpoints }
    }

    fn verify(&self) -> Report {
        let mut verification = Verification::from(Frontier::default());
        for checkpoint in &self.checkpoints {
            verification.expect(checkpoint, "the log's checkpoint");
        }
        let mut rows: Vec<_> = self.rows.iter().map(|(index, entry)| row(*index, entry)).collect();
        rows.sort_by_key(|row| row.index);
        // In pieces, as it is read.
        for (number, stored) in self.stored.chunks(7).enumerate() {
            let (from, to) = (number as u64 * 7, number as u64 * 7 + stored.len() as u64);
            let rows: Vec<_> = rows.iter().copied().filter(|row| (from..to).contains(&row.index)).collect();
            verification.go_over(stored, &rows);
        }
        verification.finish()
    }

    /// As who owns the database would: the stored hashes are made to fit.
    fn restore_hashes(&mut self) {
        self.rows.sort_by_key(|(index, _)| *index);
        self.stored = self.rows.iter().map(|(_, entry)| entry.leaf()).collect();
    }
}

fn checkpoint(entries: &[Entry]) -> Checkpoint {
    let (size, root) = (entries.len() as u64, root_of(entries));
    Checkpoint { origin: "amrutam.example/audit".to_owned(), size, root, time: Timestamp::UNIX_EPOCH, previous: None }
}

#[test]
fn what_is_as_it_was_sealed_is_sound() {
    let report = Log::of(100).verify();
    assert_eq!((report.findings, report.entries, report.checkpoints, report.size), (vec![], 100, 10, 100));
}

#[test]
fn a_changed_entry_is_named() {
    let mut log = Log::of(100);
    log.rows[42].1.action.push('x');
    assert_eq!(log.verify().findings, [Finding::Altered { index: 42, id: entry(42).id }]);
    // And when its hash was made to fit: the batch in which it is.
    log.restore_hashes();
    let whose = "the log's checkpoint";
    assert_eq!(log.verify().findings, [Finding::NotAsSealed { from: 40, to: 50, anchor: whose }]);
}

#[test]
fn any_field_that_changes_shows() {
    let changes: [fn(&mut Entry); 15] = [
        |entry| entry.id = amrutam_kernel::AuditEntryId::from_uuid(uuid::Uuid::nil()),
        |entry| entry.occurred_at = Timestamp::UNIX_EPOCH,
        |entry| entry.actor.push('x'),
        |entry| entry.actor_id = None,
        |entry| entry.role.push('x'),
        |entry| entry.purpose.push('x'),
        |entry| entry.action.push('x'),
        |entry| entry.resource_kind.push('x'),
        |entry| entry.resource_id.push('x'),
        |entry| entry.patient_id = None,
        |entry| entry.outcome.push('x'),
        |entry| entry.correlation_id.push('x'),
        |entry| entry.origin = None,
        |entry| entry.ruleset = Some(String::new()),
        |entry| entry.break_glass = true,
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut log = Log::of(20);
        change(&mut log.rows[13].1);
        assert!(matches!(log.verify().findings[..], [Finding::Altered { index: 13, .. }]), "change {number}");
    }
    // What moves from one field to its neighbour.
    let (mut one, mut other) = (entry(1), entry(1));
    (one.role, one.purpose) = ("a".to_owned(), "bc".to_owned());
    (other.role, other.purpose) = ("ab".to_owned(), "c".to_owned());
    assert_ne!(one.leaf(), other.leaf());
}

#[test]
fn gaps_insertions_and_exchanges_are_named() {
    let mut log = Log::of(100);
    log.rows.drain(30..44);
    assert_eq!(log.verify().findings, [Finding::Missing { from: 30, to: 44 }]);

    let mut log = Log::of(100);
    log.rows.push((55, entry(1_000)));
    assert_eq!(log.verify().findings, [Finding::Inserted { index: 55, id: entry(1_000).id }]);

    let mut log = Log::of(100);
    (log.rows[12].0, log.rows[77].0) = (77, 12);
    assert_eq!(log.verify().findings, [Finding::Swapped { first: 12, second: 77 }]);

    let mut log = Log::of(100);
    (log.rows[12].0, log.rows[15].0) = (15, 12);
    assert_eq!(log.verify().findings, [Finding::Swapped { first: 12, second: 15 }]);
}

#[test]
fn a_stored_hash_that_was_changed_is_told_from_an_entry() {
    let mut log = Log::of(30);
    log.stored[17] = Hash::of(b"x");
    assert_eq!(log.verify().findings, [Finding::StoredHash { index: 17 }]);
}

#[test]
fn a_log_that_was_cut_or_replaced_is_found_by_a_checkpoint_that_lies_elsewhere() {
    let elsewhere = Log::of(100).checkpoints.pop().unwrap();
    // Yesterday's table, with yesterday's hashes and checkpoints.
    let mut log = Log::of(60);
    log.checkpoints.push(elsewhere.clone());
    let anchor = "the log's checkpoint";
    assert_eq!(log.verify().findings, [Finding::Truncated { has: 60, had: 100, anchor }]);
    // All of it rewritten, with fresh hashes and checkpoints.
    let mut log = Log::of(120);
    log.rows[33].1.outcome = "denied".to_owned();
    log.restore_hashes();
    let entries: Vec<_> = log.rows.iter().map(|(_, entry)| entry.clone()).collect();
    log.checkpoints = (BATCH..=120).step_by(BATCH).map(|size| checkpoint(&entries[..size])).collect();
    assert!(log.verify().is_sound(), "by itself it is whole");
    let mut verification = Verification::from(Frontier::default());
    verification.expect(&elsewhere, "the witness");
    // What the log says of itself says nothing of the place.
    log.checkpoints.iter().for_each(|checkpoint| verification.expect(checkpoint, anchor));
    let rows: Vec<_> = log.rows.iter().map(|(index, entry)| row(*index, entry)).collect();
    verification.go_over(&log.stored, &rows);
    assert_eq!(verification.finish().findings, [Finding::NotAsSealed { from: 0, to: 100, anchor: "the witness" }]);
}

fn signer(name: &str, algorithm: Algorithm, seed: u8) -> NoteSigner {
    NoteSigner::new(name, algorithm, &[seed; 32]).unwrap()
}

fn signed(log: &NoteSigner, checkpoint: &Checkpoint) -> SignedNote {
    let text = checkpoint.to_string();
    let signatures = vec![log.sign(&text, Timestamp::UNIX_EPOCH)];
    SignedNote { text, signatures }
}

#[test]
fn a_note_comes_back_as_it_went_and_no_byte_of_it_can_change() {
    let log = signer("amrutam.example/audit", Algorithm::Ed25519, 1);
    let note = signed(&log, &Checkpoint { previous: Some(Hash::of(b"before")), ..Log::of(10).checkpoints[0].clone() });
    let text = note.to_string();
    assert_eq!(text.parse::<SignedNote>().unwrap(), note);
    assert!(log.verifier().check(&note).is_ok());
    assert_eq!(log.verifier().to_string().parse::<amrutam_audit::model::NoteVerifier>().unwrap(), log.verifier());
    assert!(signer("amrutam.example/audit", Algorithm::Ed25519, 2).verifier().check(&note).is_err());
    for at in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[at] ^= 1;
        let Ok(changed) = String::from_utf8(bytes) else { continue };
        let refused = changed
            .parse::<SignedNote>()
            .map_or(true, |note| log.verifier().check(&note).is_err() || Checkpoint::of(&note).is_err());
        assert!(refused, "byte {at}");
    }
}

#[test]
fn a_witness_signs_what_follows_from_what_it_has_seen() {
    use amrutam_audit::model::{Edge, NotCosigned, Tiles, proof::consistency};
    let (log, witness) =
        (signer("amrutam.example/audit", Algorithm::Ed25519, 1), signer("witness.example", Algorithm::Cosignature, 3));
    let entries: Vec<_> = (0..400).map(entry).collect();
    let leaves: Vec<_> = entries.iter().map(Entry::leaf).collect();
    let tiles: Tiles = Edge::default().append(&leaves).into_iter().collect();
    let proof = |from, to| tiles.prove(&consistency(from, to).unwrap()).unwrap();
    let see = |seen: Option<&Checkpoint>, note: &SignedNote, proof: &[Hash]| {
        cosign(seen, note, proof, &log.verifier(), &witness, Timestamp::UNIX_EPOCH)
    };
    let (first, second) = (checkpoint(&entries[..300]), checkpoint(&entries));
    let (seen, _) = see(None, &signed(&log, &first), &[]).unwrap();
    let mut note = signed(&log, &second);
    let (seen_next, signature) = see(Some(&seen), &note, &proof(300, 400)).unwrap();
    note.signatures.push(signature);
    assert!(witness.verifier().check(&note).is_ok() && log.verifier().check(&note).is_ok());
    assert_eq!(seen_next, second);

    assert!(matches!(see(Some(&second), &signed(&log, &first), &[]), Err(NotCosigned::Shrunk { seen: 400, now: 300 })));
    assert!(matches!(see(Some(&first), &signed(&log, &second), &[]), Err(NotCosigned::Forked { .. })));
    // The owner of the key has written another log.
    let other: Vec<_> = (1_000..1_400).map(entry).collect();
    let leaves: Vec<_> = other.iter().map(Entry::leaf).collect();
    let tiles: Tiles = Edge::default().append(&leaves).into_iter().collect();
    let proof = tiles.prove(&consistency(300, 400).unwrap()).unwrap();
    assert!(matches!(see(Some(&first), &signed(&log, &checkpoint(&other)), &proof), Err(NotCosigned::Forked { .. })));
    let foreign = signer("amrutam.example/audit", Algorithm::Ed25519, 9);
    assert!(matches!(see(None, &signed(&foreign, &first), &[]), Err(NotCosigned::NotSigned(_))));
}
