//! The hash of receive-side scaling, from its definition, bit by bit (ndis-contract.md 2).

use crate::packet::{self, Version};

/// `NDIS_HASH_IPV4`.
pub const IPV4: u32 = 0x100;
/// `NDIS_HASH_TCP_IPV4`.
pub const TCP_IPV4: u32 = 0x200;
/// `NDIS_HASH_IPV6`.
pub const IPV6: u32 = 0x400;
/// `NDIS_HASH_TCP_IPV6`.
pub const TCP_IPV6: u32 = 0x1000;
/// `NDIS_HASH_UDP_IPV4`.
pub const UDP_IPV4: u32 = 0x4000;
/// `NDIS_HASH_UDP_IPV6`.
pub const UDP_IPV6: u32 = 0x8000;

/// Toeplitz: for each set bit of the input, the 32 bits of the key that begin at its place, exclusive-ored.
pub fn toeplitz(key: &[u8; 40], input: &[u8]) -> u32 {
    let mut window = u64::from_be_bytes(key[..8].try_into().expect("eight bytes"));
    let mut hash = 0;
    for (index, byte) in input.iter().enumerate() {
        for bit in (0..8).rev() {
            if byte >> bit & 1 == 1 {
                hash ^= u32::try_from(window >> 32).expect("32 bits");
            }
            window <<= 1;
        }
        let next = key.get(index + 8).copied().unwrap_or(0);
        window |= u64::from(next);
    }
    hash
}

/// Type and hash of a frame when these types are on; `None` if none of them covers it.
///
/// Fragments have no ports. A frame with a tag in its bytes is hashed behind it.
pub fn hash(frame: &[u8], key: &[u8; 40], types: u32) -> Option<(u32, u32)> {
    let found = packet::ip(frame)?;
    let ports = if found.fragment {
        None
    } else {
        frame.get(found.upper..found.upper + 4)
    };
    let (plain, tcp, udp) = match found.version {
        Version::V4 => (IPV4, TCP_IPV4, UDP_IPV4),
        Version::V6 => (IPV6, TCP_IPV6, UDP_IPV6),
    };
    let with_ports = match found.protocol {
        packet::TCP => tcp,
        packet::UDP => udp,
        _ => 0,
    };
    let (from, to) = found.addresses(frame);
    let mut input = [from, to].concat();
    if types & with_ports != 0
        && let Some(ports) = ports
    {
        input.extend(ports);
        return Some((with_ports, toeplitz(key, &input)));
    }
    (types & plain != 0).then(|| (plain, toeplitz(key, &input)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    /// Key of Microsoft's "Verifying the RSS Hash Calculation".
    const KEY: [u8; 40] = [
        0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f,
        0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
        0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
    ];

    #[test]
    fn published_vectors() {
        // 66.9.149.187:2794 to 161.142.100.80:1766, and 199.92.111.2:14230 to 65.69.140.83:4739.
        let one = [66, 9, 149, 187, 161, 142, 100, 80, 0x0A, 0xEA, 0x06, 0xE6];
        assert_eq!(toeplitz(&KEY, &one), 0x51cc_c178);
        assert_eq!(toeplitz(&KEY, &one[..8]), 0x323e_8fc2);
        let two = [199, 92, 111, 2, 65, 69, 140, 83, 0x37, 0x96, 0x12, 0x83];
        assert_eq!(toeplitz(&KEY, &two), 0xc626_b0ea);
        assert_eq!(toeplitz(&KEY, &two[..8]), 0xd718_262a);
        // 3ffe:2501:200:1fff::7 port 2794 to 3ffe:2501:200:3::1 port 1766.
        let mut six = vec![
            0x3f, 0xfe, 0x25, 0x01, 0x02, 0, 0x1f, 0xff, 0, 0, 0, 0, 0, 0, 0, 7,
        ];
        six.extend([
            0x3f, 0xfe, 0x25, 0x01, 0x02, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1,
        ]);
        assert_eq!(toeplitz(&KEY, &six), 0x2cc1_8cd5);
        six.extend([0x0A, 0xEA, 0x06, 0xE6]);
        assert_eq!(toeplitz(&KEY, &six), 0x4020_7d3d);
    }

    #[test]
    fn types_choose_what_is_hashed() {
        let frame = samples::tcp4(b"x");
        let (kind, with_ports) = hash(&frame, &KEY, IPV4 | TCP_IPV4).expect("TCP");
        assert_eq!(kind, TCP_IPV4);
        let (kind, without) = hash(&frame, &KEY, IPV4).expect("IP");
        assert_eq!(kind, IPV4);
        assert_ne!(with_ports, without);
        assert_eq!(hash(&frame, &KEY, IPV6 | TCP_IPV6), None);
        let mut fragment = frame;
        fragment[20] = 0x20;
        let told = hash(&fragment, &KEY, IPV4 | TCP_IPV4);
        assert_eq!(told, Some((IPV4, without)), "fragments have no ports");
    }
}
