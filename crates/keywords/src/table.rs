//! The keywords.
//!
//! A keyword is in [`TABLE`], and so in the INF file, from the day the driver honours it; until
//! then its definition waits in [`PLANNED`], which neither the driver nor the INF file uses. Windows
//! shows what the INF file lists, so a setting without effect would be a lie to the user, and
//! certification forbids it.

use crate::keyword::{Choice, Keyword};

const OFF_ON: &[Choice] = &[
    Choice {
        value: 0,
        label: "Disabled",
    },
    Choice {
        value: 1,
        label: "Enabled",
    },
];

const PRIORITY_VLAN: &[Choice] = &[
    Choice {
        value: 0,
        label: "Priority & VLAN Disabled",
    },
    Choice {
        value: 1,
        label: "Priority Enabled",
    },
    Choice {
        value: 2,
        label: "VLAN Enabled",
    },
    Choice {
        value: 3,
        label: "Priority & VLAN Enabled",
    },
];

/// Most queues the driver uses.
pub const MAX_QUEUES: u32 = 32;

/// Bytes of the largest frame with its 14-byte header, without tag.
pub const JUMBO_PACKET: Keyword = Keyword::long("*JumboPacket", "Jumbo Packet", 1514, (1514, 9014));

/// Address used in place of the vif's own.
pub const NETWORK_ADDRESS: Keyword =
    Keyword::optional_text("NetworkAddress", "Network Address", 12);

/// Pages of a queue for received frames: on the ring, and lent to the system.
pub const RECEIVE_BUFFERS: Keyword =
    Keyword::int("*ReceiveBuffers", "Receive Buffers", 640, (384, 2048));

/// Pages of a queue that frames to send are copied to.
pub const TRANSMIT_BUFFERS: Keyword =
    Keyword::int("*TransmitBuffers", "Transmit Buffers", 256, (32, 256));

/// Pages of long frames are granted to the backend as they are, in place of a copy.
pub const SEND_IN_PLACE: Keyword =
    Keyword::enumeration("SendInPlace", "Send Without Copying", 0, OFF_ON);

/// 802.1p priority and 802.1Q tags in the packet's out-of-band data.
pub const PRIORITY_VLAN_TAG: Keyword =
    Keyword::enumeration("*PriorityVLANTag", "Priority & VLAN", 3, PRIORITY_VLAN);

/// VLAN of all frames; 0 for none.
pub const VLAN_ID: Keyword = Keyword::long("VlanID", "VLAN ID", 0, (0, 4094));

/// Receive side scaling.
pub const RSS: Keyword = Keyword::enumeration("*RSS", "Receive Side Scaling", 1, OFF_ON);

/// Most pairs of a receive and a transmit queue. The default is what certification wants of an
/// adapter of 10 Gb/s and more.
pub const NUM_RSS_QUEUES: Keyword = Keyword::int(
    "*NumRssQueues",
    "Maximum Number of RSS Queues",
    8,
    (1, MAX_QUEUES),
);

const RSS_PROFILES: &[Choice] = &[
    Choice {
        value: 1,
        label: "Closest Processor",
    },
    Choice {
        value: 2,
        label: "Closest Processor Static",
    },
    Choice {
        value: 3,
        label: "NUMA Scaling",
    },
    Choice {
        value: 4,
        label: "NUMA Scaling Static",
    },
    Choice {
        value: 5,
        label: "Conservative Scaling",
    },
];

/// How processors are chosen. This keyword and the six after it are read by NDIS itself, which tells the driver the
/// processors that follow from them.
pub const RSS_PROFILE: Keyword =
    Keyword::enumeration("*RSSProfile", "RSS Load Balancing Profile", 4, RSS_PROFILES);
/// Most processors.
pub const MAX_RSS_PROCESSORS: Keyword = Keyword::int(
    "*MaxRssProcessors",
    "Maximum Number of RSS Processors",
    8,
    (1, 64),
);
/// Number of the first processor in its group.
pub const RSS_BASE_PROC_NUMBER: Keyword = Keyword::int(
    "*RssBaseProcNumber",
    "RSS Base Processor Number",
    0,
    (0, 63),
);
/// Group of the first processor.
pub const RSS_BASE_PROC_GROUP: Keyword =
    Keyword::int("*RssBaseProcGroup", "RSS Base Processor Group", 0, (0, 63));
/// Number of the last processor in its group.
pub const RSS_MAX_PROC_NUMBER: Keyword = Keyword::int(
    "*RssMaxProcNumber",
    "RSS Maximum Processor Number",
    63,
    (0, 63),
);
/// Group of the last processor.
pub const RSS_MAX_PROC_GROUP: Keyword = Keyword::int(
    "*RssMaxProcGroup",
    "RSS Maximum Processor Group",
    0,
    (0, 63),
);
/// Preferred NUMA node; 65535 for none.
pub const NUMA_NODE_ID: Keyword =
    Keyword::int("*NumaNodeId", "Preferred NUMA Node", 65535, (0, 65535));
/// UDP frames are hashed by their ports, which fragments do not have: some traffic is better off without.
pub const RSS_HASH_UDP: Keyword =
    Keyword::enumeration("RssHashUdp", "RSS Hash over UDP Ports", 1, OFF_ON);

/// What the driver honours and the INF file lists.
pub const TABLE: &[&Keyword] = &[
    &JUMBO_PACKET,
    &RECEIVE_BUFFERS,
    &TRANSMIT_BUFFERS,
    &SEND_IN_PLACE,
    &PRIORITY_VLAN_TAG,
    &VLAN_ID,
    &RSS,
    &NUM_RSS_QUEUES,
    &RSS_PROFILE,
    &MAX_RSS_PROCESSORS,
    &RSS_BASE_PROC_NUMBER,
    &RSS_BASE_PROC_GROUP,
    &RSS_MAX_PROC_NUMBER,
    &RSS_MAX_PROC_GROUP,
    &NUMA_NODE_ID,
    &RSS_HASH_UDP,
    &IP_CHECKSUM_IPV4,
    &TCP_CHECKSUM_IPV4,
    &TCP_CHECKSUM_IPV6,
    &UDP_CHECKSUM_IPV4,
    &UDP_CHECKSUM_IPV6,
    &LSO_V2_IPV4,
    &LSO_V2_IPV6,
    &RSC_IPV4,
    &RSC_IPV6,
    &INTERRUPT_MODERATION,
    &NETWORK_ADDRESS,
];

const TX_RX: &[Choice] = &[
    Choice {
        value: 0,
        label: "Disabled",
    },
    Choice {
        value: 1,
        label: "Tx Enabled",
    },
    Choice {
        value: 2,
        label: "Rx Enabled",
    },
    Choice {
        value: 3,
        label: "Rx & Tx Enabled",
    },
];

/// IPv4 header checksum.
pub const IP_CHECKSUM_IPV4: Keyword =
    Keyword::enumeration("*IPChecksumOffloadIPv4", "IPv4 Checksum Offload", 3, TX_RX);
/// TCP checksum over IPv4.
pub const TCP_CHECKSUM_IPV4: Keyword = Keyword::enumeration(
    "*TCPChecksumOffloadIPv4",
    "TCP Checksum Offload (IPv4)",
    3,
    TX_RX,
);
/// TCP checksum over IPv6.
pub const TCP_CHECKSUM_IPV6: Keyword = Keyword::enumeration(
    "*TCPChecksumOffloadIPv6",
    "TCP Checksum Offload (IPv6)",
    3,
    TX_RX,
);
/// UDP checksum over IPv4.
pub const UDP_CHECKSUM_IPV4: Keyword = Keyword::enumeration(
    "*UDPChecksumOffloadIPv4",
    "UDP Checksum Offload (IPv4)",
    3,
    TX_RX,
);
/// UDP checksum over IPv6.
pub const UDP_CHECKSUM_IPV6: Keyword = Keyword::enumeration(
    "*UDPChecksumOffloadIPv6",
    "UDP Checksum Offload (IPv6)",
    3,
    TX_RX,
);
/// Large send offload over IPv4.
pub const LSO_V2_IPV4: Keyword =
    Keyword::enumeration("*LsoV2IPv4", "Large Send Offload V2 (IPv4)", 1, OFF_ON);
/// Large send offload over IPv6.
pub const LSO_V2_IPV6: Keyword =
    Keyword::enumeration("*LsoV2IPv6", "Large Send Offload V2 (IPv6)", 1, OFF_ON);
/// Receive segment coalescing over IPv4.
pub const RSC_IPV4: Keyword =
    Keyword::enumeration("*RscIPv4", "Recv Segment Coalescing (IPv4)", 1, OFF_ON);
/// Receive segment coalescing over IPv6.
pub const RSC_IPV6: Keyword =
    Keyword::enumeration("*RscIPv6", "Recv Segment Coalescing (IPv6)", 1, OFF_ON);
/// Fewer interrupts at a higher latency.
pub const INTERRUPT_MODERATION: Keyword =
    Keyword::enumeration("*InterruptModeration", "Interrupt Moderation", 1, OFF_ON);

/// Defined, but neither honoured nor listed yet.
pub const PLANNED: &[&Keyword] = &[];

#[cfg(test)]
mod tests {
    extern crate std;

    use std::collections::BTreeSet;

    use super::*;
    use crate::find;
    use crate::reading::{Raw, Reading};

    fn all() -> impl Iterator<Item = &'static Keyword> {
        TABLE.iter().chain(PLANNED).copied()
    }

    #[test]
    fn names_are_ascii_and_appear_once() {
        let mut seen = BTreeSet::new();
        for keyword in all() {
            assert!(
                seen.insert(keyword.name.to_ascii_lowercase()),
                "{}",
                keyword.name
            );
            let plain = keyword.name.strip_prefix('*').unwrap_or(keyword.name);
            assert!(
                plain.bytes().all(|byte| byte.is_ascii_alphanumeric()),
                "{}",
                keyword.name
            );
            // crates/ndis turns a name into UTF-16 in a buffer of 64 units.
            assert!(keyword.name.len() < 64);
            assert!(!keyword.text.is_empty());
        }
    }

    #[test]
    fn every_default_is_itself_allowed() {
        for keyword in all() {
            if let Some(default) = keyword.default() {
                let read = keyword.read(Raw::Integer(default));
                assert_eq!(read, Reading::Set(default), "{}", keyword.name);
            }
        }
    }

    #[test]
    fn only_what_is_honoured_is_found() {
        assert_eq!(find("*jumbopacket"), Some(&JUMBO_PACKET));
        assert_eq!(find("JumboPacket"), None);
        for keyword in PLANNED {
            assert_eq!(find(keyword.name), None, "{}", keyword.name);
        }
    }
}
