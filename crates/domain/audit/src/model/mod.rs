//! Values and pure decisions.

mod checkpoint;
mod entry;
mod finding;
mod frontier;
mod hash;
mod note;
pub mod proof;
mod tiles;
mod verification;
mod witness;
mod words;

pub use checkpoint::Checkpoint;
pub use entry::{Entry, EntryRef, Placed};
pub use finding::Finding;
pub use frontier::Frontier;
pub use hash::{Hash, InvalidHash};
pub use note::{Algorithm, InvalidNote, NotSigned, NoteSignature, NoteSigner, NoteVerifier, SignedNote};
pub use tiles::{Edge, MissingTile, Tile, TileId, Tiles, WIDTH};
pub use verification::{Report, Row, Verification};
pub use witness::{NotCosigned, cosign};
