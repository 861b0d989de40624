//! Checksums, segmentation and coalescing of TCP/IP frames, as a network card does them.
//!
//! Pure decisions over the first bytes of a frame, its [`HEAD_BYTES`]-byte window; payload is only
//! ever named by offsets, so the shell may keep it wherever it likes.
//!
//! | module | what |
//! |---|---|
//! | [`sum`] | the Internet checksum (RFC 1071) |
//! | [`headers`] | where the headers of a frame are |
//! | [`tx`] | a frame to send: headers fixed, checksum blank or computed, one frame or segments |
//! | [`segment`] | cutting a large TCP frame |
//! | [`rx`] | a received frame: what the system is told, what must be completed, unit or segments |
//! | [`settings`] | what is offered, wanted and in force |
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::arithmetic_side_effects
    )
)]
#![cfg_attr(
    test,
    allow(
        clippy::cast_possible_truncation,
        reason = "the tests' frames are short"
    )
)]

#[cfg(test)]
extern crate std;

pub mod headers;
pub mod rx;
#[cfg(test)]
mod rx_tests;
pub mod segment;
pub mod settings;
pub mod sum;
#[cfg(test)]
mod test_frame;
pub mod tx;
#[cfg(test)]
mod tx_tests;

/// Bytes of a frame that are looked at: Ethernet header, tag, IP header with 128 bytes of extension
/// headers, TCP header with options.
pub const HEAD_BYTES: usize = 256;

/// IP version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpVersion {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// Reads a big-endian number.
fn word(bytes: &[u8], at: usize) -> Option<u16> {
    let end = at.checked_add(2)?;
    bytes
        .get(at..end)?
        .first_chunk()
        .map(|two| u16::from_be_bytes(*two))
}

/// Writes a big-endian number, if there is a place for it.
fn set_word(bytes: &mut [u8], at: usize, value: u16) {
    let end = at.saturating_add(2);
    if let Some(place) = bytes.get_mut(at..end) {
        place.copy_from_slice(&value.to_be_bytes());
    }
}
