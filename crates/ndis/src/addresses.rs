//! `OID_GEN_NETWORK_LAYER_ADDRESSES`: the addresses that a protocol has on the interface.
//!
//! `NETWORK_ADDRESS_LIST`: count (4 bytes), protocol (2), then for each address length (2), protocol
//! (2) and that many bytes. Nothing in it is aligned.

/// Protocols (`NDIS_PROTOCOL_ID_*`).
const TCP_IP: u16 = ndis_sys::NDIS_PROTOCOL_ID_TCP_IP as u16;
const IP6: u16 = 3;
/// Bytes of the list's and of an address's header.
const LIST_HEADER: usize = 6;
const ADDRESS_HEADER: usize = 4;
/// Where the address is in `NETWORK_ADDRESS_IP` and `NETWORK_ADDRESS_IP6`.
const V4_AT: usize = 4;
const V6_AT: usize = 8;

/// Which addresses a list has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
    /// Others, which do not matter here.
    Other,
}

/// A list of addresses, borrowed from a request.
#[derive(Clone, Copy, Debug)]
pub struct AddressList<'b> {
    /// What it lists.
    pub protocol: Protocol,
    count: u32,
    rest: &'b [u8],
}

impl<'b> AddressList<'b> {
    /// Reads a list; None when the buffer is shorter than one.
    pub fn parse(buffer: &'b [u8]) -> Option<Self> {
        let header = buffer.first_chunk::<LIST_HEADER>()?;
        let [c0, c1, c2, c3, p0, p1] = *header;
        let protocol = match u16::from_le_bytes([p0, p1]) {
            TCP_IP => Protocol::V4,
            IP6 => Protocol::V6,
            _ => Protocol::Other,
        };
        Some(Self {
            protocol,
            count: u32::from_le_bytes([c0, c1, c2, c3]),
            rest: buffer.get(LIST_HEADER..)?,
        })
    }

    /// Each address's own bytes; ends with the buffer, whatever the count says.
    fn addresses(self) -> impl Iterator<Item = &'b [u8]> {
        let mut rest = self.rest;
        let count = usize::try_from(self.count).unwrap_or(0);
        core::iter::from_fn(move || {
            let [l0, l1, _, _] = *rest.first_chunk::<ADDRESS_HEADER>()?;
            let length = usize::from(u16::from_le_bytes([l0, l1]));
            let end = ADDRESS_HEADER.checked_add(length)?;
            let address = rest.get(ADDRESS_HEADER..end)?;
            rest = rest.get(end..)?;
            Some(address)
        })
        .take(count)
    }

    /// The addresses of a list of IPv4.
    pub fn v4(self) -> impl Iterator<Item = [u8; 4]> {
        self.addresses()
            .filter_map(|bytes| bytes.get(V4_AT..)?.first_chunk().copied())
    }

    /// The addresses of a list of IPv6.
    pub fn v6(self) -> impl Iterator<Item = [u8; 16]> {
        self.addresses()
            .filter_map(|bytes| bytes.get(V6_AT..)?.first_chunk().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn list(protocol: u16, count: u32, addresses: &[&[u8]]) -> Vec<u8> {
        let mut bytes = count.to_le_bytes().to_vec();
        bytes.extend(protocol.to_le_bytes());
        for address in addresses {
            bytes.extend(u16::try_from(address.len()).unwrap().to_le_bytes());
            bytes.extend(protocol.to_le_bytes());
            bytes.extend_from_slice(address);
        }
        bytes
    }

    #[test]
    fn both_kinds_are_read() {
        let v4 = [0, 0, 0, 0, 10, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0];
        let bytes = list(2, 2, &[&v4, &v4]);
        let parsed = AddressList::parse(&bytes).unwrap();
        assert_eq!(parsed.protocol, Protocol::V4);
        assert_eq!(parsed.v4().collect::<Vec<_>>(), [[10, 0, 0, 5]; 2]);
        let mut v6 = [0; 28];
        v6[8..24].copy_from_slice(&[0xFE; 16]);
        let bytes = list(3, 1, &[&v6]);
        let parsed = AddressList::parse(&bytes).unwrap();
        assert_eq!(parsed.v6().collect::<Vec<_>>(), [[0xFE; 16]]);
        let none = list(2, 0, &[]);
        assert_eq!(AddressList::parse(&none).unwrap().v4().count(), 0);
    }

    #[test]
    fn a_list_that_lies_ends_with_its_buffer() {
        let mut bytes = list(2, u32::MAX, &[&[0; 16]]);
        assert_eq!(AddressList::parse(&bytes).unwrap().v4().count(), 1);
        bytes[6] = 0xFF;
        assert_eq!(AddressList::parse(&bytes).unwrap().v4().count(), 0);
        assert!(AddressList::parse(&bytes[..5]).is_none());
        let short = list(2, 1, &[&[0; 6]]);
        assert_eq!(AddressList::parse(&short).unwrap().v4().count(), 0);
    }
}
