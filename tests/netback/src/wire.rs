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
