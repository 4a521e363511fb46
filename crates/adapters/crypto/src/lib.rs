//! Password hashes, tokens and sealed values: the ports of identity and of sealing on argon2, OpenSSL and AES-GCM; and,
//! for want of a technology of their own, the system's clock, ids and timer.
//!
//! Keys are files in one directory, made by [`generate_keys`]: `<kid>.pem` signs tokens (the newest by name does, the
//! others still verify), `<kid>.pub.pem` only verifies, `<id>.kek` seals (the newest by name does, the others still open).
//! To change keys without a token refused: bring `<new>.pub.pem` to every instance and restart them, then bring
//! `<new>.pem` in its place; drop the old one when its last token has ended.
#![deny(missing_docs)]

mod cached;
mod hasher;
mod keys;
mod sealer;
mod system;
mod tokens;

pub use cached::CachedTokens;
pub use hasher::{Argon2Hasher, HasherSettings};
pub use keys::{GeneratedKeys, KeyDirError, generate_keys};
pub use sealer::AesGcmSealer;
pub use system::{SystemClock, SystemIds, TokioPause};
pub use tokens::{AccessTokens, TokenSettings};
