//! TCP and UDP frames for tests, and whether a frame's checksums are right.

/// A frame to build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Destination address.
    pub to: [u8; 6],
    /// Source address.
    pub from: [u8; 6],
    /// IPv6, else IPv4.
    pub six: bool,
    /// UDP, else TCP.
    pub udp: bool,
    /// Flags of the TCP header.
    pub flags: u8,
    /// TCP options, a multiple of four bytes.
    pub options: Vec<u8>,
    /// Payload.
    pub payload: Vec<u8>,
}

/// Offset of the IP header of a frame without tag.
const IP: usize = 14;

/// One's complement sum.
fn sum(parts: &[&[u8]]) -> u16 {
    let mut total = 0_u32;
    for pair in parts.concat().chunks(2) {
        let low = pair.get(1).copied().unwrap_or(0);
        total += u32::from(u16::from_be_bytes([pair[0], low]));
        total = (total >> 16) + (total & 0xFFFF);
    }
    u16::try_from(total).unwrap_or(0xFFFF)
}

impl Packet {
    /// TCP over IPv4, ACK and PSH set, with `length` bytes of payload that depend on their place.
    #[must_use]
    pub fn tcp(to: [u8; 6], from: [u8; 6], length: usize) -> Self {
        Self {
            to,
            from,
            six: false,
            udp: false,
            flags: 0x18,
            options: Vec::new(),
            payload: (0..length)
                .map(|at| (at * 31 + at / 256).to_le_bytes()[0])
                .collect(),
        }
    }

    /// The same over IPv6.
    #[must_use]
    pub fn six(self) -> Self {
        Self { six: true, ..self }
    }

    /// The same with UDP.
    #[must_use]
    pub fn udp(self) -> Self {
        Self { udp: true, ..self }
    }

    /// Offset of the transport header.
    #[must_use]
    pub const fn transport(&self) -> usize {
        IP + if self.six { 40 } else { 20 }
    }

    /// Bytes of all headers.
    #[must_use]
    pub fn header(&self) -> usize {
        self.transport() + if self.udp { 8 } else { 20 + self.options.len() }
    }

    /// Offset of the transport checksum.
    #[must_use]
    pub const fn checksum(&self) -> usize {
        self.transport() + if self.udp { 6 } else { 16 }
    }

    fn pseudo(&self, frame: &[u8], length: usize) -> u16 {
        let addresses = if self.six {
            IP + 8..IP + 40
        } else {
            IP + 12..IP + 20
        };
        let length = u32::try_from(length).unwrap_or(0).to_be_bytes();
        let protocol = if self.udp { 17 } else { 6 };
        sum(&[&frame[addresses], &[0, protocol], &length])
    }

    /// The frame with 0 in the IPv4 checksum and the pseudo-header sum in the transport's, as a stack gives it to a
    /// card that computes checksums.
    #[must_use]
    pub fn blank(&self) -> Vec<u8> {
        let mut f = [self.to, self.from].concat();
        let own = self.header() - self.transport() + self.payload.len();
        let protocol = if self.udp { 17 } else { 6 };
        let word = |value: usize| u16::try_from(value).unwrap_or(0).to_be_bytes();
        if self.six {
            f.extend([0x86, 0xDD, 0x60, 0, 0, 0]);
            f.extend(word(own));
            f.extend([protocol, 64]);
            for last in [1, 2] {
                f.extend([0xFD, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
            }
        } else {
            f.extend([0x08, 0, 0x45, 0]);
            f.extend(word(20 + own));
            f.extend([
                0x12, 0x34, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
            ]);
        }
        f.extend([0x13, 0x88, 0x13, 0x89]);
        if self.udp {
            f.extend(word(own));
            f.extend([0, 0]);
        } else {
            f.extend([
                0,
                0,
                0,
                1,
                0,
                0,
                0,
                9,
                ((5 + self.options.len() / 4) << 4).to_le_bytes()[0],
            ]);
            f.extend([self.flags, 1, 0, 0, 0, 0, 0]);
            f.extend(&self.options);
        }
        f.extend(&self.payload);
        let pseudo = self.pseudo(&f, own).to_be_bytes();
        f[self.checksum()..self.checksum() + 2].copy_from_slice(&pseudo);
        f
    }

    /// The frame as a stack gives it to a card that cuts it: length 0, pseudo-header sum without length.
    #[must_use]
    pub fn large(&self) -> Vec<u8> {
        let mut f = self.blank();
        let at = if self.six { IP + 4 } else { IP + 2 };
        f[at..at + 2].fill(0);
        let pseudo = self.pseudo(&f, 0).to_be_bytes();
        f[self.checksum()..self.checksum() + 2].copy_from_slice(&pseudo);
        f
    }

    /// The frame with the IPv4 checksum right and the transport's blank, as a backend gives it to the guest.
    #[must_use]
    pub fn blank_with_header(&self) -> Vec<u8> {
        let mut f = self.blank();
        if !self.six {
            let header = !sum(&[&f[IP..IP + 20]]);
            f[IP + 10..IP + 12].copy_from_slice(&header.to_be_bytes());
        }
        f
    }

    /// The frame with every checksum right.
    #[must_use]
    pub fn whole(&self) -> Vec<u8> {
        let mut f = self.blank_with_header();
        let at = self.checksum();
        let value = !sum(&[&f[self.transport()..]]);
        f[at..at + 2].copy_from_slice(&value.to_be_bytes());
        f
    }
}

/// Whether IPv4 header and transport checksums of a TCP or UDP frame are right, with or without a tag.
#[must_use]
pub fn verifies(frame: &[u8]) -> bool {
    let tag = if frame.get(12..14) == Some(&[0x81, 0]) {
        4
    } else {
        0
    };
    let ip = IP + tag;
    let Some(packet) = frame.get(ip..).filter(|packet| packet.len() >= 28) else {
        return false;
    };
    let word = |at: usize| usize::from(u16::from_be_bytes([packet[at], packet[at + 1]]));
    let (transport, end, protocol, addresses) = if packet[0] >> 4 == 6 {
        if packet.len() < 48 {
            return false;
        }
        (40, 40 + word(4), packet[6], 8..40)
    } else {
        let header = usize::from(packet[0] & 15) * 4;
        if sum(&[&packet[..header]]) != 0xFFFF {
            return false;
        }
        (header, word(2), packet[9], 12..20)
    };
    let Some(own) = packet.get(transport..end) else {
        return false;
    };
    let length = u32::try_from(own.len()).unwrap_or(0).to_be_bytes();
    sum(&[&packet[addresses], &[0, protocol], &length, own]) == 0xFFFF
}

#[cfg(test)]
mod tests {
    use super::{Packet, verifies};

    #[test]
    fn only_whole_frames_verify() {
        for packet in [
            Packet::tcp([2; 6], [4; 6], 100),
            Packet::tcp([2; 6], [4; 6], 101).six(),
            Packet::tcp([2; 6], [4; 6], 7).udp(),
        ] {
            assert!(verifies(&packet.whole()));
            assert!(!verifies(&packet.blank_with_header()));
            let mut damaged = packet.whole();
            *damaged.last_mut().expect("bytes") ^= 1;
            assert!(!verifies(&damaged));
        }
    }
}
