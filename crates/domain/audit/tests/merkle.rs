//! The tree against the vectors of Certificate Transparency's own tests, and against a naive one.
#![expect(clippy::unwrap_used, reason = "tests")]

use amrutam_audit::model::{
    Edge, Frontier, Hash, Tile, TileId, Tiles,
    proof::{consistency, inclusion, verify_consistency, verify_inclusion},
};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// The leaves of RFC 6962's reference implementation.
const LEAVES: [&[u8]; 8] = [
    b"",
    b"\x00",
    b"\x10",
    b"\x20\x21",
    b"\x30\x31",
    b"\x40\x41\x42\x43",
    b"\x50\x51\x52\x53\x54\x55\x56\x57",
    b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
];
/// Their roots, of the first one, two, ... eight.
const ROOTS: [&str; 8] = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

fn hex(text: &str) -> Hash {
    Hash::from_hex(text).unwrap()
}

fn number(n: u64) -> Hash {
    Hash::leaf(&n.to_be_bytes())
}

/// RFC 6962's own recursion.
fn naive(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Hash::empty_root(),
        [leaf] => *leaf,
        _ => {
            let middle = leaves.len().next_power_of_two() / 2;
            let (left, right) = leaves.split_at(middle);
            Hash::node(&naive(left), &naive(right))
        }
    }
}

/// What a database would hold: every tile as it was written last.
#[derive(Default)]
struct Store(BTreeMap<TileId, Vec<Hash>>);

impl Store {
    fn of(leaves: &[Hash], steps: &[usize]) -> (Self, Edge) {
        let (mut store, mut edge, mut rest) = (Self::default(), Edge::default(), leaves);
        for step in steps.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (now, later) = rest.split_at((*step).clamp(1, rest.len()));
            for tile in edge.append(now) {
                store.0.insert(tile.id, tile.hashes);
            }
            rest = later;
        }
        (store, edge)
    }

    /// Those and no others.
    fn only(&self, wanted: &[TileId]) -> Tiles {
        wanted.iter().filter_map(|id| Some(Tile { id: *id, hashes: self.0.get(id)?.clone() })).collect()
    }
}

#[test]
fn roots_are_those_of_rfc_6962() {
    let leaves: Vec<_> = LEAVES.iter().map(|leaf| Hash::leaf(leaf)).collect();
    let mut frontier = Frontier::default();
    assert_eq!(frontier.root(), hex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
    for (leaf, root) in leaves.iter().zip(ROOTS) {
        frontier.push(*leaf);
        assert_eq!(frontier.root(), hex(root));
    }
}

#[test]
fn proofs_are_those_of_rfc_6962() {
    let leaves: Vec<_> = LEAVES.iter().map(|leaf| Hash::leaf(leaf)).collect();
    let (store, _) = Store::of(&leaves, &[8]);
    let prove = |parts: &[_]| store.only(&Tiles::needs(parts)).prove(parts).unwrap();
    let to_right = [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ];
    assert_eq!(prove(&inclusion(0, 8).unwrap()), to_right.map(hex));
    assert_eq!(prove(&consistency(1, 8).unwrap()), to_right.map(hex));
    let from_six = [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ];
    assert_eq!(prove(&consistency(6, 8).unwrap()), from_six.map(hex));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_log_in_tiles_is_the_naive_tree(size in 0_usize..3_000, steps in prop::collection::vec(1_usize..700, 1..5)) {
        let leaves: Vec<_> = (0..size as u64).map(number).collect();
        let (store, edge) = Store::of(&leaves, &steps);
        let root = naive(&leaves);
        prop_assert_eq!(edge.root(), root);
        let size = size as u64;
        prop_assert_eq!(store.only(&Tiles::needs_for_root(size)).root(size), Ok(root));
        prop_assert_eq!(Edge::load(size, &store.only(&Edge::needs(size))).unwrap().root(), root);
        prop_assert_eq!(store.only(&Tiles::needs_for_root(size)).frontier(size).unwrap().root(), root);
    }

    #[test]
    fn every_entry_is_proven_and_nothing_else(size in 1_usize..1_500, at in any::<prop::sample::Index>(), bit in 0_usize..256) {
        let leaves: Vec<_> = (0..size as u64).map(number).collect();
        let (store, edge) = Store::of(&leaves, &[size]);
        let (root, index, size) = (edge.root(), at.index(size) as u64, size as u64);
        let parts = inclusion(index, size).unwrap();
        let tiles = Tiles::needs(&parts);
        prop_assert!(tiles.len() <= 4, "a proof reads few tiles");
        let proof = store.only(&tiles).prove(&parts).unwrap();
        prop_assert_eq!(verify_inclusion(index, size, &number(index), &root, &proof), Ok(()));
        prop_assert!(verify_inclusion(index, size, &number(index + 1), &root, &proof).is_err());
        prop_assert!(verify_inclusion(index + 1, size, &number(index), &root, &proof).is_err());
        if !proof.is_empty() {
            prop_assert!(verify_inclusion(index, size, &number(index), &root, &proof[1..]).is_err());
            let mut bent = proof.clone();
            bent[0].0[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(verify_inclusion(index, size, &number(index), &root, &bent).is_err());
        }
        let longer = [proof, vec![root]].concat();
        prop_assert!(verify_inclusion(index, size, &number(index), &root, &longer).is_err());
    }

    #[test]
    fn what_was_is_the_beginning_of_what_is(new in 1_u64..1_500, at in any::<prop::sample::Index>(), bit in 0_usize..256) {
        let leaves: Vec<_> = (0..new).map(number).collect();
        let old = at.index(new as usize + 1) as u64;
        let (store, edge) = Store::of(&leaves, &[300]);
        let (old_root, new_root) = (naive(&leaves[..old as usize]), edge.root());
        let parts = consistency(old, new).unwrap();
        let proof = store.only(&Tiles::needs(&parts)).prove(&parts).unwrap();
        prop_assert_eq!(verify_consistency((old, &old_root), (new, &new_root), &proof), Ok(()));
        // Of a log that was another one in one place.
        if old > 0 {
            let mut other = leaves[..old as usize].to_vec();
            other[bit % old as usize] = number(1_000_000);
            prop_assert!(verify_consistency((old, &naive(&other)), (new, &new_root), &proof).is_err());
        }
        prop_assert!(verify_consistency((new + 1, &new_root), (new, &new_root), &proof).is_err());
        if !proof.is_empty() {
            prop_assert!(verify_consistency((old, &old_root), (new, &new_root), &proof[1..]).is_err());
            let mut bent = proof;
            bent[0].0[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(verify_consistency((old, &old_root), (new, &new_root), &bent).is_err());
        }
    }
}
