//! The settings of an adapter: the rows of `crates/keywords`, as NDIS reads them.

use keywords::{Keyword, Raw, Remark, Settings, table};
use ndis::configuration::{Configuration, Value};
use nt::device::DeviceRef;
use nt::irql::Passive;
use nt::registry::{Access, DeviceKey, Key};
use nt::unicode::UnicodeStr;
use offload::settings::{Directions, Offloads};

use crate::vlan::{TAG_BYTES, VlanSettings};

/// Bytes of an Ethernet header without tag.
pub(crate) const ETHERNET_HEADER: u32 = 14;

/// Most queues the driver uses.
#[expect(clippy::cast_possible_truncation, reason = "32")]
pub(crate) const MAX_QUEUES: u16 = table::MAX_QUEUES as u16;
const _: () = assert!(MAX_QUEUES as usize == rss::QUEUES_MAX);

/// Smallest MTU told: what every host must take in one piece (RFC 791). Less in XenStore is taken for a mistake.
const LEAST_MTU: u32 = 576;

/// Largest payload of a frame that fits one slot of the ring, with header and tag: a page (`xen/io/netif.h`).
const ONE_SLOT: u32 = 4096 - ETHERNET_HEADER - TAG_BYTES;

/// What the MTU depends on beside `*JumboPacket`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MtuLimits {
    /// `mtu` of XenStore.
    pub(crate) store: u16,
    /// Whether the backend takes frames of several slots (`feature-sg`).
    pub(crate) scatter_gather: bool,
}

/// Longest name of a keyword, in UTF-16 units.
const MAX_NAME: usize = 64;

/// Values in force, read once in `MiniportInitializeEx`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keywords {
    settings: Settings,
}

impl Keywords {
    /// Reads them all. A value that is not usable is logged once, those that are missing together
    /// in one line. `device` is the physical device object.
    pub(crate) fn read(
        configuration: &Configuration,
        device: Option<DeviceRef>,
        irql: &Passive<'_>,
    ) -> Self {
        // Without the key a value of a type that NDIS cannot hand out counts as missing.
        let key = device.and_then(|device| {
            Key::of_device(device, DeviceKey::Software, Access::Read, irql).ok()
        });
        let mut missing: usize = 0;
        let raw = |keyword: &'static Keyword| match configuration.read(keyword.name) {
            Value::Integer(number) => Raw::Integer(number),
            Value::Text(text) => Raw::Text(text),
            Value::Other => Raw::OtherType,
            Value::None if key.as_ref().is_some_and(|key| has(key, keyword)) => Raw::OtherType,
            Value::None => Raw::Missing,
        };
        let remark = |keyword: &'static Keyword, why| match why {
            Remark::Missing if keyword.optional => {}
            Remark::Missing => missing = missing.saturating_add(1),
            Remark::Number(_) | Remark::Address(_) => log(keyword, why),
        };
        let settings = Settings::read(raw, remark);
        if missing != 0 {
            nt::log_info!("{missing} keywords are not set: their defaults apply");
        }
        Self { settings }
    }

    /// Bytes of the largest frame with header, without tag.
    fn jumbo_packet(&self) -> u32 {
        self.settings.number(&table::JUMBO_PACKET)
    }

    /// Receive pages per queue.
    pub(crate) fn receive_buffers(&self) -> u32 {
        self.settings.number(&table::RECEIVE_BUFFERS)
    }

    /// Bounce pages per queue.
    pub(crate) fn transmit_buffers(&self) -> u32 {
        self.settings.number(&table::TRANSMIT_BUFFERS)
    }

    /// Whether pages of long frames are granted to the backend as they are.
    pub(crate) fn sends_in_place(&self) -> bool {
        self.settings.is_on(&table::SEND_IN_PLACE)
    }

    /// VLAN settings.
    pub(crate) fn vlan(&self) -> VlanSettings {
        VlanSettings::new(
            self.settings.number(&table::PRIORITY_VLAN_TAG),
            self.settings.number(&table::VLAN_ID),
        )
    }

    /// Most queues.
    pub(crate) fn queues(&self) -> u32 {
        self.settings.number(&table::NUM_RSS_QUEUES)
    }

    /// Whether receive-side scaling is offered.
    pub(crate) fn rss(&self) -> bool {
        self.settings.is_on(&table::RSS)
    }

    /// Whether UDP frames may be hashed by their ports.
    pub(crate) fn rss_udp(&self) -> bool {
        self.settings.is_on(&table::RSS_HASH_UDP)
    }

    /// Offloads wanted.
    pub(crate) fn offloads(&self) -> Offloads {
        let directions = |keyword| Directions::from_bits(self.settings.number(keyword));
        let is_on = |keyword| self.settings.is_on(keyword);
        Offloads {
            ipv4: directions(&table::IP_CHECKSUM_IPV4),
            tcp4: directions(&table::TCP_CHECKSUM_IPV4),
            udp4: directions(&table::UDP_CHECKSUM_IPV4),
            tcp6: directions(&table::TCP_CHECKSUM_IPV6),
            udp6: directions(&table::UDP_CHECKSUM_IPV6),
            lso4: is_on(&table::LSO_V2_IPV4),
            lso6: is_on(&table::LSO_V2_IPV6),
            rsc4: is_on(&table::RSC_IPV4),
            rsc6: is_on(&table::RSC_IPV6),
        }
    }

    /// Whether events may be held back.
    pub(crate) fn interrupt_moderation(&self) -> bool {
        self.settings.is_on(&table::INTERRUPT_MODERATION)
    }

    /// Address set by the administrator.
    pub(crate) fn network_address(&self) -> Option<[u8; 6]> {
        self.settings.network_address()
    }

    /// Largest payload of a frame, in bytes: what the toolstack allows, and the backend takes.
    pub(crate) fn mtu(&self, limits: MtuLimits) -> u32 {
        let MtuLimits {
            store,
            scatter_gather,
        } = limits;
        let backend = if scatter_gather { u32::MAX } else { ONE_SLOT };
        self.jumbo_packet()
            .saturating_sub(ETHERNET_HEADER)
            .min(store.into())
            .min(backend)
            .max(LEAST_MTU)
    }
}

/// The one line about a value that is not usable.
fn log(keyword: &Keyword, why: Remark) {
    match keyword.default() {
        Some(default) => {
            nt::log_warn!("{} is {why}: {default} is used", keyword.name);
        }
        None => nt::log_warn!("{} is {why}: it is not used", keyword.name),
    }
}

/// Whether the adapter's key has a value of that name, of whatever type.
fn has(key: &Key<'_>, keyword: &Keyword) -> bool {
    let mut units = [0; MAX_NAME];
    let mut count: usize = 0;
    for unit in keyword.name.encode_utf16() {
        let Some(place) = units.get_mut(count) else {
            return false;
        };
        *place = unit;
        count = count.saturating_add(1);
    }
    let name = units.get(..count).and_then(UnicodeStr::new);
    name.is_some_and(|name| key.contains(name) == Ok(true))
}
