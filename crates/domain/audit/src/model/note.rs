//! Signed notes, as C2SP defines them: a text, a blank line, and a line per signature. Ed25519.

use super::Hash;
use data_encoding::{BASE64, HEXLOWER};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use std::{fmt, str::FromStr};

/// What a key signs: C2SP's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// The note's text.
    Ed25519 = 0x01,
    /// The note's text with the time at which a witness saw it: tlog-cosignature.
    Cosignature = 0x04,
}

/// A note, a signature or a key that is not written as it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a signed note: {0}")]
pub struct InvalidNote(pub &'static str);

/// Nobody whose key is known has signed it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not signed by {0}")]
pub struct NotSigned(pub String);

/// A signature line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    /// Whose.
    pub name: String,
    /// Which of their keys.
    pub key_id: [u8; 4],
    /// The signature, with what else its algorithm puts there.
    pub bytes: Vec<u8>,
}

impl fmt::Display for NoteSignature {
    /// Without the line's end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [self.key_id.as_slice(), &self.bytes].concat();
        write!(f, "\u{2014} {} {}", self.name, BASE64.encode(&bytes))
    }
}

impl FromStr for NoteSignature {
    type Err = InvalidNote;
    fn from_str(line: &str) -> Result<Self, InvalidNote> {
        let invalid = InvalidNote("a signature line");
        let (name, encoded) = line.strip_prefix("\u{2014} ").and_then(|rest| rest.split_once(' ')).ok_or(invalid)?;
        let bytes = BASE64.decode(encoded.as_bytes()).map_err(|_| invalid)?;
        let (key_id, bytes) = bytes.split_first_chunk::<4>().ok_or(invalid)?;
        Ok(Self { name: name.to_owned(), key_id: *key_id, bytes: bytes.to_vec() })
    }
}

/// A text with signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedNote {
    /// What is signed: whole lines, each with its end.
    pub text: String,
    /// By whom.
    pub signatures: Vec<NoteSignature>,
}

impl fmt::Display for SignedNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| writeln!(f, "{signature}"))
    }
}

impl FromStr for SignedNote {
    type Err = InvalidNote;
    fn from_str(note: &str) -> Result<Self, InvalidNote> {
        if note.len() > 64 * 1024 || note.chars().any(|c| c.is_control() && c != '\n') {
            return Err(InvalidNote("too long, or with control characters"));
        }
        let at = note.rfind("\n\n").ok_or(InvalidNote("no blank line"))?;
        let (text, lines) = note.split_at(at + 1);
        let lines = lines.strip_prefix('\n').and_then(|lines| lines.strip_suffix('\n'));
        let lines = lines.ok_or(InvalidNote("no signature"))?;
        let signatures = lines.split('\n').map(str::parse).collect::<Result<_, _>>()?;
        Ok(Self { text: text.to_owned(), signatures })
    }
}

fn key_id(name: &str, algorithm: Algorithm, key: &VerifyingKey) -> [u8; 4] {
    let mut hash = Sha256::new();
    hash.update(name.as_bytes());
    hash.update([b'\n', algorithm as u8]);
    hash.update(key.as_bytes());
    let digest: [u8; 32] = hash.finalize().into();
    digest.first_chunk::<4>().copied().unwrap_or_default()
}

/// What a witness signs.
fn cosigned(text: &str, seconds: u64) -> Vec<u8> {
    format!("cosignature/v1\ntime {seconds}\n{text}").into_bytes()
}

/// A key that signs notes. It is wiped when dropped.
pub struct NoteSigner {
    name: String,
    algorithm: Algorithm,
    key: SigningKey,
}

impl fmt::Debug for NoteSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NoteSigner").field("verifier", &self.verifier().to_string()).finish_non_exhaustive()
    }
}

impl NoteSigner {
    /// Of a secret of 32 random bytes.
    pub fn new(name: &str, algorithm: Algorithm, secret: &[u8; 32]) -> Result<Self, InvalidNote> {
        let plain = !name.is_empty() && name.chars().all(|c| !c.is_whitespace() && !c.is_control() && c != '+');
        if plain {
            Ok(Self { name: name.to_owned(), algorithm, key: SigningKey::from_bytes(secret) })
        } else {
            Err(InvalidNote("a key's name has neither spaces nor +"))
        }
    }

    /// What others check its signatures with.
    pub fn verifier(&self) -> NoteVerifier {
        NoteVerifier { name: self.name.clone(), algorithm: self.algorithm, key: self.key.verifying_key() }
    }

    /// Its signature of a note's text. A witness's tells when, in seconds.
    pub fn sign(&self, text: &str, now: Timestamp) -> NoteSignature {
        let seconds = u64::try_from(now.as_second()).unwrap_or_default();
        let bytes = match self.algorithm {
            Algorithm::Ed25519 => self.key.sign(text.as_bytes()).to_bytes().to_vec(),
            Algorithm::Cosignature => {
                let signature = self.key.sign(&cosigned(text, seconds)).to_bytes();
                [seconds.to_be_bytes().as_slice(), &signature].concat()
            }
        };
        let key_id = key_id(&self.name, self.algorithm, &self.key.verifying_key());
        NoteSignature { name: self.name.clone(), key_id, bytes }
    }
}

/// A key that checks signatures. As text: `name+id+base64`, C2SP's verifier key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteVerifier {
    name: String,
    algorithm: Algorithm,
    key: VerifyingKey,
}

impl NoteVerifier {
    /// Whose.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it has signed that note.
    pub fn check(&self, note: &SignedNote) -> Result<(), NotSigned> {
        let id = key_id(&self.name, self.algorithm, &self.key);
        let mut own = note.signatures.iter().filter(|signature| signature.name == self.name && signature.key_id == id);
        // Of several all must hold: one that does not is somebody's attempt.
        let mut any = false;
        let all = own.all(|signature| {
            any = true;
            self.holds(&note.text, &signature.bytes)
        });
        if any && all { Ok(()) } else { Err(NotSigned(self.name.clone())) }
    }

    fn holds(&self, text: &str, bytes: &[u8]) -> bool {
        let (message, signature) = match self.algorithm {
            Algorithm::Ed25519 => (text.as_bytes().to_vec(), bytes),
            Algorithm::Cosignature => {
                let Some((seconds, signature)) = bytes.split_first_chunk::<8>() else { return false };
                (cosigned(text, u64::from_be_bytes(*seconds)), signature)
            }
        };
        Signature::from_slice(signature).is_ok_and(|signature| self.key.verify_strict(&message, &signature).is_ok())
    }
}

impl fmt::Display for NoteVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = key_id(&self.name, self.algorithm, &self.key);
        let key = [&[self.algorithm as u8], self.key.as_bytes().as_slice()].concat();
        write!(f, "{}+{}+{}", self.name, HEXLOWER.encode(&id), BASE64.encode(&key))
    }
}

impl FromStr for NoteVerifier {
    type Err = InvalidNote;
    fn from_str(text: &str) -> Result<Self, InvalidNote> {
        let invalid = InvalidNote("a verifier key is name+id+key");
        let (name, rest) = text.trim().split_once('+').ok_or(invalid)?;
        let (id, encoded) = rest.split_once('+').ok_or(invalid)?;
        let bytes = BASE64.decode(encoded.as_bytes()).map_err(|_| invalid)?;
        let (algorithm, key) = bytes.split_first().ok_or(invalid)?;
        let algorithm = match algorithm {
            0x01 => Algorithm::Ed25519,
            0x04 => Algorithm::Cosignature,
            _ => return Err(InvalidNote("a key of an unknown algorithm")),
        };
        let key = key.try_into().ok().and_then(|key| VerifyingKey::from_bytes(key).ok()).ok_or(invalid)?;
        let verifier = Self { name: name.to_owned(), algorithm, key };
        if HEXLOWER.encode(&key_id(name, algorithm, &key)) == id { Ok(verifier) } else { Err(invalid) }
    }
}

/// What a note's text is known by: the next checkpoint names it.
pub(crate) fn text_hash(text: &str) -> Hash {
    Hash::of(text.as_bytes())
}
