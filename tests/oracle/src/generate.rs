//! Frames from a seed: header stacks and sizes that a network card meets, and some that it should not.

use crate::bytes::{put16, short};
use crate::checksum;
use crate::packet::{self, TCP, UDP, Version};

/// A small generator of numbers (splitmix64): same seed, same frames.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// From a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub const fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 if that is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        if bound == 0 {
            return 0;
        }
        usize::try_from(self.number() % bound as u64).unwrap_or(0)
    }

    /// A number from `least` to `most`.
    pub fn between(&mut self, least: usize, most: usize) -> usize {
        least + self.below(most.saturating_sub(least) + 1)
    }

    /// True once in `times`.
    pub fn chance(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of `choices`.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// Fills with noise.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let word = self.number().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }
}

/// Which way frames go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Towards {
    /// From the guest.
    Wire,
    /// To the guest.
    Guest,
}

/// Makes frames between one guest and its network.
#[derive(Clone, Debug)]
pub struct Generator {
    /// The numbers behind every choice.
    pub rng: Rng,
    own: [u8; 6],
    towards: Towards,
    serial: u64,
}

/// What a large frame is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Large {
    /// IP version.
    pub version: Version,
    /// Bytes of payload.
    pub payload: usize,
    /// IPv4 options or IPv6 extension headers are allowed.
    pub ip_options: bool,
    /// TCP options are allowed.
    pub tcp_options: bool,
    /// Flags other than ACK and PSH, and urgent pointers, are allowed.
    pub any_flags: bool,
}

/// A transport header without its checksum, and the payload's place in it.
struct Body {
    protocol: u8,
    bytes: Vec<u8>,
}

impl Generator {
    /// Frames to or from the guest with address `own`.
    pub const fn new(seed: u64, own: [u8; 6], towards: Towards) -> Self {
        Self {
            rng: Rng::new(seed),
            own,
            towards,
            serial: 0,
        }
    }

    /// A frame of 14 to `longest` bytes, checksums right, no tag.
    pub fn frame(&mut self, longest: usize) -> Vec<u8> {
        let length = self.length(longest);
        match self.rng.below(10) {
            0 => self.raw(length),
            1..=5 => self.v4(length),
            _ => self.v6(length),
        }
    }

    /// Half of all frames are short, one in eight is as long as it may be.
    fn length(&mut self, longest: usize) -> usize {
        match self.rng.below(8) {
            0 => longest - self.rng.below(3),
            1 => self.rng.between(14, 62),
            2..=4 => self.rng.between(60, 400.min(longest)),
            _ => self.rng.between(14, longest),
        }
    }

    fn macs(&mut self) -> Vec<u8> {
        let number = u8::try_from(self.rng.below(4)).unwrap_or(0);
        let peer = [0x02, 0, 0, 0, 0, 0x90 + number];
        let (mut to, from) = match self.towards {
            Towards::Wire => (peer, self.own),
            Towards::Guest => (self.own, peer),
        };
        match self.rng.below(12) {
            0 => to = [0xFF; 6],
            1 => to = [0x01, 0, 0x5E, 0, 0, number],
            2 => to = [0x33, 0x33, 0, 0, 0, number],
            _ => {}
        }
        [to, from].concat()
    }

    /// Payload that differs from every other: a serial number, then noise.
    fn payload(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.rng.fill(&mut bytes);
        self.serial += 1;
        let serial = self.serial.to_be_bytes();
        let head = len.min(8);
        bytes[..head].copy_from_slice(&serial[8 - head..]);
        bytes
    }

    fn raw(&mut self, length: usize) -> Vec<u8> {
        let mut frame = self.macs();
        // ARP, an experimental type, LLDP, and a length as IEEE 802.3 has it.
        let kind = self.rng.pick(&[0x0806, 0x88B5, 0x88CC, 0x0100]);
        frame.extend(u16::to_be_bytes(kind));
        let rest = length.saturating_sub(14);
        frame.extend(self.payload(rest));
        frame
    }

    fn ports(&mut self) -> [u8; 4] {
        let (a, b) = (self.rng.below(3), self.rng.below(3));
        let mut ports = [0; 4];
        put16(&mut ports, 0, short(5000 + a));
        put16(&mut ports, 2, short(49_152 + b * 7));
        ports
    }

    /// TCP options of at most `room` bytes, padded to words: kinds that stacks send, in any number.
    fn tcp_options(&mut self, room: usize) -> Vec<u8> {
        let room = room.min(40);
        let mut options = Vec::new();
        for _ in 0..self.rng.below(5) {
            let next: &[u8] = self.rng.pick(&[
                &[1][..],
                &[2, 4, 5, 0xB4],
                &[3, 3, 7],
                &[4, 2],
                &[8, 10, 1, 2, 3, 4, 5, 6, 7, 8],
                &[5, 18, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4],
                &[254, 6, 0xAA, 0xBB, 0xCC, 0xDD],
            ]);
            if options.len() + next.len() <= room {
                options.extend(next);
            }
        }
        let padded = options.len().next_multiple_of(4);
        options.resize(padded.min(room / 4 * 4).max(options.len()), 0);
        options.truncate(options.len() / 4 * 4);
        options
    }

    fn tcp_header(&mut self, options: &[u8], any_flags: bool) -> Vec<u8> {
        let mut header = self.ports().to_vec();
        header.extend(self.rng.number().to_be_bytes());
        let words = u8::try_from(5 + options.len() / 4).unwrap_or(5);
        let flags = if any_flags {
            self.rng
                .pick(&[0x10, 0x18, 0x02, 0x11, 0x14, 0x19, 0x38, 0x90, 0xD8, 0xFF])
        } else {
            self.rng.pick(&[0x10, 0x18])
        };
        header.extend([words << 4, flags, 0xFF, 0xFF, 0, 0]);
        let urgent = if any_flags && self.rng.chance(4) {
            9
        } else {
            0
        };
        header.extend([0, urgent]);
        header.extend(options);
        header
    }

    /// A transport header with payload, `room` bytes in all.
    fn body(&mut self, room: usize) -> Body {
        let kind = self.rng.below(10);
        if kind < 5 && room >= 20 {
            let options = self.tcp_options(room - 20);
            let mut bytes = self.tcp_header(&options, true);
            bytes.extend(self.payload(room - bytes.len()));
            return Body {
                protocol: TCP,
                bytes,
            };
        }
        if kind < 9 && room >= 8 {
            let mut bytes = self.ports().to_vec();
            bytes.extend(short(room).to_be_bytes());
            bytes.extend([0, 0]);
            bytes.extend(self.payload(room - 8));
            return Body {
                protocol: UDP,
                bytes,
            };
        }
        let protocol = self.rng.pick(&[1, 2, 47, 58, 132]);
        Body {
            protocol,
            bytes: self.payload(room),
        }
    }

    fn v4(&mut self, length: usize) -> Vec<u8> {
        if length < 34 {
            return self.raw(length);
        }
        let mut options = Vec::new();
        if self.rng.chance(3) {
            options = vec![1; self.rng.below(11) * 4];
        }
        if length < 34 + options.len() {
            options.clear();
        }
        let room = length - 34 - options.len();
        let body = self.body(room);
        let mut frame = self.v4_header(body.protocol, &options, room);
        // One in eight is a fragment: first, middle, last.
        if self.rng.chance(8) {
            let place = self.rng.pick(&[0x2000, 0x2010, 0x0010]);
            put16(&mut frame, 20, place);
        }
        frame.extend(body.bytes);
        self.seal(frame)
    }

    fn v4_header(&mut self, protocol: u8, options: &[u8], body: usize) -> Vec<u8> {
        let mut frame = self.macs();
        let words = u8::try_from(5 + options.len() / 4).unwrap_or(5);
        frame.extend([8, 0, 0x40 | words, self.rng.pick(&[0, 1, 3, 0xB8])]);
        frame.extend(short(20 + options.len() + body).to_be_bytes());
        // Below 0x7000, so that no large send wraps 15 bits.
        frame.extend(short(self.rng.below(0x7000)).to_be_bytes());
        frame.extend([0x40, 0, 64, protocol, 0, 0, 10, 0, 0]);
        frame.extend([self.rng.pick(&[1, 2]), 10, 0, 1, self.rng.pick(&[1, 2])]);
        frame.extend(options);
        frame
    }

    /// Extension headers of at most `room` bytes, and their numbers.
    fn extensions(&mut self, room: usize, lone_fragment: bool) -> Vec<(u8, Vec<u8>)> {
        let mut all: Vec<(u8, Vec<u8>)> = Vec::new();
        let mut left = room;
        for kind in [0_u8, 60, 43, 44] {
            let wanted = self.rng.chance(4);
            let fragment = kind == 44;
            if !wanted || (fragment && !lone_fragment) {
                continue;
            }
            let mut data = match kind {
                // A home address option in its padding.
                60 => vec![
                    1, 2, 0, 0, 201, 16, 0x20, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9,
                ],
                // Type 0 or 2, no segment left, one address.
                43 => {
                    let mut data = vec![self.rng.pick(&[0, 2]), 0, 0, 0, 0, 0];
                    data.extend([0x20, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]);
                    data
                }
                44 => vec![0, 0, 0, 0, 0, 9],
                _ => vec![1, 4, 0, 0, 0, 0],
            };
            let len = data.len() + 2;
            if len > left {
                continue;
            }
            left -= len;
            let words = if fragment { 0 } else { len / 8 - 1 };
            data.insert(0, u8::try_from(words).unwrap_or(0));
            all.push((kind, data));
        }
        all
    }

    fn v6_header(&mut self, protocol: u8, extensions: &[(u8, Vec<u8>)], body: usize) -> Vec<u8> {
        let mut frame = self.macs();
        let first = extensions.first().map_or(protocol, |(kind, _)| *kind);
        let len: usize = extensions.iter().map(|(_, data)| data.len() + 1).sum();
        frame.extend([0x86, 0xDD, 0x60, self.rng.pick(&[0, 0x0F]), 0, 0]);
        frame.extend(short(len + body).to_be_bytes());
        frame.extend([first, 64]);
        for side in [1, 2] {
            frame.extend([0x20, 1, 0xD, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, side, 0]);
            frame.push(self.rng.pick(&[1, 2]));
        }
        for (index, (_, data)) in extensions.iter().enumerate() {
            let next = extensions
                .get(index + 1)
                .map_or(protocol, |(kind, _)| *kind);
            frame.push(next);
            frame.extend(data);
        }
        frame
    }

    fn v6(&mut self, length: usize) -> Vec<u8> {
        if length < 54 {
            return self.raw(length);
        }
        let mut extensions = Vec::new();
        if self.rng.chance(3) {
            extensions = self.extensions(length - 54, true);
        }
        let taken: usize = extensions.iter().map(|(_, data)| data.len() + 1).sum();
        let room = length - 54 - taken;
        let body = self.body(room);
        let mut frame = self.v6_header(body.protocol, &extensions, room);
        // Some fragments are parts of more.
        if let Some((44, _)) = extensions.last()
            && self.rng.chance(2)
        {
            let at = frame.len() - 6;
            let place = self.rng.pick(&[0x0001, 0x0081, 0x0080]);
            put16(&mut frame, at, place);
        }
        frame.extend(body.bytes);
        self.seal(frame)
    }

    /// Makes the checksums right, where there are any; some UDP packets over IPv4 have none.
    fn seal(&mut self, mut frame: Vec<u8>) -> Vec<u8> {
        let Some(found) = packet::ip(&frame) else {
            return frame;
        };
        checksum::fill_header(&mut frame, &found);
        if let Some(transport) = found.transport(&frame) {
            let none =
                transport.protocol == UDP && found.version == Version::V4 && self.rng.chance(8);
            if none {
                put16(&mut frame, transport.checksum, 0);
            } else {
                checksum::fill_transport(&mut frame, &found, &transport);
            }
        }
        frame
    }

    /// A whole TCP frame of any size up to what IP can say, checksums right, to one station.
    ///
    /// # Panics
    /// When it does not fit 65535 bytes of IP.
    pub fn large(&mut self, wish: Large) -> Vec<u8> {
        let tcp_options = if wish.tcp_options {
            self.tcp_options(40)
        } else if self.rng.chance(2) {
            // A timestamp alone, as most connections have it.
            vec![1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]
        } else {
            Vec::new()
        };
        let mut body = self.tcp_header(&tcp_options, wish.any_flags);
        body.extend(self.payload(wish.payload));
        let mut frame = match wish.version {
            Version::V4 => {
                let options = if wish.ip_options && self.rng.chance(3) {
                    vec![1; self.rng.below(11) * 4]
                } else {
                    Vec::new()
                };
                self.v4_header(TCP, &options, body.len())
            }
            Version::V6 => {
                let extensions = if wish.ip_options && self.rng.chance(3) {
                    self.extensions(80, false)
                } else {
                    Vec::new()
                };
                self.v6_header(TCP, &extensions, body.len())
            }
        };
        frame.extend(body);
        // Large frames have one destination.
        let to = match self.towards {
            Towards::Wire => [0x02, 0, 0, 0, 0, 0x99],
            Towards::Guest => self.own,
        };
        frame[..6].copy_from_slice(&to);
        let found = packet::ip(&frame).expect("made so");
        let transport = found.transport(&frame).expect("made so");
        checksum::fill_header(&mut frame, &found);
        checksum::fill_transport(&mut frame, &found, &transport);
        frame
    }

    /// A frame of the same connection and length with other payload, checksums right where they were.
    pub fn sibling(&mut self, frame: &[u8]) -> Vec<u8> {
        let mut out = frame.to_vec();
        let start = packet::ip(frame).map_or(14, |found| {
            found
                .transport(frame)
                .map_or(found.upper, |transport| transport.payload)
        });
        let payload = self.payload(frame.len().saturating_sub(start));
        out[start.min(frame.len())..].copy_from_slice(&payload);
        let Some(found) = packet::ip(frame) else {
            return out;
        };
        if let Some(transport) = found.transport(frame)
            && (transport.protocol == TCP || frame[transport.checksum..][..2] != [0, 0])
        {
            checksum::fill_transport(&mut out, &found, &transport);
        }
        out
    }

    /// The frame with a tag in its bytes.
    pub fn tagged(frame: &[u8], control: u16) -> Vec<u8> {
        let mut out = frame.to_vec();
        let [high, low] = control.to_be_bytes();
        out.splice(12..12, [0x81, 0, high, low]);
        out
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const OWN: [u8; 6] = [0, 0x16, 0x3E, 0, 1, 0];

    #[test]
    fn frames_are_what_they_say_and_all_kinds_come() {
        let mut seen = BTreeSet::new();
        let mut generator = Generator::new(1, OWN, Towards::Wire);
        for _ in 0..20_000 {
            let frame = generator.frame(1514);
            assert!((14..=1514).contains(&frame.len()), "{}", frame.len());
            seen.insert(if frame.len() < 60 { "short" } else { "long" });
            let Some(found) = packet::ip(&frame) else {
                seen.insert("not IP");
                continue;
            };
            assert_eq!(found.end, frame.len());
            assert!(checksum::header_is_right(&frame, &found));
            seen.insert(match (found.version, found.options) {
                (Version::V4, false) => "IPv4",
                (Version::V4, true) => "IPv4 options",
                (Version::V6, false) => "IPv6",
                (Version::V6, true) => "IPv6 extensions",
            });
            if found.fragment {
                seen.insert(if found.later_fragment {
                    "later fragment"
                } else {
                    "first fragment"
                });
            }
            if let Some(transport) = found.transport(&frame) {
                assert_eq!(
                    checksum::transport_is_right(&frame, &found, &transport),
                    Some(true)
                );
                seen.insert(if transport.protocol == TCP {
                    "TCP"
                } else {
                    "UDP"
                });
                if transport.protocol == TCP && transport.payload > transport.start + 20 {
                    seen.insert("TCP options");
                }
            }
        }
        assert_eq!(seen.len(), 12, "{seen:?}");
    }

    #[test]
    fn large_frames_fit_ip_and_are_right() {
        let mut generator = Generator::new(2, OWN, Towards::Guest);
        for round in 0..400 {
            let version = if round % 2 == 0 {
                Version::V4
            } else {
                Version::V6
            };
            let wish = Large {
                version,
                payload: 1 + round * 160,
                ip_options: true,
                tcp_options: true,
                any_flags: true,
            };
            let frame = generator.large(wish);
            let found = packet::ip(&frame).expect("IP");
            assert_eq!((found.version, found.end), (version, frame.len()));
            let tcp = found.transport(&frame).expect("TCP");
            assert_eq!(frame.len() - tcp.payload, wish.payload);
            assert_eq!(
                checksum::transport_is_right(&frame, &found, &tcp),
                Some(true)
            );
        }
    }

    #[test]
    fn the_same_seed_makes_the_same_frames() {
        let make = |seed| {
            let mut generator = Generator::new(seed, OWN, Towards::Wire);
            (0..50).map(|_| generator.frame(1514)).collect::<Vec<_>>()
        };
        assert_eq!(make(7), make(7));
        assert_ne!(make(7), make(8));
    }
}
