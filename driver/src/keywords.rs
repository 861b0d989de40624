//! The registry keywords of an adapter: every one the driver honours, with range and default.

use ndis::configuration::{Configuration, Keyword};

/// Bytes of an Ethernet header without tag.
pub(crate) const ETHERNET_HEADER: u32 = 14;

/// Largest frame with its Ethernet header, without tag.
const JUMBO_PACKET: Keyword = Keyword {
    name: "*JumboPacket",
    range: 1514..=9014,
    default: 1514,
};

/// Pages of a queue for received frames: on the ring, and lent to the system.
const RECEIVE_BUFFERS: Keyword = Keyword {
    name: "*ReceiveBuffers",
    range: 320..=2048,
    default: 640,
};

/// Pages of a queue that frames to send are copied to.
const TRANSMIT_BUFFERS: Keyword = Keyword {
    name: "*TransmitBuffers",
    range: 32..=256,
    default: 64,
};

/// Values in force, read once in `MiniportInitializeEx`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keywords {
    /// Bytes of the largest frame with header.
    pub(crate) jumbo_packet: u32,
    /// Receive pages per queue.
    pub(crate) receive_buffers: u32,
    /// Bounce pages per queue.
    pub(crate) transmit_buffers: u32,
    /// Address set by the administrator (`NetworkAddress`).
    pub(crate) network_address: Option<[u8; 6]>,
}

impl Keywords {
    /// Reads them all.
    pub(crate) fn read(configuration: &Configuration) -> Self {
        Self {
            jumbo_packet: configuration.read(&JUMBO_PACKET),
            receive_buffers: configuration.read(&RECEIVE_BUFFERS),
            transmit_buffers: configuration.read(&TRANSMIT_BUFFERS),
            network_address: configuration.network_address(),
        }
    }

    /// Largest payload of a frame, when the toolstack allows `store_mtu`.
    pub(crate) fn mtu(&self, store_mtu: u16) -> u32 {
        self.jumbo_packet
            .saturating_sub(ETHERNET_HEADER)
            .min(store_mtu.into())
    }
}
