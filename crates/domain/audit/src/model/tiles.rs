//! The tree as it is stored: in tiles of 256 hashes, so that a proof reads a handful of rows however long the log is
//! (after C2SP's tlog-tiles). A hash in a tile of level n is the root of 256^n leaves.

use super::{
    Frontier, Hash,
    proof::{Node, Part, cover},
};
use std::collections::{BTreeMap, BTreeSet};

/// Hashes in a tile, as a power of two.
const HEIGHT: u32 = 8;
/// Hashes in a full tile.
pub const WIDTH: u64 = 1 << HEIGHT;

/// Which tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TileId {
    /// 0: its hashes are leaves.
    pub level: u8,
    /// The how manieth of its level.
    pub index: u64,
}

/// Up to 256 hashes. Those at the right edge grow; whatever was in them stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    /// Which one.
    pub id: TileId,
    /// From the left.
    pub hashes: Vec<Hash>,
}

/// The tiles at the right edge that are not full, leaves first: enough to append and to tell the root.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Edge {
    size: u64,
    levels: Vec<Vec<Hash>>,
}

/// A tile that is needed is not there, or is too short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("tile {} of level {} is missing or too short", .0.index, .0.level)]
pub struct MissingTile(pub TileId);

/// Which tiles the edge of a tree consists of, and how many of their hashes belong to it.
fn edge_tiles(size: u64) -> impl Iterator<Item = (TileId, usize)> {
    (0..8_u32).map_while(move |level| {
        let filled = size.checked_shr(level * HEIGHT).filter(|filled| *filled > 0)?;
        let id = TileId { level: u8::try_from(level).ok()?, index: filled >> HEIGHT };
        Some((id, (filled & (WIDTH - 1)) as usize))
    })
}

impl Edge {
    /// Which tiles to load for a tree of that size.
    pub fn needs(size: u64) -> Vec<TileId> {
        edge_tiles(size).filter(|(_, count)| *count > 0).map(|(id, _)| id).collect()
    }

    /// Of a tree of that size, from its tiles.
    pub fn load(size: u64, tiles: &Tiles) -> Result<Self, MissingTile> {
        let level = |(id, count): (TileId, usize)| {
            let hashes =
                if count == 0 { Some(&[][..]) } else { tiles.hashes(id).and_then(|hashes| hashes.get(..count)) };
            Ok(hashes.ok_or(MissingTile(id))?.to_vec())
        };
        Ok(Self { size, levels: edge_tiles(size).map(level).collect::<Result<_, _>>()? })
    }

    /// How many leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends leaves, and gives the tiles that have changed.
    pub fn append(&mut self, leaves: &[Hash]) -> Vec<Tile> {
        let mut changed = BTreeMap::new();
        for leaf in leaves {
            self.push(*leaf, &mut changed);
        }
        // Those that are not full yet, as they stand in the end: the leaves', and those that a full tile below has grown.
        for (id, _) in edge_tiles(self.size).filter(|(_, count)| *count > 0) {
            let grown = id.level == 0 || changed.keys().any(|full: &TileId| full.level + 1 == id.level);
            if let Some(hashes) = self.levels.get(usize::from(id.level)).filter(|_| grown) {
                changed.insert(id, hashes.clone());
            }
        }
        changed.into_iter().map(|(id, hashes)| Tile { id, hashes }).collect()
    }

    fn push(&mut self, leaf: Hash, full: &mut BTreeMap<TileId, Vec<Hash>>) {
        self.size += 1;
        let mut hash = leaf;
        for level in 0_u8.. {
            if self.levels.len() == usize::from(level) {
                self.levels.push(Vec::new());
            }
            let Some(tile) = self.levels.get_mut(usize::from(level)) else { return };
            tile.push(hash);
            if (tile.len() as u64) < WIDTH {
                return;
            }
            let hashes = std::mem::take(tile);
            hash = fold(&hashes);
            let index = (self.size >> (u32::from(level) * HEIGHT + HEIGHT)) - 1;
            full.insert(TileId { level, index }, hashes);
        }
    }

    /// The tree by its peaks.
    pub fn frontier(&self) -> Frontier {
        let mut peaks = Vec::new();
        for tile in self.levels.iter().rev() {
            let mut rest = tile.as_slice();
            while !rest.is_empty() {
                let (peak, others) = rest.split_at(1 << rest.len().ilog2());
                peaks.push(fold(peak));
                rest = others;
            }
        }
        Frontier::from_peaks(self.size, peaks).unwrap_or_default()
    }

    /// The tree's root.
    pub fn root(&self) -> Hash {
        self.frontier().root()
    }
}

/// The root over a power of two of hashes.
fn fold(hashes: &[Hash]) -> Hash {
    let mut row = hashes.to_vec();
    while row.len() > 1 {
        row = row
            .chunks(2)
            .map(|pair| match pair {
                [left, right] => Hash::node(left, right),
                [alone] => *alone,
                _ => Hash::empty_root(),
            })
            .collect();
    }
    row.first().copied().unwrap_or_else(Hash::empty_root)
}

/// Tiles that were loaded.
#[derive(Debug, Clone, Default)]
pub struct Tiles(BTreeMap<TileId, Vec<Hash>>);

impl FromIterator<Tile> for Tiles {
    fn from_iter<I: IntoIterator<Item = Tile>>(tiles: I) -> Self {
        Self(tiles.into_iter().map(|tile| (tile.id, tile.hashes)).collect())
    }
}

impl Tiles {
    fn hashes(&self, id: TileId) -> Option<&[Hash]> {
        self.0.get(&id).map(Vec::as_slice)
    }

    /// The tile that a full subtree's hash is computed from, and which of its hashes.
    fn place(node: Node) -> (TileId, u64, u64) {
        let (level, below) = (u32::from(node.level) / HEIGHT, u32::from(node.level) % HEIGHT);
        let (first, count) = (node.index << below, 1_u64 << below);
        (TileId { level: level as u8, index: first >> HEIGHT }, first & (WIDTH - 1), count)
    }

    /// Which tiles a proof is computed from.
    pub fn needs(parts: &[Part]) -> Vec<TileId> {
        let nodes = parts.iter().flatten();
        let wanted: BTreeSet<_> = nodes.map(|node| Self::place(*node).0).collect();
        wanted.into_iter().collect()
    }

    /// A full subtree's hash.
    pub fn node(&self, node: Node) -> Result<Hash, MissingTile> {
        let (id, first, count) = Self::place(node);
        let range = usize::try_from(first).ok().zip(usize::try_from(first + count).ok());
        let hashes = self.hashes(id).and_then(|hashes| range.and_then(|(from, to)| hashes.get(from..to)));
        hashes.map(fold).ok_or(MissingTile(id))
    }

    /// The hashes of a proof.
    pub fn prove(&self, parts: &[Part]) -> Result<Vec<Hash>, MissingTile> {
        parts.iter().map(|part| self.part(part)).collect()
    }

    fn part(&self, part: &Part) -> Result<Hash, MissingTile> {
        let hashes = part.iter().map(|node| self.node(*node)).collect::<Result<Vec<_>, _>>()?;
        let mut hashes = hashes.into_iter().rev();
        let last = hashes.next().unwrap_or_else(Hash::empty_root);
        Ok(hashes.fold(last, |right, left| Hash::node(&left, &right)))
    }

    /// Which tiles tell the root of a tree of that size.
    pub fn needs_for_root(size: u64) -> Vec<TileId> {
        Self::needs(&[cover(0, size)])
    }

    /// The root of the first `size` leaves.
    pub fn root(&self, size: u64) -> Result<Hash, MissingTile> {
        self.part(&cover(0, size))
    }

    /// The first `size` leaves by their peaks.
    pub fn frontier(&self, size: u64) -> Result<Frontier, MissingTile> {
        let peaks = cover(0, size).into_iter().map(|node| self.node(node)).collect::<Result<Vec<_>, _>>()?;
        Ok(Frontier::from_peaks(size, peaks).unwrap_or_default())
    }
}
