//! A tree of any size, known by its peaks: what is needed to append and to tell the root.

use super::{Hash, proof::Node};

/// Levels of the tree in one level of tiles.
const TILE: u8 = 8;

/// The roots of the full subtrees of which a tree of `size` leaves is made, largest first: one for each bit of `size`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

impl Frontier {
    /// Of a tree that is known by its peaks; nothing when there are not as many as `size` asks for.
    pub fn from_peaks(size: u64, peaks: Vec<Hash>) -> Option<Self> {
        (u32::try_from(peaks.len()).ok()? == size.count_ones()).then_some(Self { size, peaks })
    }

    /// How many leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends one leaf, in amortized constant time.
    pub fn push(&mut self, leaf: Hash) {
        self.push_telling(leaf, |_, _| ());
    }

    /// The same, telling of each subtree that is full by it and stands in a tile above the leaves'.
    pub fn push_telling(&mut self, leaf: Hash, mut full: impl FnMut(Node, Hash)) {
        let (mut hash, mut size, mut level) = (leaf, self.size, 0);
        while size & 1 == 1 {
            if let Some(left) = self.peaks.pop() {
                hash = Hash::node(&left, &hash);
            }
            size >>= 1;
            level += 1;
            if level % TILE == 0 {
                full(Node { level, index: size }, hash);
            }
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The tree's root: RFC 6962's MTH.
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else { return Hash::empty_root() };
        peaks.fold(*last, |right, left| Hash::node(left, &right))
    }
}
