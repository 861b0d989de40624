//! Frames that tell the network where an address is, after the vif has moved: a gratuitous ARP
//! request (RFC 5227) and an unsolicited neighbour advertisement (RFC 4861, 7.2.6).

/// Bytes of an announcement of an IPv4 address, padding included.
pub const ARP_BYTES: usize = 60;
/// Bytes of an announcement of an IPv6 address.
pub const NEIGHBOUR_BYTES: usize = 86;

/// Most addresses kept of each kind.
pub const MAX_ADDRESSES: usize = 8;

/// The addresses of an interface.
#[derive(Clone, Copy, Debug, Default)]
pub struct Addresses {
    v4: [Option<[u8; 4]>; MAX_ADDRESSES],
    v6: [Option<[u8; 16]>; MAX_ADDRESSES],
}

impl Addresses {
    /// Replaces the IPv4 addresses; those beyond [`MAX_ADDRESSES`] are left out.
    pub fn set_v4(&mut self, addresses: impl Iterator<Item = [u8; 4]>) {
        self.v4 = [None; MAX_ADDRESSES];
        let usable = addresses.filter(|address| *address != [0; 4]);
        for (place, address) in self.v4.iter_mut().zip(usable) {
            *place = Some(address);
        }
    }

    /// Replaces the IPv6 addresses.
    pub fn set_v6(&mut self, addresses: impl Iterator<Item = [u8; 16]>) {
        self.v6 = [None; MAX_ADDRESSES];
        let usable = addresses.filter(|address| *address != [0; 16]);
        for (place, address) in self.v6.iter_mut().zip(usable) {
            *place = Some(address);
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.v4.iter().flatten().next().is_none() && self.v6.iter().flatten().next().is_none()
    }

    /// The announcements, for a station with this address.
    pub fn frames(&self, station: [u8; 6], mut out: impl FnMut(&[u8])) {
        for address in self.v4.iter().flatten() {
            out(&arp(station, *address));
        }
        for address in self.v6.iter().flatten() {
            out(&neighbour(station, *address));
        }
    }
}

/// Writes parts one after the other.
fn fill(place: &mut [u8], parts: &[&[u8]]) {
    let bytes = parts.iter().copied().flatten();
    for (place, byte) in place.iter_mut().zip(bytes) {
        *place = *byte;
    }
}

/// A request for the address itself, to all.
fn arp(station: [u8; 6], address: [u8; 4]) -> [u8; ARP_BYTES] {
    // Hardware type Ethernet, protocol IPv4, lengths 6 and 4, request.
    const FIXED: [u8; 10] = [0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1];
    let mut frame = [0; ARP_BYTES];
    let parts: [&[u8]; 7] = [
        &[0xFF; 6], &station, &FIXED, &station, &address, &[0; 6], &address,
    ];
    fill(&mut frame, &parts);
    frame
}

/// An advertisement to all nodes, with the Override flag.
fn neighbour(station: [u8; 6], address: [u8; 16]) -> [u8; NEIGHBOUR_BYTES] {
    const ALL_NODES: [u8; 16] = [0xFF, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    // IPv6 with 32 bytes of ICMPv6 and hop limit 255.
    const IPV6: [u8; 10] = [0x86, 0xDD, 0x60, 0, 0, 0, 0, 32, 58, 255];
    // Type 136, code 0, checksum to come, Override.
    const ADVERTISEMENT: [u8; 8] = [136, 0, 0, 0, 0x20, 0, 0, 0];
    // Target link-layer address, one unit of 8 bytes.
    const OPTION: [u8; 2] = [2, 1];
    let mut frame = [0; NEIGHBOUR_BYTES];
    let parts: [&[u8]; 9] = [
        &[0x33, 0x33, 0, 0, 0, 1],
        &station,
        &IPV6,
        &address,
        &ALL_NODES,
        &ADVERTISEMENT,
        &address,
        &OPTION,
        &station,
    ];
    fill(&mut frame, &parts);
    let mut sum = offload::sum::Sum::default();
    sum.add(frame.get(22..54).unwrap_or_default());
    sum.add(&[0, 0, 0, 32, 0, 0, 0, 58]);
    sum.add(frame.get(54..).unwrap_or_default());
    if let Some(field) = frame.get_mut(56..58) {
        field.copy_from_slice(&sum.checksum().to_be_bytes());
    }
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const STATION: [u8; 6] = [0, 0x16, 0x3E, 1, 2, 3];

    #[test]
    fn every_address_is_announced_once() {
        let mut addresses = Addresses::default();
        assert!(addresses.is_empty());
        addresses.set_v4([[10, 0, 0, 2], [0; 4], [10, 0, 0, 3]].into_iter());
        let six = core::array::from_fn(|n| [0xFE, 0x80, 1][n.min(2)]);
        addresses.set_v6(core::iter::once(six));
        let mut frames: Vec<Vec<u8>> = Vec::new();
        addresses.frames(STATION, |frame| frames.push(frame.to_vec()));
        assert_eq!(frames.len(), 3);
        assert_eq!(frames[0][12..14], [8, 6]);
        assert_eq!(
            (&frames[0][28..32], &frames[1][38..42]),
            (&[10, 0, 0, 2][..], &[10, 0, 0, 3][..])
        );
        assert_eq!(frames[0][6..12], STATION);
        addresses.set_v4(core::iter::empty());
        addresses.set_v6(core::iter::empty());
        assert!(addresses.is_empty());
    }

    /// Each field by RFC 4861, and the checksum word by word.
    #[test]
    fn an_advertisement_is_complete() {
        let address = core::array::from_fn(|n| u8::try_from(n + 1).unwrap());
        let f = neighbour(STATION, address);
        assert_eq!(f[..6], [0x33, 0x33, 0, 0, 0, 1]);
        assert_eq!((f[18], f[19], f[20], f[21]), (0, 32, 58, 255));
        assert_eq!(f[22..38], address);
        assert_eq!((f[38], f[39], f[53]), (0xFF, 2, 1));
        assert_eq!((f[54], f[55], f[58]), (136, 0, 0x20));
        assert_eq!(f[62..78], address);
        assert_eq!((f[78], f[79], &f[80..86]), (2, 1, &STATION[..]));
        let words = |bytes: &[u8]| -> u32 {
            bytes
                .chunks(2)
                .map(|w| u32::from(u16::from_be_bytes([w[0], w[1]])))
                .sum()
        };
        let mut sum = words(&f[22..54]) + 32 + 58 + words(&f[54..]);
        while sum > 0xFFFF {
            sum = (sum >> 16) + (sum & 0xFFFF);
        }
        assert_eq!(sum, 0xFFFF);
    }
}
