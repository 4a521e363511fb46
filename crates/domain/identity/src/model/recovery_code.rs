//! Recovery codes: for whoever has lost the second factor.

use super::SecretDigest;
use amrutam_kernel::Sensitive;
use data_encoding::BASE32_NOPAD;

/// How many are made at a time.
pub const RECOVERY_CODES: usize = 10;
/// 120 bits each, 24 characters of base32.
pub const RECOVERY_CODE_BYTES: usize = 15;

const CHARS: usize = 24;
const GROUP: usize = 4;

/// `ABCD-EFGH-IJKL-MNOP-QRST-UVWX`, good for one log-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveryCode(Sensitive<String>);

impl RecoveryCode {
    /// From random bytes.
    pub fn new(secret: &[u8; RECOVERY_CODE_BYTES]) -> Self {
        Self(Sensitive::new(BASE32_NOPAD.encode(secret)))
    }

    /// As typed: in any case, with or without dashes and spaces, with digits for the letters they look like. Nothing when
    /// it can't be one of ours.
    pub fn parse(text: &Sensitive<String>) -> Option<Self> {
        let plain: String =
            text.expose().chars().filter(|c| !matches!(c, '-' | ' ')).take(CHARS + 1).map(letter).collect();
        (plain.len() == CHARS && BASE32_NOPAD.decode(plain.as_bytes()).is_ok()).then(|| Self(Sensitive::new(plain)))
    }

    /// What is stored of it.
    pub fn digest(&self) -> SecretDigest {
        SecretDigest::of(self.0.expose())
    }

    /// In groups, for the one time it is shown.
    pub fn in_groups(&self) -> Sensitive<String> {
        let mut text = String::new();
        for (index, c) in self.0.expose().chars().enumerate() {
            if index > 0 && index % GROUP == 0 {
                text.push('-');
            }
            text.push(c);
        }
        Sensitive::new(text)
    }
}

// RFC 4648's alphabet has none of these digits.
fn letter(typed: char) -> char {
    match typed.to_ascii_uppercase() {
        '0' => 'O',
        '1' => 'I',
        '8' => 'B',
        other => other,
    }
}
