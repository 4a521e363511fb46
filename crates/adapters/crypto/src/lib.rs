//! Password hashes, tokens, one-time codes and sealed values: the ports of identity and of sealing on argon2, OpenSSL, AES-GCM
//! and HMAC; and, for want of a technology of their own, the system's clock, ids, randomness and timer.
//!
//! Keys come from a [`KeyProvider`]: a directory ([`KeyDir`]) or one text, for the environment ([`KeyBundle`]). A key's name says what
//! it is: `<kid>.pem` signs tokens (of several, the newest whose time has come), `<kid>.pub.pem` only verifies them, `<id>.kek`
//! wraps the data keys that seal, `<id>.index` makes blind indexes, `<id>.link` the tokens of links in mails, `<id>.audit` signs the audit
//! trail's checkpoints. A process is given the kinds it needs.
//!
//! [`Keys`] are asked for anew every few seconds ([`Keys::watch`]), so that keys change under running processes without a
//! token refused: [`rotate`] makes a key that is published at once and signs [`KEY_PUBLISHED_AHEAD`] later, [`retire`] removes the one
//! before when the last of its tokens has ended.
#![deny(missing_docs)]

mod audit;
mod cached;
mod downloads;
mod envelope;
mod hasher;
mod keks;
mod keys;
mod mac;
mod nonce;
mod prescriptions;
mod process;
mod sealer;
mod system;
mod tokens;
mod totp;

pub use audit::{audit_signer, witness_secret};
pub use cached::{CachedTokens, Rekeyed};
pub use envelope::{EnvelopeSealer, KeyCacheLimits};
pub use hasher::{Argon2Hasher, HasherSettings};
pub use keks::LocalKeks;
pub use keys::{
    KEY_PUBLISHED_AHEAD, KeyBundle, KeyDir, KeyError, KeyKind, KeyName, KeyProvider, KeySource, Keys, ManageError,
    ProvidedKey, RELOAD_INTERVAL, Rotatable, Rotated, TOKENS_OUTLIVE_KEY, generate_missing, retire, retire_sealing,
    rotate,
};
pub use mac::{HmacBlindIndex, HmacLinkTokens};
pub use prescriptions::JwsPrescriptions;
pub use process::{forbid_core_dumps, hide_memory};
pub use sealer::AesGcmSealer;
pub use system::{SystemClock, SystemIds, SystemSecrets, TokioPause};
pub use tokens::{JwtTokens, TokenSettings};
pub use totp::Rfc6238;
