//! IPv6 headers: addresses, the extension headers that carry other addresses, and ports.
use crate::classify::{Ports, Transport, limit};

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION: u8 = 60;

/// Routing header type 2 (RFC 6275, 6.4): carries the home address of a mobile node as destination.
const ROUTING_TYPE_2: u8 = 2;
/// Home address option (RFC 6275, 6.3): carries the home address of a mobile node as source.
const OPTION_HOME_ADDRESS: u8 = 0xC9;
const OPTION_PAD1: u8 = 0;

/// Extension headers looked at. Real packets have up to three; more are treated as an unknown protocol.
const EXTENSIONS_MAX: usize = 8;
/// Options looked at in one destination options header.
const OPTIONS_MAX: usize = 16;

/// An IPv6 address, as on the wire.
pub(crate) type Address = [u8; 16];

/// What the headers of a packet hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Headers {
    pub(crate) source: Address,
    pub(crate) destination: Address,
    /// From a home address option.
    pub(crate) home_address: Option<Address>,
    /// From a routing header of type 2.
    pub(crate) routing_address: Option<Address>,
    /// The ports; none in a fragment or under another protocol.
    pub(crate) transport: Option<(Transport, Ports)>,
    /// All extension headers were seen; if not, a home address may have been missed.
    pub(crate) complete: bool,
}

/// Reads the headers of a packet; `None` if it is no IPv6 packet.
pub(crate) fn parse(packet: &[u8]) -> Option<Headers> {
    let (fixed, payload) = packet.split_first_chunk::<40>()?;
    if fixed[0] >> 4 != 6 {
        return None;
    }
    let (&destination, before) = fixed.split_last_chunk::<16>().map(|(b, d)| (d, b))?;
    let mut headers = Headers {
        source: *before.last_chunk::<16>()?,
        destination,
        home_address: None,
        routing_address: None,
        transport: None,
        complete: false,
    };
    let payload_len = u16::from_be_bytes([fixed[4], fixed[5]]);
    let mut next = fixed[6];
    let mut rest = limit(payload, payload_len);
    let mut fragment = false;
    for _ in 0..EXTENSIONS_MAX {
        let Some(extension) = Extension::split(next, rest) else {
            break;
        };
        match next {
            DESTINATION => {
                headers.home_address = home_address(extension.body).or(headers.home_address);
            }
            ROUTING => {
                headers.routing_address =
                    routing_address(extension.body).or(headers.routing_address);
            }
            FRAGMENT => fragment = true,
            _ => {}
        }
        next = extension.next;
        rest = extension.rest;
        // Only the first fragment has the headers that follow, and that would split the flow.
        if fragment {
            break;
        }
    }
    headers.complete = fragment || !is_extension(next);
    if let (Some(transport), Some(&ports), false) = (
        Transport::from_protocol(next),
        rest.first_chunk::<4>(),
        fragment,
    ) {
        headers.transport = Some((transport, ports));
    }
    Some(headers)
}

const fn is_extension(next: u8) -> bool {
    matches!(next, HOP_BY_HOP | ROUTING | FRAGMENT | DESTINATION)
}

struct Extension<'a> {
    next: u8,
    /// What follows the next-header and length bytes.
    body: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Extension<'a> {
    /// Splits off an extension header; `None` if `kind` is none or the bytes end within it.
    fn split(kind: u8, bytes: &'a [u8]) -> Option<Self> {
        if !is_extension(kind) {
            return None;
        }
        let &[next, length] = bytes.first_chunk::<2>()?;
        // In units of 8 bytes beyond the first 8; a fragment header always has 8 and calls this byte reserved.
        let units = if kind == FRAGMENT {
            0
        } else {
            usize::from(length)
        };
        let (header, rest) = bytes.split_at_checked(units.saturating_add(1) << 3)?;
        Some(Self {
            next,
            body: header.get(2..)?,
            rest,
        })
    }
}

/// The address of a routing header of type 2: type, segments left, 4 reserved bytes, address.
fn routing_address(body: &[u8]) -> Option<Address> {
    let (&[kind, ..], address) = body.split_first_chunk::<6>()?;
    if kind != ROUTING_TYPE_2 {
        return None;
    }
    address.try_into().ok()
}

/// The address of the home address option among destination options.
fn home_address(mut options: &[u8]) -> Option<Address> {
    for _ in 0..OPTIONS_MAX {
        let (&kind, after_kind) = options.split_first()?;
        if kind == OPTION_PAD1 {
            options = after_kind;
            continue;
        }
        let (&length, data) = after_kind.split_first()?;
        let (value, rest) = data.split_at_checked(usize::from(length))?;
        if kind == OPTION_HOME_ADDRESS {
            return value.try_into().ok();
        }
        options = rest;
    }
    None
}
