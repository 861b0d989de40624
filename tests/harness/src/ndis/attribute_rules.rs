//! What the values in an Ethernet miniport's general attributes must be (ndis-contract.md 1.4.7, 1.4.8, 2.1).

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use ndis_sys as sys;

/// `NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES` as far as it is checked and kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct General {
    /// `NDIS_MEDIUM`.
    pub media: i32,
    /// `NDIS_PHYSICAL_MEDIUM`.
    pub physical_medium: i32,
    /// Largest payload, without the 14 bytes of MAC header.
    pub mtu: u32,
    /// Largest and present speeds in bits per second: transmit, receive.
    pub max_speeds: [u64; 2],
    /// Present speeds.
    pub speeds: [u64; 2],
    /// `NDIS_MEDIA_CONNECT_STATE`.
    pub connect_state: i32,
    /// Bytes of lookahead.
    pub lookahead: u32,
    /// `NDIS_MAC_OPTION_*`.
    pub mac_options: u32,
    /// `NDIS_PACKET_TYPE_*` that may be set.
    pub filters: u32,
    /// Multicast addresses that may be set.
    pub multicast_size: u32,
    /// Bytes of a MAC address.
    pub address_length: u16,
    /// Burnt-in address.
    pub permanent_address: [u8; 6],
    /// Address in use.
    pub current_address: [u8; 6],
    /// Access, direction and connection type.
    pub types: [i32; 3],
    /// IANA interface type.
    pub interface_type: u16,
    /// `IfConnectorPresent`.
    pub connector: u8,
    /// `NDIS_STATISTICS_*` flags.
    pub statistics: u32,
    /// OIDs that the driver says it answers.
    pub oids: Vec<u32>,
    /// `SupportedOidListLength`.
    pub oids_length: u32,
    /// RSS capabilities, if there are any.
    pub rss: Option<Rss>,
    /// Wake capabilities, if there is a structure.
    pub power: Option<Power>,
}

/// `NDIS_RECEIVE_SCALE_CAPABILITIES`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rss {
    /// `CapabilitiesFlags`.
    pub flags: u32,
    /// `NumberOfInterruptMessages`.
    pub messages: u32,
    /// `NumberOfReceiveQueues`.
    pub queues: u32,
    /// `NumberOfIndirectionTableEntries`.
    pub entries: u16,
}

/// `NDIS_PM_CAPABILITIES`, as far as it is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Power {
    /// `Flags`.
    pub flags: u32,
    /// `SupportedWoLPacketPatterns`.
    pub patterns: u32,
    /// `SupportedProtocolOffloads`.
    pub offloads: u32,
    /// Lowest states of the three wake events.
    pub wake: [i32; 3],
}

/// The flags of all counters that `NDIS_STATISTICS_INFO` has, and of the structure itself.
const ALL_STATISTICS: u32 = 0x0001_FFFF
    | sys::NDIS_STATISTICS_BYTES_RCV_SUPPORTED
    | sys::NDIS_STATISTICS_BYTES_XMIT_SUPPORTED
    | sys::NDIS_STATISTICS_RCV_DISCARDS_SUPPORTED
    | sys::NDIS_STATISTICS_GEN_STATISTICS_SUPPORTED
    | sys::NDIS_STATISTICS_XMIT_DISCARDS_SUPPORTED;
/// Access, direction and connection type of Ethernet.
const TYPES: [i32; 3] = [
    sys::NET_IF_ACCESS_BROADCAST,
    sys::NET_IF_DIRECTION_SENDRECEIVE,
    sys::NET_IF_CONNECTION_DEDICATED,
];
/// `NDIS_RSS_CAPS_SUPPORTS_INDEPENDENT_ENTRY_MOVE` and below: every flag that is defined.
const RSS_FLAGS: u32 = 0x7F00_3F00;

/// What an MTU can be, in bytes: what every IPv4 host must take whole, to the longest packet that fits a frame.
pub(crate) const MTU: core::ops::RangeInclusive<u32> = 576..=65_521;

impl General {
    /// Every value that is wrong, in words.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut want = |ok: bool, what: String| {
            if !ok {
                faults.push(what);
            }
        };
        want(
            self.media == sys::NdisMedium802_3,
            format!("MediaType is {}, not 802.3", self.media),
        );
        want(
            matches!(
                self.physical_medium,
                sys::NdisPhysicalMediumUnspecified | sys::NdisPhysicalMedium802_3
            ),
            format!("PhysicalMediumType is {}, not 802.3", self.physical_medium),
        );
        want(MTU.contains(&self.mtu), format!("MtuSize is {}", self.mtu));
        want(
            self.max_speeds
                .iter()
                .all(|speed| *speed >= 100_000_000 && *speed != u64::MAX),
            format!("maximum link speeds are {:?} bit/s", self.max_speeds),
        );
        let present = self
            .speeds
            .iter()
            .zip(self.max_speeds)
            .all(|(now, max)| *now <= max || *now == u64::MAX);
        want(
            present,
            format!("link speeds are {:?} bit/s, above the maximum", self.speeds),
        );
        want(
            (0..=2).contains(&self.connect_state),
            format!("MediaConnectState is {}", self.connect_state),
        );
        want(
            self.lookahead >= 14,
            format!("LookaheadSize is {}", self.lookahead),
        );
        self.option_faults(&mut want);
        want(
            self.multicast_size >= 32,
            format!(
                "MaxMulticastListSize is {}; certification asks for 32",
                self.multicast_size
            ),
        );
        want(
            self.address_length == 6,
            format!("MacAddressLength is {}", self.address_length),
        );
        for (name, address) in [
            ("Permanent", self.permanent_address),
            ("Current", self.current_address),
        ] {
            let usable = address[0] & 1 == 0 && address != [0; 6];
            want(usable, format!("{name}MacAddress is {address:02x?}"));
        }
        want(
            self.types == TYPES,
            format!("access, direction and connection type are {:?}", self.types),
        );
        want(
            self.interface_type == 6,
            format!("IfType is {}, not 6", self.interface_type),
        );
        want(
            self.connector <= 1,
            format!("IfConnectorPresent is {}", self.connector),
        );
        want(
            self.statistics & ALL_STATISTICS == ALL_STATISTICS,
            format!(
                "SupportedStatistics is {:#x}; all must be supported",
                self.statistics
            ),
        );
        want(
            self.oids_length.is_multiple_of(4) && !self.oids.is_empty(),
            format!("SupportedOidListLength is {}", self.oids_length),
        );
        let mut sorted = self.oids.clone();
        sorted.sort_unstable();
        sorted.dedup();
        want(
            sorted.len() == self.oids.len(),
            "SupportedOidList names an OID twice".to_owned(),
        );
        match self.power {
            None => faults.push("PowerManagementCapabilitiesEx is null".to_owned()),
            Some(power) => faults.extend(power.faults()),
        }
        faults.extend(self.rss.iter().flat_map(Rss::faults));
        faults
    }

    fn option_faults(&self, want: &mut impl FnMut(bool, String)) {
        let options = self.mac_options;
        let must = sys::NDIS_MAC_OPTION_NO_LOOPBACK | sys::NDIS_MAC_OPTION_TRANSFERS_NOT_PEND;
        want(
            options & must == must,
            format!("MacOptions {options:#x} lacks NO_LOOPBACK or TRANSFERS_NOT_PEND"),
        );
        let vlan = options & sys::NDIS_MAC_OPTION_8021Q_VLAN != 0;
        let priority = options & sys::NDIS_MAC_OPTION_8021P_PRIORITY != 0;
        want(
            priority || !vlan,
            format!("MacOptions {options:#x}: 8021Q_VLAN needs 8021P_PRIORITY"),
        );
        let legacy = sys::NDIS_MAC_OPTION_RECEIVE_SERIALIZED
            | sys::NDIS_MAC_OPTION_FULL_DUPLEX
            | sys::NDIS_MAC_OPTION_EOTX_INDICATION
            | sys::NDIS_MAC_OPTION_RECEIVE_AT_DPC;
        want(
            options & legacy == 0,
            format!("MacOptions {options:#x} has legacy or reserved bits"),
        );
        let basic = sys::NDIS_PACKET_TYPE_DIRECTED
            | sys::NDIS_PACKET_TYPE_MULTICAST
            | sys::NDIS_PACKET_TYPE_BROADCAST
            | sys::NDIS_PACKET_TYPE_PROMISCUOUS;
        want(
            self.filters & basic == basic,
            format!(
                "SupportedPacketFilters {:#x} lacks a mandatory filter",
                self.filters
            ),
        );
    }
}

impl Rss {
    /// Every value that is wrong, in words.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.flags & 0xFF != 1 {
            faults.push(format!(
                "RSS hash functions {:#x}: Toeplitz, 1, is the only one",
                self.flags & 0xFF
            ));
        }
        if self.flags & !(RSS_FLAGS | 0xFF) != 0 {
            faults.push(format!(
                "RSS CapabilitiesFlags {:#x} has undefined bits",
                self.flags
            ));
        }
        if self.flags & 0x3F00 == 0 {
            faults.push("RSS without a hash type".to_owned());
        }
        if self.messages == 0 {
            faults.push("RSS NumberOfInterruptMessages is 0".to_owned());
        }
        if self.queues == 0 {
            faults.push("RSS NumberOfReceiveQueues is 0".to_owned());
        }
        if !self.entries.is_power_of_two() || self.entries > 128 {
            faults.push(format!(
                "RSS NumberOfIndirectionTableEntries is {}",
                self.entries
            ));
        }
        faults
    }
}

impl Power {
    /// Every value that is wrong, in words: capabilities that contradict each other.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.wake.iter().any(|state| !(0..=4).contains(state)) {
            faults.push(format!("lowest wake states are {:?}", self.wake));
        }
        let pattern = self.patterns & 1 != 0;
        if pattern != (self.wake[1] != 0) {
            faults.push("bitmap patterns and MinPatternWakeUp do not agree".to_owned());
        }
        let magic = self.patterns & 2 != 0;
        if magic != (self.wake[0] != 0) {
            faults.push("magic packets and MinMagicPacketWakeUp do not agree".to_owned());
        }
        faults
    }
}

#[cfg(test)]
pub(super) fn sound() -> General {
    General {
        media: 0,
        physical_medium: 14,
        mtu: 1500,
        max_speeds: [10_000_000_000; 2],
        speeds: [u64::MAX, 10_000_000_000],
        connect_state: 1,
        lookahead: 1500,
        mac_options: 0x24D,
        filters: 0x2F,
        multicast_size: 32,
        address_length: 6,
        permanent_address: [0, 0x16, 0x3E, 1, 2, 3],
        current_address: [0, 0x16, 0x3E, 1, 2, 3],
        types: TYPES,
        interface_type: 6,
        connector: 0,
        statistics: u32::MAX,
        oids: alloc::vec![0x0001_0101, 0x0001_0106],
        oids_length: 8,
        rss: Some(Rss {
            flags: 0x701,
            messages: 1,
            queues: 4,
            entries: 128,
        }),
        power: Some(Power::default()),
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec::Vec;

    use super::{General, Power, Rss, sound};

    #[test]
    fn a_sound_set_of_attributes_has_no_fault() {
        assert_eq!(sound().faults(), Vec::<String>::new());
    }

    /// One change, and the word its report must hold.
    type Case = (&'static str, fn(&mut General));

    #[test]
    fn each_wrong_value_is_reported_alone() {
        let cases: [Case; 20] = [
            ("MediaType", |g| g.media = 1),
            ("PhysicalMediumType", |g| g.physical_medium = 1),
            ("MtuSize", |g| g.mtu = 0),
            ("maximum link speeds", |g| g.max_speeds[0] = 10),
            ("above the maximum", |g| g.speeds[1] = 20_000_000_000),
            ("MediaConnectState", |g| g.connect_state = 3),
            ("LookaheadSize", |g| g.lookahead = 0),
            ("NO_LOOPBACK", |g| g.mac_options &= !8),
            ("8021P_PRIORITY", |g| g.mac_options &= !0x40),
            ("mandatory filter", |g| g.filters &= !0x20),
            ("MaxMulticastListSize", |g| g.multicast_size = 31),
            ("MacAddressLength", |g| g.address_length = 8),
            ("CurrentMacAddress", |g| g.current_address[0] = 1),
            ("PermanentMacAddress", |g| g.permanent_address = [0; 6]),
            ("access, direction", |g| g.types[1] = 1),
            ("IfType", |g| g.interface_type = 71),
            ("SupportedStatistics", |g| g.statistics = 0),
            ("twice", |g| g.oids[1] = g.oids[0]),
            ("PowerManagementCapabilitiesEx", |g| g.power = None),
            ("MinMagicPacketWakeUp", |g| {
                g.power = Some(Power {
                    wake: [4, 0, 0],
                    ..Power::default()
                });
            }),
        ];
        for (word, change) in cases {
            let mut general = sound();
            change(&mut general);
            let faults = general.faults();
            assert!(
                faults.len() == 1 && faults[0].contains(word),
                "{word}: {faults:?}"
            );
        }
    }

    #[test]
    fn rss_capabilities_are_checked_one_by_one() {
        let sound = Rss {
            flags: 0x701,
            messages: 1,
            queues: 2,
            entries: 64,
        };
        assert!(sound.faults().is_empty());
        for bad in [
            Rss {
                flags: 0x700,
                ..sound
            },
            Rss {
                flags: 0x8000_0701,
                ..sound
            },
            Rss { flags: 1, ..sound },
            Rss {
                messages: 0,
                ..sound
            },
            Rss { queues: 0, ..sound },
            Rss {
                entries: 96,
                ..sound
            },
            Rss {
                entries: 256,
                ..sound
            },
        ] {
            assert_eq!(bad.faults().len(), 1, "{bad:?}");
        }
    }
}
