//! Which bytes of a frame are hashed, and under which type.
//!
//! Rules (NDIS "RSS hashing types"): ports are hashed only if they are there for every packet of the flow, so a
//! fragment, the first one too, is hashed by its addresses. IP options and extension headers are skipped. A
//! type that is not enabled is never used; the next simpler one that is enabled takes its place.
use crate::hash_type::{HashType, HashTypes};
use crate::ipv6;
use crate::toeplitz::INPUT_MAX;

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86DD;
/// 802.1Q and 802.1ad tags, carried in the frame by Xen's netif.
const ETHERTYPE_VLAN: [u16; 2] = [0x8100, 0x88A8];
/// Tags skipped: a service and a customer tag.
const VLAN_TAGS_MAX: usize = 2;

const PROTOCOL_TCP: u8 = 6;
const PROTOCOL_UDP: u8 = 17;
/// More-fragments flag and fragment offset in an IPv4 header's seventh and eighth byte.
const IPV4_FRAGMENT: u16 = 0x3FFF;

/// The hash input found in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flow {
    hash_type: HashType,
    input: [u8; INPUT_MAX],
    len: usize,
}

impl Flow {
    fn new(hash_type: HashType, parts: &[&[u8]]) -> Self {
        let mut flow = Self {
            hash_type,
            input: [0; INPUT_MAX],
            len: 0,
        };
        for (slot, &byte) in flow.input.iter_mut().zip(parts.iter().copied().flatten()) {
            *slot = byte;
            flow.len = flow.len.saturating_add(1);
        }
        flow
    }

    /// The type the frame is hashed under.
    #[must_use]
    pub const fn hash_type(&self) -> HashType {
        self.hash_type
    }

    /// Source address, destination address and, for TCP and UDP types, source and destination port, as on the
    /// wire: 8, 12, 32 or 36 bytes.
    #[must_use]
    pub fn input(&self) -> &[u8] {
        self.input.get(..self.len).unwrap_or(&self.input)
    }
}

/// The transport protocols whose ports are hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Tcp,
    Udp,
}

impl Transport {
    pub(crate) fn from_protocol(protocol: u8) -> Option<Self> {
        match protocol {
            PROTOCOL_TCP => Some(Self::Tcp),
            PROTOCOL_UDP => Some(Self::Udp),
            _ => None,
        }
    }
}

/// Source and destination port, as on the wire.
pub(crate) type Ports = [u8; 4];

/// Finds what of a frame is hashed; `None` if it is no IP packet or no enabled type fits it.
///
/// `frame` starts at the Ethernet header; it may be a window of the frame that holds its headers. Headers that
/// go beyond the window count as absent: then addresses alone are hashed, if that is enabled.
#[must_use]
pub fn classify(frame: &[u8], enabled: HashTypes) -> Option<Flow> {
    let (_addresses, rest) = frame.split_first_chunk::<12>()?;
    let (mut ethertype, mut payload) = split_u16(rest)?;
    for _ in 0..VLAN_TAGS_MAX {
        if !ETHERTYPE_VLAN.contains(&ethertype) {
            break;
        }
        let (_tag, after) = split_u16(payload)?;
        (ethertype, payload) = split_u16(after)?;
    }
    match ethertype {
        ETHERTYPE_IPV4 => classify_ipv4(payload, enabled),
        ETHERTYPE_IPV6 => classify_ipv6(payload, enabled),
        _ => None,
    }
}

fn split_u16(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (&first, rest) = bytes.split_first_chunk::<2>()?;
    Some((u16::from_be_bytes(first), rest))
}

/// The first `len` bytes, or all if `len` is 0 (a length the sender leaves for segmentation to fill in) or more
/// than there are.
pub(crate) fn limit(bytes: &[u8], len: u16) -> &[u8] {
    match len {
        0 => bytes,
        len => bytes.get(..usize::from(len)).unwrap_or(bytes),
    }
}

fn classify_ipv4(packet: &[u8], enabled: HashTypes) -> Option<Flow> {
    let fixed = packet.first_chunk::<20>()?;
    let header_len = usize::from(fixed[0] & 0xF) << 2;
    if fixed[0] >> 4 != 4 || header_len < fixed.len() {
        return None;
    }
    let addresses = fixed.last_chunk::<8>()?;
    let total_len = u16::from_be_bytes([fixed[2], fixed[3]]);
    let fragment = u16::from_be_bytes([fixed[6], fixed[7]]) & IPV4_FRAGMENT != 0;

    // Bytes after the packet's own length are padding of the frame, not ports.
    let ports = limit(packet, total_len)
        .get(header_len..)
        .and_then(<[u8]>::first_chunk::<4>);
    let transport = Transport::from_protocol(fixed[9]);
    if let (Some(transport), Some(ports), false) = (transport, ports, fragment) {
        let hash_type = match transport {
            Transport::Tcp => HashType::TcpIpv4,
            Transport::Udp => HashType::UdpIpv4,
        };
        if enabled.contains(hash_type) {
            return Some(Flow::new(hash_type, &[addresses, ports]));
        }
    }
    enabled
        .contains(HashType::Ipv4)
        .then(|| Flow::new(HashType::Ipv4, &[addresses]))
}

fn classify_ipv6(packet: &[u8], enabled: HashTypes) -> Option<Flow> {
    let headers = ipv6::parse(packet)?;
    if let Some((transport, ports)) = headers.transport {
        let (plain, extended) = match transport {
            Transport::Tcp => (HashType::TcpIpv6, HashType::TcpIpv6Ex),
            Transport::Udp => (HashType::UdpIpv6, HashType::UdpIpv6Ex),
        };
        if let Some(flow) = ipv6_flow(&headers, plain, extended, &ports, enabled) {
            return Some(flow);
        }
    }
    ipv6_flow(&headers, HashType::Ipv6, HashType::Ipv6Ex, &[], enabled)
}

/// The flow under `extended` if the packet has addresses only that type counts, else under `plain`, else (the
/// values are the same then) under `extended`.
fn ipv6_flow(
    headers: &ipv6::Headers,
    plain: HashType,
    extended: HashType,
    ports: &[u8],
    enabled: HashTypes,
) -> Option<Flow> {
    let mobile = headers.home_address.is_some() || headers.routing_address.is_some();
    let extended_fits = enabled.contains(extended) && headers.complete;
    let plain_fits = enabled.contains(plain);
    if extended_fits && (mobile || !plain_fits) {
        let source = headers.home_address.as_ref().unwrap_or(&headers.source);
        let destination = headers
            .routing_address
            .as_ref()
            .unwrap_or(&headers.destination);
        return Some(Flow::new(extended, &[source, destination, ports]));
    }
    plain_fits.then(|| Flow::new(plain, &[&headers.source, &headers.destination, ports]))
}
