//! Task offloads as NDIS speaks of them: what an adapter can do and does, and what is set.
//!
//! Capabilities and present settings use the same structure. Each two-bit field is 1 for yes and 0
//! for no in both: `NDIS_OFFLOAD_SET_OFF`, 2, would read as "supported" to whoever compares with 0.

use core::mem::offset_of;

use ndis_sys as sys;
use offload::settings::{Directions, Offloads};

use crate::object::NdisObject;
use crate::status::Status;
use crate::version::NdisVersion;

type Raw = sys::NDIS_OFFLOAD_PARAMETERS_R6;
type Base = sys::NDIS_OFFLOAD_PARAMETERS;

/// Most payload of a large send: with 128 bytes of IP and TCP headers and a tagged Ethernet header
/// the frame's length fits in netif's 16 bits.
pub const MAX_LARGE_SEND: u32 = 0xFFFF - 18 - sys::NDIS_LARGE_SEND_OFFLOAD_MAX_HEADER_LENGTH;
/// Fewest segments of a large send.
pub const MIN_SEGMENTS: u32 = 2;
/// What frames may look like: tags beside the frame or in it do not matter.
const ENCAPSULATION: u32 = sys::NDIS_ENCAPSULATION_IEEE_802_3
    | sys::NDIS_ENCAPSULATION_IEEE_802_3_P_AND_Q
    | sys::NDIS_ENCAPSULATION_IEEE_802_3_P_AND_Q_IN_OOB;

const fn when(on: bool, value: u32) -> u32 {
    if on { value } else { 0 }
}

/// A checksum structure of IPv4: encapsulation and two-bit fields.
fn ipv4(ip: bool, tcp: bool, udp: bool) -> sys::NDIS_IPV4_CHECKSUM_OFFLOAD {
    type Fields = sys::NDIS_IPV4_CHECKSUM_OFFLOAD;
    let any = ip || tcp || udp;
    Fields {
        Encapsulation: when(any, ENCAPSULATION),
        IpOptionsSupported: when(any, sys::NDIS_OFFLOAD_SUPPORTED << Fields::IP_OPTIONS_SHIFT)
            | when(
                tcp,
                sys::NDIS_OFFLOAD_SUPPORTED << Fields::TCP_OPTIONS_SHIFT,
            )
            | when(
                tcp,
                sys::NDIS_OFFLOAD_SUPPORTED << Fields::TCP_CHECKSUM_SHIFT,
            )
            | when(
                udp,
                sys::NDIS_OFFLOAD_SUPPORTED << Fields::UDP_CHECKSUM_SHIFT,
            )
            | when(ip, sys::NDIS_OFFLOAD_SUPPORTED << Fields::IP_CHECKSUM_SHIFT),
    }
}

/// The same of IPv6.
fn ipv6(tcp: bool, udp: bool) -> sys::NDIS_IPV6_CHECKSUM_OFFLOAD {
    type Fields = sys::NDIS_IPV6_CHECKSUM_OFFLOAD;
    let any = tcp || udp;
    Fields {
        Encapsulation: when(any, ENCAPSULATION),
        IpExtensionHeadersSupported: when(
            any,
            sys::NDIS_OFFLOAD_SUPPORTED << Fields::IP_EXTENSION_HEADERS_SHIFT,
        ) | when(
            tcp,
            sys::NDIS_OFFLOAD_SUPPORTED << Fields::TCP_OPTIONS_SHIFT,
        ) | when(
            tcp,
            sys::NDIS_OFFLOAD_SUPPORTED << Fields::TCP_CHECKSUM_SHIFT,
        ) | when(
            udp,
            sys::NDIS_OFFLOAD_SUPPORTED << Fields::UDP_CHECKSUM_SHIFT,
        ),
    }
}

/// The structure that tells these offloads, for the registered version.
pub fn describe(version: NdisVersion, offloads: &Offloads) -> sys::NDIS_OFFLOAD_R8 {
    let mut all = sys::NDIS_OFFLOAD_R8::new(version);
    let told = &mut all.Base;
    let o = offloads;
    told.Checksum.IPv4Transmit = ipv4(o.ipv4.tx, o.tcp4.tx, o.udp4.tx);
    told.Checksum.IPv4Receive = ipv4(o.ipv4.rx, o.tcp4.rx, o.udp4.rx);
    told.Checksum.IPv6Transmit = ipv6(o.tcp6.tx, o.udp6.tx);
    told.Checksum.IPv6Receive = ipv6(o.tcp6.rx, o.udp6.rx);
    told.LsoV2.IPv4 = sys::NDIS_LSO_V2_IPV4 {
        Encapsulation: when(o.lso4, ENCAPSULATION),
        MaxOffLoadSize: when(o.lso4, MAX_LARGE_SEND),
        MinSegmentCount: when(o.lso4, MIN_SEGMENTS),
    };
    told.LsoV2.IPv6 = sys::NDIS_LSO_V2_IPV6 {
        Encapsulation: when(o.lso6, ENCAPSULATION),
        MaxOffLoadSize: when(o.lso6, MAX_LARGE_SEND),
        MinSegmentCount: when(o.lso6, MIN_SEGMENTS),
        // Extension headers, and TCP options two bits above.
        IpExtensionHeadersSupported: when(
            o.lso6,
            sys::NDIS_OFFLOAD_SUPPORTED | sys::NDIS_OFFLOAD_SUPPORTED << 2,
        ),
    };
    told.Rsc.IPv4.Enabled = o.rsc4.into();
    told.Rsc.IPv6.Enabled = o.rsc6.into();
    all
}

/// Why settings are refused; nothing changes then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffloadRejection {
    /// Shorter than the structure, which has at least this many bytes.
    TooShort(usize),
    /// Not this structure.
    Header,
    /// A value that means nothing, or turns something on that the adapter cannot do.
    Value,
    /// An encapsulation no offload supports.
    Encapsulation,
}

impl OffloadRejection {
    /// What NDIS is told.
    pub fn status(self) -> Status {
        match self {
            Self::TooShort(_) => Status::INVALID_LENGTH,
            Self::Header | Self::Value => Status::INVALID_DATA,
            Self::Encapsulation => Status::INVALID_PARAMETER,
        }
    }
}

/// Checks a header; revision 1 at least and `least` bytes.
fn check_header(buffer: &[u8], kind: u8, least: usize) -> Result<u8, OffloadRejection> {
    let header = buffer.first_chunk::<4>();
    let [found, revision, low, high] = *header.ok_or(OffloadRejection::TooShort(least))?;
    if found != kind || revision == 0 {
        return Err(OffloadRejection::Header);
    }
    if buffer.len() < least {
        return Err(OffloadRejection::TooShort(least));
    }
    if usize::from(u16::from_le_bytes([low, high])) < least {
        return Err(OffloadRejection::Header);
    }
    Ok(revision)
}

/// Reads `OID_TCP_OFFLOAD_PARAMETERS`: the wishes that follow from `wishes` and the parameters.
/// `possible` is what the adapter can do.
pub fn parse_parameters(
    buffer: &[u8],
    wishes: &Offloads,
    possible: &Offloads,
) -> Result<Offloads, OffloadRejection> {
    let revision = check_header(
        buffer,
        sys::NDIS_OBJECT_TYPE_DEFAULT,
        sys::NDIS_SIZEOF_OFFLOAD_PARAMETERS_REVISION_1,
    )?;
    // A field beyond the revision or the buffer was not set.
    let field = |at: usize, since: u8| {
        if revision < since {
            return sys::NDIS_OFFLOAD_PARAMETERS_NO_CHANGE;
        }
        buffer.get(at).copied().unwrap_or_default()
    };
    let checksum = |at, old: Directions, possible: Directions| {
        let new = match field(at, 1) {
            sys::NDIS_OFFLOAD_PARAMETERS_NO_CHANGE => return Ok(old),
            sys::NDIS_OFFLOAD_PARAMETERS_TX_RX_DISABLED => Directions::default(),
            sys::NDIS_OFFLOAD_PARAMETERS_TX_ENABLED_RX_DISABLED => Directions {
                tx: true,
                rx: false,
            },
            sys::NDIS_OFFLOAD_PARAMETERS_RX_ENABLED_TX_DISABLED => Directions {
                tx: false,
                rx: true,
            },
            sys::NDIS_OFFLOAD_PARAMETERS_TX_RX_ENABLED => Directions::BOTH,
            _ => return Err(OffloadRejection::Value),
        };
        let within = (possible.tx || !new.tx) && (possible.rx || !new.rx);
        within.then_some(new).ok_or(OffloadRejection::Value)
    };
    // The values of LSO, RSC, USO and URO are the same.
    let switch = |at, since, old: bool, possible: bool| match field(at, since) {
        sys::NDIS_OFFLOAD_PARAMETERS_NO_CHANGE => Ok(old),
        sys::NDIS_OFFLOAD_PARAMETERS_LSOV2_DISABLED => Ok(false),
        sys::NDIS_OFFLOAD_PARAMETERS_LSOV2_ENABLED if possible => Ok(true),
        _ => Err(OffloadRejection::Value),
    };
    let (w, p) = (wishes, possible);
    let new = Offloads {
        ipv4: checksum(offset_of!(Base, IPv4Checksum), w.ipv4, p.ipv4)?,
        tcp4: checksum(offset_of!(Base, TCPIPv4Checksum), w.tcp4, p.tcp4)?,
        udp4: checksum(offset_of!(Base, UDPIPv4Checksum), w.udp4, p.udp4)?,
        tcp6: checksum(offset_of!(Base, TCPIPv6Checksum), w.tcp6, p.tcp6)?,
        udp6: checksum(offset_of!(Base, UDPIPv6Checksum), w.udp6, p.udp6)?,
        lso4: switch(offset_of!(Base, LsoV2IPv4), 1, w.lso4, p.lso4)?,
        lso6: switch(offset_of!(Base, LsoV2IPv6), 1, w.lso6, p.lso6)?,
        rsc4: switch(offset_of!(Base, RscIPv4), 3, w.rsc4, p.rsc4)?,
        rsc6: switch(offset_of!(Base, RscIPv6), 3, w.rsc6, p.rsc6)?,
    };
    for (at, since) in [
        (offset_of!(Base, LsoV1), 1),
        (offset_of!(Raw, UsoIPv4), 5),
        (offset_of!(Raw, UsoIPv6), 5),
        (offset_of!(Raw, UdpRsc), 6),
    ] {
        switch(at, since, false, false)?;
    }
    Ok(new)
}

/// Reads `OID_OFFLOAD_ENCAPSULATION`; for which IP versions frames are encapsulated so that
/// offloads apply: IPv4, IPv6. None where nothing is to change.
pub fn parse_encapsulation(buffer: &[u8]) -> Result<[Option<bool>; 2], OffloadRejection> {
    type Encapsulation = sys::NDIS_OFFLOAD_ENCAPSULATION;
    check_header(
        buffer,
        sys::NDIS_OBJECT_TYPE_OFFLOAD_ENCAPSULATION,
        sys::NDIS_SIZEOF_OFFLOAD_ENCAPSULATION_REVISION_1,
    )?;
    let number = |at: usize| {
        let bytes = buffer.get(at..).and_then(|rest| rest.first_chunk::<4>());
        bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes))
    };
    let mut result = [None; 2];
    let settings = [
        offset_of!(Encapsulation, IPv4),
        offset_of!(Encapsulation, IPv6),
    ];
    for (place, at) in result.iter_mut().zip(settings) {
        let enabled = number(at);
        let kind = number(at.saturating_add(4));
        *place = match enabled {
            sys::NDIS_OFFLOAD_SET_NO_CHANGE => None,
            sys::NDIS_OFFLOAD_SET_OFF => Some(false),
            sys::NDIS_OFFLOAD_SET_ON if kind != 0 && kind & !ENCAPSULATION == 0 => Some(true),
            sys::NDIS_OFFLOAD_SET_ON => return Err(OffloadRejection::Encapsulation),
            _ => return Err(OffloadRejection::Value),
        };
    }
    Ok(result)
}

#[cfg(test)]
#[path = "offload_tests.rs"]
mod tests;
