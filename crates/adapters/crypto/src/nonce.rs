//! Nonces of AES-GCM.

use crate::sealer::defect;
use aes_gcm::aead::Generate;
use amrutam_kernel::PortError;

pub(crate) const NONCE_BYTES: usize = 12;

/// 96 random bits of the operating system: no process has to know what another has used. See docs/adr/0018-sealed-data.md.
pub(crate) fn nonce() -> Result<[u8; NONCE_BYTES], PortError> {
    <[u8; NONCE_BYTES]>::try_generate().map_err(defect)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten times as many as a key ever sees. By chance alone two would be alike once in 10^15 runs.
    #[test]
    fn ten_million_nonces_are_all_different() {
        let mut drawn: Vec<_> = (0..10_000_000).map(|_| nonce().unwrap()).collect();
        drawn.sort_unstable();
        assert!(drawn.is_sorted_by(|one, next| one < next), "one came twice");
        // And every bit of them varies.
        let ones = |bit: usize| drawn.iter().filter(|nonce| nonce[bit / 8] >> (bit % 8) & 1 == 1).count();
        for bit in 0..8 * NONCE_BYTES {
            // Ten standard deviations.
            assert!(ones(bit).abs_diff(5_000_000) < 16_000, "bit {bit}");
        }
    }
}
