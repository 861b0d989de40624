//! Headers of a frame, as far as checksums, hashing and segmentation need them.

/// IP version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum L3 {
    V4,
    V6,
}

/// Where the headers of an IP frame are. Offsets are inside the frame, except `l4` of a truncated one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Headers {
    pub(crate) l3: L3,
    /// Offset of the IP header.
    pub(crate) ip: usize,
    /// Offset of the transport header.
    pub(crate) l4: usize,
    /// Length of transport header and payload by the IP header.
    pub(crate) l4_len: usize,
    /// Last next-header number.
    pub(crate) protocol: u8,
    /// Any fragment, IPv6 atomic ones included.
    pub(crate) fragment: bool,
    /// Has an in-band VLAN tag.
    pub(crate) vlan: bool,
}

impl Headers {
    /// Source and destination address.
    pub(crate) fn addresses<'f>(&self, frame: &'f [u8]) -> &'f [u8] {
        match self.l3 {
            L3::V4 => &frame[self.ip + 12..self.ip + 20],
            L3::V6 => &frame[self.ip + 8..self.ip + 40],
        }
    }

    /// Offset of the checksum field, for TCP and UDP.
    pub(crate) fn checksum_at(&self) -> Option<usize> {
        match self.protocol {
            6 => Some(self.l4 + 16),
            17 => Some(self.l4 + 6),
            _ => None,
        }
    }

    /// The sum over the pseudo-header, not inverted.
    pub(crate) fn pseudo_sum(&self, frame: &[u8], l4_len: usize) -> u16 {
        let mut sum = Sum::default();
        sum.add(self.addresses(frame));
        sum.add(&(l4_len as u32).to_be_bytes());
        sum.add(&[0, self.protocol]);
        sum.fold()
    }
}

pub(crate) fn be16(frame: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*frame.get(at)?, *frame.get(at + 1)?]))
}

/// Finds the headers; `None` for what is not IP or is cut off before the transport header's place is known.
pub(crate) fn parse(frame: &[u8]) -> Option<Headers> {
    let mut ip = 14;
    let mut ethertype = be16(frame, 12)?;
    let vlan = ethertype == 0x8100;
    if vlan {
        ip = 18;
        ethertype = be16(frame, 16)?;
    }
    match ethertype {
        0x0800 => parse_v4(frame, ip, vlan),
        0x86DD => parse_v6(frame, ip, vlan),
        _ => None,
    }
}

fn parse_v4(frame: &[u8], ip: usize, vlan: bool) -> Option<Headers> {
    let first = *frame.get(ip)?;
    let header = usize::from(first & 15) * 4;
    if first >> 4 != 4 || header < 20 || frame.len() < ip + header {
        return None;
    }
    Some(Headers {
        l3: L3::V4,
        ip,
        l4: ip + header,
        l4_len: usize::from(be16(frame, ip + 2)?).checked_sub(header)?,
        protocol: frame[ip + 9],
        fragment: be16(frame, ip + 6)? & 0x3FFF != 0,
        vlan,
    })
}

fn parse_v6(frame: &[u8], ip: usize, vlan: bool) -> Option<Headers> {
    if frame.len() < ip + 40 || frame[ip] >> 4 != 6 {
        return None;
    }
    let end = ip + 40 + usize::from(be16(frame, ip + 4)?);
    let (mut at, mut protocol, mut fragment) = (ip + 40, frame[ip + 6], false);
    // Hop-by-hop, routing, fragment, destination options.
    while matches!(protocol, 0 | 43 | 44 | 60) {
        let next = *frame.get(at)?;
        let len = if protocol == 44 {
            fragment = true;
            8
        } else {
            8 + usize::from(*frame.get(at + 1)?) * 8
        };
        protocol = next;
        at += len;
    }
    Some(Headers {
        l3: L3::V6,
        ip,
        l4: at,
        l4_len: end.checked_sub(at)?,
        protocol,
        fragment,
        vlan,
    })
}

/// A ones' complement sum of 16-bit words.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Sum(u64);

impl Sum {
    /// Adds bytes that start at an even place.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        for pair in bytes.chunks(2) {
            self.0 += u64::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
        }
    }

    pub(crate) fn fold(self) -> u16 {
        let mut sum = self.0;
        while sum > 0xFFFF {
            sum = (sum & 0xFFFF) + (sum >> 16);
        }
        sum as u16
    }
}

/// Why a blank checksum cannot be completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CsumError {
    /// Not IP, not TCP or UDP, a fragment, or cut off.
    Unparsable,
}

/// Completes a blank TCP or UDP checksum in place, for wires that need whole frames.
///
/// As hardware does: sums from the transport header to the end that the IP header gives, over the
/// pseudo-header sum already in the field.
pub fn complete_checksum(frame: &mut [u8]) -> Result<(), CsumError> {
    let (headers, field) = blank_field(frame).ok_or(CsumError::Unparsable)?;
    let end = headers.l4 + headers.l4_len;
    let mut sum = Sum::default();
    sum.add(&frame[headers.l4..end]);
    let mut value = !sum.fold();
    if headers.protocol == 17 && value == 0 {
        value = 0xFFFF;
    }
    frame[field..field + 2].copy_from_slice(&value.to_be_bytes());
    Ok(())
}

/// The headers and the checksum field of a frame whose checksum can be completed.
pub(crate) fn blank_field(frame: &[u8]) -> Option<(Headers, usize)> {
    let headers = parse(frame).filter(|h| !h.fragment)?;
    let field = headers.checksum_at()?;
    let header = if headers.protocol == 6 { 20 } else { 8 };
    let end = headers.l4 + headers.l4_len;
    (headers.l4_len >= header && end <= frame.len()).then_some((headers, field))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A TCP over IPv4 frame with this payload and the pseudo-header sum in the checksum field.
    pub(crate) fn tcp4(payload: &[u8]) -> Vec<u8> {
        let mut f = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
        let total = (40 + payload.len()) as u16;
        f.extend([0x45, 0]);
        f.extend(total.to_be_bytes());
        f.extend([0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        let mut sum = Sum::default();
        sum.add(&f[14..34]);
        let ip_sum = !sum.fold();
        f[24..26].copy_from_slice(&ip_sum.to_be_bytes());
        f.extend([
            0, 80, 1, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x18, 1, 0, 0, 0, 0, 0,
        ]);
        f.extend(payload);
        let h = parse(&f).unwrap();
        let pseudo = h.pseudo_sum(&f, h.l4_len);
        f[50..52].copy_from_slice(&pseudo.to_be_bytes());
        f
    }

    /// Sum over pseudo-header and segment of a complete frame: all ones.
    pub(crate) fn verifies(frame: &[u8]) -> bool {
        let (h, _) = blank_field(frame).unwrap();
        let mut sum = Sum::default();
        sum.add(&h.pseudo_sum(frame, h.l4_len).to_be_bytes());
        sum.add(&frame[h.l4..h.l4 + h.l4_len]);
        sum.fold() == 0xFFFF
    }

    #[test]
    fn completed_checksum_verifies() {
        for len in [0, 1, 2, 1001] {
            let mut frame = tcp4(&vec![0xA5; len]);
            frame.extend([0; 6]);
            complete_checksum(&mut frame).unwrap();
            assert!(verifies(&frame), "{len}");
        }
    }

    #[test]
    fn fragment_is_refused() {
        let mut frame = tcp4(b"abc");
        frame[20] = 0x20;
        assert_eq!(complete_checksum(&mut frame), Err(CsumError::Unparsable));
    }
}
