//! 802.1Q tags: in the frame on the wire, beside it in Windows.

use ndis::oob::VlanTag;
use ndis_sys as sys;

/// Bytes of a tag in a frame.
pub(crate) const TAG_BYTES: u32 = 4;
/// Where in a frame it is: behind the two addresses.
pub(crate) const TAG_PLACE: u32 = 12;
/// The Ethernet type that announces one, as in the frame.
pub(crate) const TAG_TYPE: [u8; 2] = [0x81, 0x00];
/// The VLAN identifier in the tag control information.
const VID: u16 = 0x0FFF;
/// Priority and canonical format indicator in it.
const PRIORITY: u16 = 0xF000;

/// What the administrator has set (`*PriorityVLANTag`, `VlanID`).
#[derive(Clone, Copy, Debug)]
pub(crate) struct VlanSettings {
    priority: bool,
    vlan: bool,
    /// The VLAN all frames are in; 0 for none in particular.
    id: u16,
}

/// What becomes of a received frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    /// It is of another VLAN.
    Foreign,
    /// It is handed up, with this value in the tag slot.
    Accept(u64),
}

impl VlanSettings {
    /// From the keywords: `mode` 0 to 3, bit 0 priority, bit 1 VLAN; `id` 0 to 4094.
    pub(crate) fn new(mode: u32, id: u32) -> Self {
        Self {
            priority: mode & 1 != 0,
            vlan: mode & 2 != 0,
            id: u16::try_from(id).unwrap_or(0) & VID,
        }
    }

    /// The `NDIS_MAC_OPTION_*` to tell. VLANs cannot be told without priority.
    pub(crate) fn mac_options(self) -> u32 {
        match (self.priority, self.vlan) {
            (_, true) => sys::NDIS_MAC_OPTION_8021P_PRIORITY | sys::NDIS_MAC_OPTION_8021Q_VLAN,
            (true, false) => sys::NDIS_MAC_OPTION_8021P_PRIORITY,
            (false, false) => 0,
        }
    }

    /// The tag control information that a frame sent with this slot gets.
    pub(crate) fn outgoing(self, slot: u64) -> Option<u16> {
        let asked = VlanTag::from_slot(slot).map_or(0, control);
        let mut tag = self.keep(asked);
        if self.id != 0 {
            tag = tag & PRIORITY | self.id;
        }
        (tag != 0).then_some(tag)
    }

    /// What becomes of a frame that came with this tag; `all` when every VLAN is wanted.
    pub(crate) fn incoming(self, tag: Option<u16>, all: bool) -> Incoming {
        let tag = tag.unwrap_or(0);
        let vid = tag & VID;
        if self.id != 0 && vid != 0 && vid != self.id && !all {
            return Incoming::Foreign;
        }
        let told = self.keep(tag);
        Incoming::Accept(
            VlanTag {
                priority: told.to_be_bytes()[0] >> 5,
                canonical: told & 0x1000 != 0,
                vid: told & VID,
            }
            .slot(),
        )
    }

    /// The parts of a tag that are passed on between Windows and the wire.
    fn keep(self, tag: u16) -> u16 {
        let mut kept = 0;
        if self.priority {
            kept |= tag & PRIORITY;
        }
        if self.vlan {
            kept |= tag & VID;
        }
        kept
    }
}

/// A tag as it stands in a frame.
fn control(tag: VlanTag) -> u16 {
    let high = tag.priority << 5 | u8::from(tag.canonical) << 4;
    u16::from_be_bytes([high, 0]) | tag.vid & VID
}
