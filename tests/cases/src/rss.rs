//! What the system sets when RSS is on.

use alloc::vec;
use alloc::vec::Vec;
use core::mem::offset_of;

use ndis_sys::{
    NDIS_OBJECT_TYPE_RSS_PARAMETERS, NDIS_RECEIVE_SCALE_PARAMETERS as Parameters,
    NDIS_RECEIVE_SCALE_PARAMETERS_REVISION_2, NDIS_SIZEOF_RECEIVE_SCALE_PARAMETERS_REVISION_2,
};

/// The secret key of Microsoft's RSS verification suite.
const KEY: [u8; 40] = [
    0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0,
    0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c,
    0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
];
/// Entries of the indirection table, and bytes of each (`PROCESSOR_NUMBER`).
const ENTRIES: usize = 128;
const ENTRY: usize = 4;

fn put(out: &mut [u8], at: usize, value: &[u8]) {
    out[at..at + value.len()].copy_from_slice(value);
}

/// `NDIS_RECEIVE_SCALE_PARAMETERS` that deal 128 table entries out to `processors` of group 0, with the Toeplitz
/// function over TCP and IP.
///
/// # Panics
/// Without processors.
#[must_use]
pub fn parameters(processors: &[u8]) -> Vec<u8> {
    let head = NDIS_SIZEOF_RECEIVE_SCALE_PARAMETERS_REVISION_2.next_multiple_of(8);
    let table = head;
    let key = table + ENTRIES * ENTRY;
    let mut out = vec![0; key + KEY.len()];
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes();
    let short = |value: usize| u16::try_from(value).unwrap_or(u16::MAX).to_le_bytes();
    let size = short(NDIS_SIZEOF_RECEIVE_SCALE_PARAMETERS_REVISION_2);
    put(
        &mut out,
        0,
        &[
            NDIS_OBJECT_TYPE_RSS_PARAMETERS,
            NDIS_RECEIVE_SCALE_PARAMETERS_REVISION_2,
        ],
    );
    put(&mut out, 2, &size);
    let types = ndis_sys::NDIS_HASH_IPV4 | ndis_sys::NDIS_HASH_TCP_IPV4;
    let information = types | ndis_sys::NdisHashFunctionToeplitz;
    put(
        &mut out,
        offset_of!(Parameters, HashInformation),
        &information.to_le_bytes(),
    );
    put(
        &mut out,
        offset_of!(Parameters, IndirectionTableSize),
        &short(ENTRIES * ENTRY),
    );
    put(
        &mut out,
        offset_of!(Parameters, IndirectionTableOffset),
        &number(table),
    );
    put(
        &mut out,
        offset_of!(Parameters, HashSecretKeySize),
        &short(KEY.len()),
    );
    put(
        &mut out,
        offset_of!(Parameters, HashSecretKeyOffset),
        &number(key),
    );
    for (index, processor) in (0..ENTRIES).zip(processors.iter().cycle()) {
        // PROCESSOR_NUMBER: group, number, reserved.
        put(&mut out, table + index * ENTRY + 2, &[*processor]);
    }
    put(&mut out, key, &KEY);
    out
}

/// The hash that the key of [`parameters`] gives for an Ethernet frame: over addresses and ports of TCP, over addresses
/// of other IPv4 packets, none for anything else (Microsoft's "RSS Hashing Functions").
#[must_use]
pub fn hash(frame: &[u8]) -> Option<u32> {
    const TCP: u8 = 6;
    let ip = frame.get(14..)?;
    if frame.get(12..14)? != [8, 0] || ip.first()? >> 4 != 4 {
        return None;
    }
    let header = usize::from(ip[0] & 15) * 4;
    let mut input = ip.get(12..20)?.to_vec();
    let fragment = u16::from_be_bytes([*ip.get(6)?, *ip.get(7)?]) & 0x3FFF != 0;
    if *ip.get(9)? == TCP && !fragment {
        input.extend_from_slice(ip.get(header..header + 4)?);
    }
    Some(toeplitz(&input))
}

/// For each set bit of the input, from the left, the 32 bits of the key that begin at its position, combined by XOR.
fn toeplitz(input: &[u8]) -> u32 {
    let bit = |bytes: &[u8], at: usize| {
        bytes
            .get(at / 8)
            .is_some_and(|byte| byte & (0x80 >> (at % 8)) != 0)
    };
    (0..input.len() * 8)
        .filter(|at| bit(input, *at))
        .map(|at| (at..at + 32).fold(0, |word, at| word << 1 | u32::from(bit(&KEY, at))))
        .fold(0, |hash, word| hash ^ word)
}

#[cfg(test)]
mod tests {
    use super::hash;

    /// The first IPv4 vector of Microsoft's "Verifying the RSS Hash Calculation".
    #[test]
    fn the_hash_is_that_of_the_verification_suite() {
        let mut frame = [0; 54];
        frame[12] = 8;
        frame[14] = 0x45;
        frame[23] = 6;
        frame[26..30].copy_from_slice(&[66, 9, 149, 187]);
        frame[30..34].copy_from_slice(&[161, 142, 100, 80]);
        frame[34..36].copy_from_slice(&2794_u16.to_be_bytes());
        frame[36..38].copy_from_slice(&1766_u16.to_be_bytes());
        assert_eq!(hash(&frame), Some(0x51cc_c178));
        frame[23] = 17;
        assert_eq!(hash(&frame), Some(0x323e_8fc2));
        frame[12] = 0x86;
        assert_eq!(hash(&frame), None);
    }
}
