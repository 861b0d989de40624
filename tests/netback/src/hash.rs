//! The backend's flow hash: Toeplitz, bit by bit, and the state the control ring sets.

use xen_abi::netif::{
    XEN_NETIF_CTRL_HASH_TYPE_IPV4, XEN_NETIF_CTRL_HASH_TYPE_IPV4_BIT,
    XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP, XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP_BIT,
    XEN_NETIF_CTRL_HASH_TYPE_IPV6, XEN_NETIF_CTRL_HASH_TYPE_IPV6_BIT,
    XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP, XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP_BIT,
};

use crate::frame::{L3, parse};
use crate::wire::FrameHash;

/// Largest key, bytes.
pub(crate) const KEY_MAX: usize = 40;
/// Largest mapping, entries.
pub(crate) const MAPPING_MAX: usize = 128;
/// Hash types that Linux supports.
pub(crate) const FLAGS: u32 = 0xF;

/// What the frontend set by control messages. It outlives the connection (2.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashState {
    /// `XEN_NETIF_CTRL_HASH_ALGORITHM_*`.
    pub algorithm: u32,
    /// `XEN_NETIF_CTRL_HASH_TYPE_*` mask.
    pub flags: u32,
    /// The key, filled with zeros.
    pub key: [u8; KEY_MAX],
    /// Entries in use; 0 = the hash modulo the number of queues.
    pub size: u32,
    /// Queue per entry.
    pub mapping: [u32; MAPPING_MAX],
}

impl Default for HashState {
    fn default() -> Self {
        Self {
            algorithm: 0,
            flags: 0,
            key: [0; KEY_MAX],
            size: 0,
            mapping: [0; MAPPING_MAX],
        }
    }
}

impl HashState {
    /// The hash of a frame under the enabled types; `None` when it cannot be hashed.
    pub fn hash(&self, frame: &[u8]) -> Option<FrameHash> {
        let flow = parse(frame)?;
        let (tcp, ip, tcp_bit, ip_bit) = match flow.l3 {
            L3::V4 => (
                XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP,
                XEN_NETIF_CTRL_HASH_TYPE_IPV4,
                XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP_BIT,
                XEN_NETIF_CTRL_HASH_TYPE_IPV4_BIT,
            ),
            L3::V6 => (
                XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP,
                XEN_NETIF_CTRL_HASH_TYPE_IPV6,
                XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP_BIT,
                XEN_NETIF_CTRL_HASH_TYPE_IPV6_BIT,
            ),
        };
        let mut input = flow.addresses(frame).to_vec();
        let ports = (!flow.vlan && !flow.fragment && flow.protocol == 6)
            .then(|| frame.get(flow.l4..flow.l4 + 4))
            .flatten();
        let hash_type = if flow.vlan {
            return None;
        } else if let (Some(ports), true) = (ports, self.flags & tcp != 0) {
            input.extend_from_slice(ports);
            tcp_bit
        } else if self.flags & ip != 0 {
            ip_bit
        } else {
            return None;
        };
        Some(FrameHash {
            hash_type,
            value: toeplitz(&self.key, &input),
        })
    }

    /// The queue of a frame with this hash, before it is limited to the queues there are.
    pub(crate) fn queue(&self, value: u32, queues: u32) -> u32 {
        if self.size == 0 {
            value % queues
        } else {
            self.mapping[(value % self.size) as usize]
        }
    }
}

/// Toeplitz hash of `input`: for each set bit, the 32 bits of the key that start at its position.
/// Key bits beyond the end are zero.
pub fn toeplitz(key: &[u8], input: &[u8]) -> u32 {
    let key_bit = |n: usize| key.get(n / 8).is_some_and(|b| b & (0x80 >> (n % 8)) != 0);
    let mut hash = 0;
    for at in 0..input.len() * 8 {
        if input[at / 8] & (0x80 >> (at % 8)) != 0 {
            for n in 0..32 {
                hash ^= u32::from(key_bit(at + n)) << (31 - n);
            }
        }
    }
    hash
}

/// A stand-in for the kernel's own flow hash: which queue a flow takes when no algorithm is set.
pub(crate) fn kernel_pick(frame: &[u8]) -> u32 {
    let Some(flow) = parse(frame) else {
        return 0;
    };
    let ports = frame.get(flow.l4..flow.l4 + 4).filter(|_| !flow.fragment);
    let bytes = flow.addresses(frame).iter().chain(ports.unwrap_or(&[]));
    // FNV-1a.
    bytes.fold(0x811C_9DC5, |h: u32, &b| {
        (h ^ u32::from(b)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key and the first vectors of Microsoft's "Verifying the RSS Hash Calculation".
    const KEY: [u8; 40] = [
        0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f,
        0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
        0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
    ];

    #[test]
    fn toeplitz_matches_the_published_vectors() {
        let tcp = [66, 9, 149, 187, 161, 142, 100, 80, 0x0A, 0xEA, 0x06, 0xE6];
        assert_eq!(toeplitz(&KEY, &tcp), 0x51cc_c178);
        assert_eq!(toeplitz(&KEY, &tcp[..8]), 0x323e_8fc2);
    }

    #[test]
    fn mapping_of_size_zero_is_modulo() {
        let mut state = HashState::default();
        assert_eq!(state.queue(7, 4), 3);
        state.size = 2;
        state.mapping[1] = 5;
        assert_eq!(state.queue(7, 4), 5);
    }
}
