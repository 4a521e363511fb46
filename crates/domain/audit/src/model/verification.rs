//! Is the log what was sealed? Told entry by entry, with the place of whatever is not.
//!
//! Three things are held against each other: the entries as they stand, the leaf hashes as they were stored when the entries were
//! sealed, and the roots of checkpoints. Whoever changes one must change all, and a checkpoint that lies elsewhere can't be.

use super::{Checkpoint, Finding, Frontier, Hash, proof::Node};
use amrutam_kernel::AuditEntryId;
use std::{
    collections::{HashMap, VecDeque},
    ops::Range,
};

/// More are counted, and not told one by one.
const MOST_FINDINGS: usize = 1_000;
/// So many wrong entries are compared with each other, to find those that have changed places.
const MOST_COMPARED: usize = 100_000;

/// What a verification has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Entries looked at.
    pub entries: u64,
    /// Places whose entries were retired: their hashes were looked at.
    pub retired: u64,
    /// Checkpoints that agreed.
    pub checkpoints: u64,
    /// How many entries the log has.
    pub size: u64,
    /// Its root.
    pub root: Hash,
    /// What is wrong, by place.
    pub findings: Vec<Finding>,
    /// How many things are wrong: more than are told when they are many.
    pub wrong: usize,
}

impl Report {
    /// Whether the log is what was sealed.
    pub fn is_sound(&self) -> bool {
        self.wrong == 0
    }
}

struct Anchor {
    size: u64,
    root: Hash,
    whose: &'static str,
}

struct Altered {
    index: u64,
    id: AuditEntryId,
    is: Hash,
    was: Hash,
}

/// One entry as it stands.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Its place.
    pub index: u64,
    /// Its id.
    pub id: AuditEntryId,
    /// Its leaf's hash, computed from what stands there.
    pub leaf: Hash,
}

/// Goes over a log from one place to its end.
pub struct Verification {
    /// Of the hashes as stored.
    stored: Frontier,
    /// Of the entries as they stand, from where the two part.
    standing: Option<Frontier>,
    anchors: VecDeque<Anchor>,
    /// Up to where the checkpoints of each agree.
    agreed_at: HashMap<&'static str, u64>,
    began_at: u64,
    agreed: u64,
    disagreed: Vec<&'static str>,
    altered: Vec<Altered>,
    /// Of these it is known that the entry is wrong, not its stored hash.
    wrong_entries: Vec<Altered>,
    entries: u64,
    /// Whose entries have left by the procedure.
    left: Vec<Range<u64>>,
    retired: u64,
    subtrees: Vec<(Node, Hash)>,
    findings: Vec<Finding>,
    wrong: usize,
}

impl Verification {
    /// From the end of what `before` knows. Nothing before it is looked at, but the checkpoints after it agree only when it is
    /// right.
    pub fn from(before: Frontier) -> Self {
        Self {
            agreed_at: HashMap::new(),
            began_at: before.size(),
            stored: before,
            standing: None,
            anchors: VecDeque::new(),
            agreed: 0,
            disagreed: Vec::new(),
            altered: Vec::new(),
            wrong_entries: Vec::new(),
            entries: 0,
            left: Vec::new(),
            retired: 0,
            subtrees: Vec::new(),
            findings: Vec::new(),
            wrong: 0,
        }
    }

    /// Where it is.
    pub fn at(&self) -> u64 {
        self.stored.size()
    }

    /// A checkpoint ahead, signed by whom it must be. They may come in any order; those of places gone by are passed over.
    pub fn expect(&mut self, checkpoint: &Checkpoint, whose: &'static str) {
        if checkpoint.size >= self.at() {
            let at = self.anchors.partition_point(|anchor| anchor.size <= checkpoint.size);
            self.anchors.insert(at, Anchor { size: checkpoint.size, root: checkpoint.root, whose });
            self.settle();
        }
    }

    /// The entries of these places were retired, as a sealed entry says: that they are gone is no finding.
    pub fn pass_over(&mut self, places: impl IntoIterator<Item = Range<u64>>) {
        self.left.extend(places);
    }

    /// The subtrees that have become full since this was asked last and stand in tiles above the leaves'.
    pub fn take_subtrees(&mut self) -> Vec<(Node, Hash)> {
        std::mem::take(&mut self.subtrees)
    }

    /// Something that was found elsewhere.
    pub fn note(&mut self, finding: Finding) {
        self.wrong += 1;
        if self.findings.len() < MOST_FINDINGS {
            self.findings.push(finding);
        }
    }

    /// The next entries: `stored` are the hashes of the places from [`Verification::at`] on, `rows` what stands there, by place.
    pub fn go_over(&mut self, stored: &[Hash], rows: &[Row]) {
        let mut rows = rows.iter().copied().peekable();
        let mut missing: Option<(u64, u64)> = None;
        for hash in stored {
            let index = self.at();
            let mut here = Vec::with_capacity(1);
            while let Some(row) = rows.next_if(|row| row.index <= index) {
                here.push(row);
            }
            self.entries += here.len() as u64;
            // Of several at one place, the one that fits is the one that was sealed.
            let own = here.iter().position(|row| row.leaf == *hash).or(if here.is_empty() { None } else { Some(0) });
            let own = own.map(|own| here.swap_remove(own));
            for extra in here {
                self.note(Finding::Inserted { index: extra.index, id: extra.id });
            }
            match own {
                Some(row) => {
                    if row.leaf != *hash {
                        self.part_ways();
                        self.altered.push(Altered { index, id: row.id, is: row.leaf, was: *hash });
                    }
                    if let Some(standing) = &mut self.standing {
                        standing.push(row.leaf);
                    }
                }
                None if self.left.iter().any(|places| places.contains(&index)) => {
                    self.retired += 1;
                    if let Some(standing) = &mut self.standing {
                        standing.push(*hash);
                    }
                }
                None => {
                    missing = match missing {
                        Some((from, to)) if to == index => Some((from, to + 1)),
                        other => {
                            self.tell_missing(other);
                            Some((index, index + 1))
                        }
                    };
                    if let Some(standing) = &mut self.standing {
                        standing.push(*hash);
                    }
                }
            }
            let subtrees = &mut self.subtrees;
            self.stored.push_telling(*hash, |node, hash| subtrees.push((node, hash)));
            self.settle();
        }
        self.tell_missing(missing);
    }

    fn tell_missing(&mut self, missing: Option<(u64, u64)>) {
        let Some((from, to)) = missing else { return };
        // Over the border of two pieces it is one gap.
        if let Some(Finding::Missing { to: end, .. }) =
            self.findings.last_mut().filter(|last| matches!(last, Finding::Missing { to: end, .. } if *end == from))
        {
            *end = to;
            return;
        }
        self.note(Finding::Missing { from, to });
    }

    fn part_ways(&mut self) {
        if self.standing.is_none() {
            self.standing = Some(self.stored.clone());
        }
    }

    /// Compares with the checkpoints of this place.
    fn settle(&mut self) {
        while self.anchors.front().is_some_and(|anchor| anchor.size == self.stored.size()) {
            let Some(anchor) = self.anchors.pop_front() else { return };
            if self.stored.root() == anchor.root {
                self.agreed += 1;
                self.agreed_at.insert(anchor.whose, anchor.size);
                self.settle_altered(false);
                self.standing = None;
            } else if self.standing.as_ref().is_some_and(|standing| standing.root() == anchor.root) {
                self.agreed += 1;
                self.agreed_at.insert(anchor.whose, anchor.size);
                self.settle_altered(true);
                // The entries are right: go on from them.
                self.stored = self.standing.take().unwrap_or_default();
            } else if !self.disagreed.contains(&anchor.whose) {
                // What follows can't agree any more either: one is enough of each.
                self.disagreed.push(anchor.whose);
                let from = self.agreed_at.get(anchor.whose).copied().unwrap_or(self.began_at);
                let to = anchor.size;
                self.note(Finding::NotAsSealed { from, to, anchor: anchor.whose });
            }
        }
    }

    /// Entries that differ from their stored hashes: it is known now which of the two is right.
    fn settle_altered(&mut self, entries_are_right: bool) {
        for one in std::mem::take(&mut self.altered) {
            if entries_are_right {
                self.note(Finding::StoredHash { index: one.index });
            } else if self.wrong_entries.len() < MOST_COMPARED {
                self.wrong_entries.push(one);
            } else {
                self.note(Finding::Altered { index: one.index, id: one.id });
            }
        }
    }

    /// Tells of wrong entries; of two that have what the other one should have, together.
    fn tell_wrong_entries(&mut self) {
        let wrong = std::mem::take(&mut self.wrong_entries);
        let by_hash: HashMap<Hash, usize> = wrong.iter().enumerate().map(|(at, one)| (one.was, at)).collect();
        for (at, one) in wrong.iter().enumerate() {
            let other = by_hash.get(&one.is).and_then(|other| wrong.get(*other).map(|found| (*other, found)));
            match other.filter(|(place, other)| *place != at && other.is == one.was) {
                // Told with the first of the two.
                Some((place, _)) if place < at => {}
                Some((_, other)) => self.note(Finding::Swapped { first: one.index, second: other.index }),
                None => self.note(Finding::Altered { index: one.index, id: one.id }),
            }
        }
    }

    /// At the end of the log, which has `size` sealed entries.
    pub fn finish(mut self) -> Report {
        self.settle_altered(false);
        self.tell_wrong_entries();
        let has = self.at();
        let mut cut: Vec<Anchor> = Vec::new();
        for anchor in std::mem::take(&mut self.anchors) {
            // The longest of each.
            cut.retain(|other| other.whose != anchor.whose);
            cut.push(anchor);
        }
        for anchor in cut {
            self.note(Finding::Truncated { has, had: anchor.size, anchor: anchor.whose });
        }
        if self.wrong == 0 && self.agreed == 0 && has > 0 {
            self.note(Finding::Unanchored);
        }
        Report {
            entries: self.entries,
            retired: self.retired,
            checkpoints: self.agreed,
            size: has,
            root: self.stored.root(),
            findings: self.findings,
            wrong: self.wrong,
        }
    }
}
