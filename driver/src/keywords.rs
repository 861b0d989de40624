//! The registry keywords of an adapter: every one the driver honours, with range and default.

use ndis::configuration::{Configuration, Keyword};

use crate::vlan::VlanSettings;

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
    range: 384..=2048,
    default: 640,
};

/// Pages of a queue that frames to send are copied to.
const TRANSMIT_BUFFERS: Keyword = Keyword {
    name: "*TransmitBuffers",
    range: 32..=256,
    default: 64,
};

/// Whether priority (1) and VLAN (2) travel beside the frame.
const PRIORITY_VLAN_TAG: Keyword = Keyword {
    name: "*PriorityVLANTag",
    range: 0..=3,
    default: 3,
};

/// The VLAN all frames are in; 0 for none in particular.
const VLAN_ID: Keyword = Keyword {
    name: "VlanID",
    range: 0..=4094,
    default: 0,
};

/// Whether receive-side scaling is offered.
const RSS: Keyword = Keyword {
    name: "*RSS",
    range: 0..=1,
    default: 1,
};

/// Most queues, receive and transmit pairs.
const NUM_RSS_QUEUES: Keyword = Keyword {
    name: "*NumRssQueues",
    range: 1..=MAX_QUEUES as u32,
    default: 8,
};

/// Whether UDP frames are hashed by their ports.
const RSS_UDP: Keyword = Keyword {
    name: "RssHashUdp",
    range: 0..=1,
    default: 1,
};

/// Most queues the driver uses.
pub(crate) const MAX_QUEUES: u16 = 32;
const _: () = assert!(MAX_QUEUES as usize == rss::QUEUES_MAX);

/// Values in force, read once in `MiniportInitializeEx`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keywords {
    /// Bytes of the largest frame with header.
    pub(crate) jumbo_packet: u32,
    /// Receive pages per queue.
    pub(crate) receive_buffers: u32,
    /// Bounce pages per queue.
    pub(crate) transmit_buffers: u32,
    /// VLAN settings.
    pub(crate) vlan: VlanSettings,
    /// Most queues.
    pub(crate) queues: u32,
    /// Whether receive-side scaling is offered.
    pub(crate) rss: bool,
    /// Whether UDP frames may be hashed by their ports.
    pub(crate) rss_udp: bool,
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
            vlan: VlanSettings::new(
                configuration.read(&PRIORITY_VLAN_TAG),
                configuration.read(&VLAN_ID),
            ),
            queues: configuration.read(&NUM_RSS_QUEUES),
            rss: configuration.read(&RSS) != 0,
            rss_udp: configuration.read(&RSS_UDP) != 0,
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
