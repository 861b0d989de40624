//! The network side: frames that come from the guest and frames for it.

use xen_abi::netif::GsoType;

/// A frame that is still to be cut into segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gso {
    /// Payload bytes of a segment (MSS).
    pub size: u16,
    /// TCP over IPv4 or IPv6.
    pub kind: GsoType,
}

/// A flow hash that travels with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHash {
    /// `XEN_NETIF_CTRL_HASH_TYPE_*_BIT`.
    pub hash_type: u8,
    /// The hash.
    pub value: u32,
}

/// What is known about a frame beside its bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FrameMeta {
    /// The TCP or UDP checksum field holds the pseudo-header sum only ([`crate::complete_checksum`]).
    pub csum_blank: bool,
    /// The data needs no checksum verification.
    pub data_validated: bool,
    /// Longer than a segment; implies that the checksum of each segment is still to be made.
    pub gso: Option<Gso>,
    /// From the guest: its HASH extra. To the guest: emitted as it is, before the model's own hash.
    pub hash: Option<FrameHash>,
    /// The queue a frame from the guest came on. Ignored towards the guest.
    pub queue: u16,
    /// Towards the guest: how it lies in slots, in place of the backend's own way.
    pub shape: Option<RxShape>,
}

/// How a frame for the guest lies in its slots: nothing here breaks the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RxShape {
    /// Chooses lengths and offsets of the slots, and the order of the extras.
    pub seed: u64,
    /// Checksum flags of the first slot, in place of those that follow from the frame.
    pub checksum_flags: Option<u16>,
}

impl RxShape {
    /// Most data slots a frame is spread over.
    const MOST: usize = 18;

    /// Offset and length of each slot of a frame of `len` bytes.
    pub(crate) fn slots(self, len: usize) -> Vec<(u16, usize)> {
        const PAGE: usize = 4096;
        let mut state = self.seed | 1;
        let mut below = |bound: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % bound.max(1) as u64) as usize
        };
        let mut slots = Vec::new();
        let mut rest = len;
        while rest > 0 {
            let after = Self::MOST - slots.len() - 1;
            let least = rest.saturating_sub(after * PAGE).max(1);
            let most = rest.min(PAGE);
            let length = match below(3) {
                0 => most,
                _ => least + below(most + 1 - least),
            };
            let offset = if below(2) == 0 {
                0
            } else {
                below(PAGE + 1 - length)
            };
            slots.push((offset as u16, length));
            rest -= length;
        }
        slots
    }
}

/// The network behind the backend.
pub trait Wire {
    /// A frame the guest sent, starting at its Ethernet header.
    #[expect(
        clippy::wrong_self_convention,
        reason = "a frame comes *from* the guest"
    )]
    fn from_guest(&mut self, frame: &[u8], meta: FrameMeta);
    /// The next frame for the guest.
    fn to_guest(&mut self) -> Option<(Vec<u8>, FrameMeta)>;
}
