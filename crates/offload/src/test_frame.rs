//! Frames for tests, and their checks, written apart from what is tested.

use std::vec::Vec;

/// What payloads are made of, again and again. A table, as Miri takes its time over each byte that is computed.
const PAYLOAD: [u8; 256] = {
    let mut bytes = [0; 256];
    let mut n = 0;
    while n < bytes.len() {
        bytes[n] = (n * 7 + 3) as u8;
        n += 1;
    }
    bytes
};

/// One's complement sum, word by word.
pub(crate) fn reference_sum(parts: &[&[u8]]) -> u16 {
    let all: Vec<u8> = parts.concat();
    let (words, rest) = all.as_chunks::<2>();
    let mut sum = 0_u64;
    for word in words {
        sum += u64::from(u16::from_be_bytes(*word));
    }
    if let [last] = rest {
        sum += u64::from(*last) << 8;
    }
    while sum > 0xFFFF {
        sum = (sum >> 16) + (sum & 0xFFFF);
    }
    sum as u16
}

/// What a test frame is made of.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    pub(crate) six: bool,
    pub(crate) udp: bool,
    pub(crate) tag: bool,
    pub(crate) ip_options: usize,
    pub(crate) tcp_options: Vec<u8>,
    pub(crate) flags: u8,
    pub(crate) payload: usize,
}

impl Spec {
    pub(crate) fn tcp4(payload: usize) -> Self {
        Self {
            six: false,
            udp: false,
            tag: false,
            ip_options: 0,
            tcp_options: Vec::new(),
            flags: 0x18,
            payload,
        }
    }

    pub(crate) fn tcp6(payload: usize) -> Self {
        Self {
            six: true,
            ..Self::tcp4(payload)
        }
    }

    pub(crate) fn ip(&self) -> usize {
        if self.tag { 18 } else { 14 }
    }

    pub(crate) fn transport(&self) -> usize {
        self.ip() + if self.six { 40 } else { 20 } + self.ip_options
    }

    pub(crate) fn header(&self) -> usize {
        self.transport()
            + if self.udp {
                8
            } else {
                20 + self.tcp_options.len()
            }
    }

    /// The frame, with right lengths and 0 in every checksum.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut f: Vec<u8> = std::vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        if self.tag {
            f.extend([0x81, 0, 0x20, 5]);
        }
        let own = if self.udp {
            8
        } else {
            20 + self.tcp_options.len()
        } + self.payload;
        let protocol = if self.udp { 17 } else { 6 };
        if self.six {
            f.extend([0x86, 0xDD, 0x60, 0, 0, 0]);
            f.extend(((self.ip_options + own) as u16).to_be_bytes());
            f.push(if self.ip_options > 0 { 60 } else { protocol });
            f.push(64);
            f.extend([0xFD, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
            f.extend([0xFD, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16]);
            if self.ip_options > 0 {
                f.extend([protocol, (self.ip_options / 8 - 1) as u8]);
                f.extend(std::vec![0; self.ip_options - 2]);
            }
        } else {
            f.extend([0x08, 0, 0x45 + (self.ip_options / 4) as u8, 0]);
            f.extend(((20 + self.ip_options + own) as u16).to_be_bytes());
            f.extend([
                0x12, 0x34, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
            ]);
            f.extend(std::vec![1; self.ip_options]);
        }
        f.extend([0x13, 0x88, 0x13, 0x89]);
        if self.udp {
            f.extend((own as u16).to_be_bytes());
            f.extend([0, 0]);
        } else {
            f.extend([0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 9]);
            f.push(((5 + self.tcp_options.len() / 4) << 4) as u8);
            f.push(self.flags);
            f.extend([1, 0, 0, 0, 0, 0]);
            f.extend(&self.tcp_options);
        }
        let end = f.len() + self.payload;
        while f.len() < end {
            let count = PAYLOAD.len().min(end - f.len());
            f.extend_from_slice(&PAYLOAD[..count]);
        }
        f
    }

    pub(crate) fn pseudo(&self, frame: &[u8]) -> u16 {
        let ip = self.ip();
        let addresses = if self.six {
            ip + 8..ip + 40
        } else {
            ip + 12..ip + 20
        };
        let length = ((frame.len() - self.transport()) as u32).to_be_bytes();
        let protocol = if self.udp { 17 } else { 6 };
        reference_sum(&[&frame[addresses], &[0, protocol], &length])
    }

    /// Whether IPv4 and transport checksums of a frame like this are right.
    pub(crate) fn verifies(&self, frame: &[u8]) -> bool {
        let (ip, transport) = (self.ip(), self.transport());
        let header = self.six || reference_sum(&[&frame[ip..transport]]) == 0xFFFF;
        let pseudo = self.pseudo(frame).to_be_bytes();
        header && reference_sum(&[&pseudo, &frame[transport..]]) == 0xFFFF
    }
}
