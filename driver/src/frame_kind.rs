//! Frames by destination: what is counted, and what the packet filter lets through.

use crate::attributes::{FILTERS, MAX_MULTICAST};
use ndis_sys as sys;

/// Kind of a frame's destination address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// One station.
    Unicast,
    /// A group.
    Multicast,
    /// All.
    Broadcast,
}

impl Destination {
    /// The kind of an Ethernet address.
    pub(crate) fn of(address: [u8; 6]) -> Self {
        let [first, ..] = address;
        if address == [0xff; 6] {
            Self::Broadcast
        } else if first & 1 != 0 {
            Self::Multicast
        } else {
            Self::Unicast
        }
    }
}

/// The groups listened to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MulticastList {
    addresses: [[u8; 6]; MAX_MULTICAST as usize],
    count: usize,
}

/// A multicast list has more addresses than the driver takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ListFull;

impl MulticastList {
    /// No group.
    pub(crate) const EMPTY: Self = Self {
        addresses: [[0; 6]; MAX_MULTICAST as usize],
        count: 0,
    };

    /// The list of these bytes, six for each address; a rest is ignored.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, ListFull> {
        let mut list = Self::EMPTY;
        let (addresses, _) = bytes.as_chunks::<6>();
        for address in addresses {
            *list.addresses.get_mut(list.count).ok_or(ListFull)? = *address;
            list.count = list.count.saturating_add(1);
        }
        Ok(list)
    }

    /// The addresses.
    pub(crate) fn addresses(&self) -> &[[u8; 6]] {
        self.addresses.get(..self.count).unwrap_or_default()
    }
}

/// What is received.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filter {
    /// `NDIS_PACKET_TYPE_*`; nothing at first.
    pub(crate) types: u32,
    /// The adapter's own address.
    pub(crate) own: [u8; 6],
    /// Groups.
    pub(crate) groups: MulticastList,
}

impl Filter {
    /// A filter that lets nothing through.
    pub(crate) const fn closed(own: [u8; 6]) -> Self {
        Self {
            types: 0,
            own,
            groups: MulticastList::EMPTY,
        }
    }

    /// Whether all bits of `types` can be set.
    pub(crate) fn can_be(types: u32) -> bool {
        types & !FILTERS == 0
    }

    /// Whether everything is wanted.
    pub(crate) fn is_promiscuous(&self) -> bool {
        self.types & sys::NDIS_PACKET_TYPE_PROMISCUOUS != 0
    }

    /// The groups wanted; None when frames to any group are.
    pub(crate) fn groups_wanted(&self) -> Option<&[[u8; 6]]> {
        let has = |bit| self.types & bit != 0;
        if self.is_promiscuous() || has(sys::NDIS_PACKET_TYPE_ALL_MULTICAST) {
            None
        } else if has(sys::NDIS_PACKET_TYPE_MULTICAST) {
            Some(self.groups.addresses())
        } else {
            Some(&[])
        }
    }

    /// Whether a frame to `address` is wanted.
    pub(crate) fn accepts(&self, address: [u8; 6]) -> bool {
        let has = |bit| self.types & bit != 0;
        if self.is_promiscuous() {
            return true;
        }
        match Destination::of(address) {
            Destination::Unicast => has(sys::NDIS_PACKET_TYPE_DIRECTED) && address == self.own,
            Destination::Broadcast => has(sys::NDIS_PACKET_TYPE_BROADCAST),
            Destination::Multicast => {
                has(sys::NDIS_PACKET_TYPE_ALL_MULTICAST)
                    || (has(sys::NDIS_PACKET_TYPE_MULTICAST)
                        && self.groups.addresses().contains(&address))
            }
        }
    }
}
