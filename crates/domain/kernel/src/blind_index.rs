//! Finding a sealed value by what it is, as a port.

/// A keyed digest of a normalized value: equal values have equal digests, and without the key nobody can try values.
pub trait BlindIndex: Send + Sync {
    /// HMAC-SHA-256, cut to 128 bits, over `column` (such as `account.email`) and the value, each after its length: one
    /// value in two columns has two digests.
    fn digest(&self, column: &str, normalized: &str) -> [u8; 16];
}
