//! Keys: where they come from, what they are, how they change.

mod error;
mod manage;
mod material;
mod name;
mod provider;
mod ring;
mod source;

pub use error::KeyError;
pub use manage::{
    KEY_PUBLISHED_AHEAD, ManageError, Rotatable, Rotated, TOKENS_OUTLIVE_KEY, generate_missing, retire, retire_sealing,
    rotate,
};
pub use name::{KeyKind, KeyName};
pub use provider::{KeyBundle, KeyDir, KeyProvider, ProvidedKey};
pub use ring::{Keys, RELOAD_INTERVAL};
pub use source::KeySource;

pub(crate) use material::{ALGORITHM, SECRET_BYTES};
