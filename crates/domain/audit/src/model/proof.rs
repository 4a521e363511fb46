//! Inclusion and consistency proofs: which nodes they are made of, and what they prove (RFC 9162, 2.1.3 and 2.1.4).

use super::Hash;

/// A full subtree: the `index`th of those of height `level`; leaves are of height 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node {
    /// Its height.
    pub level: u8,
    /// Which one.
    pub index: u64,
}

/// One hash of a proof: full subtrees, left to right, to be folded from the right.
pub type Part = Vec<Node>;

/// What a proof was asked for does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no such proof: {0} of {1}")]
pub struct OutOfRange(pub u64, pub u64);

/// A proof that does not prove it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the proof does not lead to the root")]
pub struct NotProven;

/// The full subtrees of which the leaves `from..to` are made. `from` is a multiple of the smallest power of two that is not
/// less than their number, as it always is in a proof.
pub fn cover(from: u64, to: u64) -> Part {
    let (mut at, mut part) = (from, Part::new());
    while at < to {
        let mut level = (to - at).ilog2();
        if at != 0 {
            level = level.min(at.trailing_zeros());
        }
        part.push(Node { level: level as u8, index: at >> level });
        at += 1 << level;
    }
    part
}

/// The largest power of two that is less than `n`; `n` is above 1.
fn split(n: u64) -> u64 {
    1 << (n - 1).ilog2()
}

/// The proof that the leaf `index` is in the tree of `size` leaves, nearest first.
pub fn inclusion(index: u64, size: u64) -> Result<Vec<Part>, OutOfRange> {
    if index >= size {
        return Err(OutOfRange(index, size));
    }
    let (mut from, mut to, mut parts) = (0, size, Vec::new());
    while to - from > 1 {
        let middle = from + split(to - from);
        if index < middle {
            parts.push(cover(middle, to));
            to = middle;
        } else {
            parts.push(cover(from, middle));
            from = middle;
        }
    }
    parts.reverse();
    Ok(parts)
}

/// The proof that the tree of `old` leaves is the beginning of the one of `new` leaves.
pub fn consistency(old: u64, new: u64) -> Result<Vec<Part>, OutOfRange> {
    if old > new {
        return Err(OutOfRange(old, new));
    }
    if old == 0 || old == new {
        return Ok(Vec::new());
    }
    let (mut from, mut to, mut whole, mut parts) = (0, new, true, Vec::new());
    while old != to {
        let middle = from + split(to - from);
        if old <= middle {
            parts.push(cover(middle, to));
            to = middle;
        } else {
            parts.push(cover(from, middle));
            from = middle;
            whole = false;
        }
    }
    if !whole {
        parts.push(cover(from, to));
    }
    parts.reverse();
    Ok(parts)
}

/// Whether the leaf is at `index` in the tree of that size and root.
pub fn verify_inclusion(index: u64, size: u64, leaf: &Hash, root: &Hash, proof: &[Hash]) -> Result<(), NotProven> {
    if index >= size {
        return Err(NotProven);
    }
    let (mut fn_, mut sn, mut hash) = (index, size - 1, *leaf);
    for part in proof {
        if sn == 0 {
            return Err(NotProven);
        }
        if fn_ & 1 == 1 || fn_ == sn {
            hash = Hash::node(part, &hash);
            while fn_ & 1 == 0 && fn_ != 0 {
                fn_ >>= 1;
                sn >>= 1;
            }
        } else {
            hash = Hash::node(&hash, part);
        }
        fn_ >>= 1;
        sn >>= 1;
    }
    if sn == 0 && hash == *root { Ok(()) } else { Err(NotProven) }
}

/// Whether the tree of `old` leaves and that root is the beginning of the one of `new` leaves. Nothing is the beginning of
/// everything.
pub fn verify_consistency(
    (old, old_root): (u64, &Hash),
    (new, new_root): (u64, &Hash),
    proof: &[Hash],
) -> Result<(), NotProven> {
    let proven = |holds: bool| if holds { Ok(()) } else { Err(NotProven) };
    if old > new {
        return Err(NotProven);
    }
    if old == 0 {
        return proven(proof.is_empty() && *old_root == Hash::empty_root());
    }
    if old == new {
        return proven(proof.is_empty() && old_root == new_root);
    }
    // A tree that is full is a node of the new one, and is not told again.
    let mut parts = proof.iter().copied();
    let first = if old.is_power_of_two() { Some(*old_root) } else { parts.next() };
    let first = first.ok_or(NotProven)?;
    let (mut fn_, mut sn) = (old - 1, new - 1);
    while fn_ & 1 == 1 {
        fn_ >>= 1;
        sn >>= 1;
    }
    let (mut before, mut after) = (first, first);
    for part in parts {
        if sn == 0 {
            return Err(NotProven);
        }
        if fn_ & 1 == 1 || fn_ == sn {
            before = Hash::node(&part, &before);
            after = Hash::node(&part, &after);
            while fn_ & 1 == 0 && fn_ != 0 {
                fn_ >>= 1;
                sn >>= 1;
            }
        } else {
            after = Hash::node(&after, &part);
        }
        fn_ >>= 1;
        sn >>= 1;
    }
    proven(sn == 0 && before == *old_root && after == *new_root)
}
