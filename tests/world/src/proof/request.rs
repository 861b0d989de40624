//! What NDIS may ask for, and asking for it at random.

use core::mem::offset_of;

use harness::ndis::{Chain, Frame, Layout, SendList};
use ndis_sys::{
    NDIS_IPV4_CHECKSUM_OFFLOAD as Checksum4, NDIS_IPV6_CHECKSUM_OFFLOAD as Checksum6,
    NDIS_LSO_V2_IPV4 as Lso4, NDIS_LSO_V2_IPV6 as Lso6, NDIS_OFFLOAD as Offload,
    NDIS_TCP_IP_CHECKSUM_OFFLOAD as Checksum, NDIS_TCP_LARGE_SEND_OFFLOAD_V2 as LargeSend,
    NDIS_TCP_RECV_SEG_COALESCE_OFFLOAD as Coalesce,
};
use oracle::generate::{Generator, Large, Rng};
use oracle::packet::{self, Version};
use oracle::receive::Verified;
use oracle::slots;
use oracle::transmit::{self, Asked};

use super::offer::HEADERS;

/// Value of a two-bit field of `NDIS_OFFLOAD` that is on: `NDIS_OFFLOAD_SUPPORTED`, `NDIS_OFFLOAD_SET_ON`.
const ON: u32 = 1;

/// One direction of checksums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "bit fields of NDIS, one by one"
)]
pub struct Sums {
    /// IPv4 options or IPv6 extension headers may be there.
    pub ip_options: bool,
    /// TCP options may be there.
    pub tcp_options: bool,
    /// TCP.
    pub tcp: bool,
    /// UDP.
    pub udp: bool,
    /// IPv4 header.
    pub header: bool,
}

/// Large sends of one IP version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sends {
    /// Most payload bytes; 0 when they are off.
    pub most: usize,
    /// Fewest segments.
    pub segments: usize,
    /// IPv6 extension headers may be there; over IPv4 options always may.
    pub ip_options: bool,
    /// TCP options may be there; over IPv4 they always may.
    pub tcp_options: bool,
}

/// The offloads in force, read from an `NDIS_OFFLOAD`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Sending over IPv4.
    pub transmit_v4: Sums,
    /// Sending over IPv6.
    pub transmit_v6: Sums,
    /// Receiving over IPv4.
    pub receive_v4: Sums,
    /// Receiving over IPv6.
    pub receive_v6: Sums,
    /// Large sends over IPv4.
    pub large_v4: Sends,
    /// Large sends over IPv6.
    pub large_v6: Sends,
    /// Coalescing over IPv4 and IPv6.
    pub coalesce: (bool, bool),
    /// A tag may be asked for together with an offload (`NDIS_ENCAPSULATION_IEEE_802_3_P_AND_Q_IN_OOB`).
    pub tag: bool,
}

/// Encapsulation flags (ndis-contract.md 3.1).
const ETHERNET: u32 = 2;
const TAG_BESIDE: u32 = 8;

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..at + 4)
        .and_then(|four| four.try_into().ok())
        .map_or(0, u32::from_le_bytes)
}

fn sums_v4(bytes: &[u8], at: usize) -> Sums {
    if word(bytes, at + offset_of!(Checksum4, Encapsulation)) & ETHERNET == 0 {
        return Sums::default();
    }
    let bits = word(bytes, at + offset_of!(Checksum4, IpOptionsSupported));
    let on = |shift: u32| bits >> shift & 3 == ON;
    Sums {
        ip_options: on(Checksum4::IP_OPTIONS_SHIFT),
        tcp_options: on(Checksum4::TCP_OPTIONS_SHIFT),
        tcp: on(Checksum4::TCP_CHECKSUM_SHIFT),
        udp: on(Checksum4::UDP_CHECKSUM_SHIFT),
        header: on(Checksum4::IP_CHECKSUM_SHIFT),
    }
}

fn sums_v6(bytes: &[u8], at: usize) -> Sums {
    if word(bytes, at + offset_of!(Checksum6, Encapsulation)) & ETHERNET == 0 {
        return Sums::default();
    }
    let bits = word(
        bytes,
        at + offset_of!(Checksum6, IpExtensionHeadersSupported),
    );
    let on = |shift: u32| bits >> shift & 3 == ON;
    Sums {
        ip_options: on(Checksum6::IP_EXTENSION_HEADERS_SHIFT),
        tcp_options: on(Checksum6::TCP_OPTIONS_SHIFT),
        tcp: on(Checksum6::TCP_CHECKSUM_SHIFT),
        udp: on(Checksum6::UDP_CHECKSUM_SHIFT),
        header: false,
    }
}

fn large_v4(bytes: &[u8], at: usize) -> Sends {
    if word(bytes, at + offset_of!(Lso4, Encapsulation)) & ETHERNET == 0 {
        return Sends::default();
    }
    Sends {
        most: word(bytes, at + offset_of!(Lso4, MaxOffLoadSize)) as usize,
        segments: word(bytes, at + offset_of!(Lso4, MinSegmentCount)) as usize,
        ip_options: true,
        tcp_options: true,
    }
}

fn large_v6(bytes: &[u8], at: usize) -> Sends {
    if word(bytes, at + offset_of!(Lso6, Encapsulation)) & ETHERNET == 0 {
        return Sends::default();
    }
    let bits = word(bytes, at + offset_of!(Lso6, IpExtensionHeadersSupported));
    Sends {
        most: word(bytes, at + offset_of!(Lso6, MaxOffLoadSize)) as usize,
        segments: word(bytes, at + offset_of!(Lso6, MinSegmentCount)) as usize,
        ip_options: bits & 3 == ON,
        tcp_options: bits >> 2 & 3 == ON,
    }
}

impl Allowed {
    /// From the bytes of an `NDIS_OFFLOAD`.
    pub fn read(bytes: &[u8]) -> Self {
        let sums = offset_of!(Offload, Checksum);
        let large = offset_of!(Offload, LsoV2);
        let coalesce = offset_of!(Offload, Rsc);
        let flag = |at: usize| bytes.get(at).is_some_and(|byte| *byte != 0);
        let four = sums + offset_of!(Checksum, IPv4Transmit);
        let encapsulations = [
            four,
            sums + offset_of!(Checksum, IPv6Transmit),
            large + offset_of!(LargeSend, IPv4),
            large + offset_of!(LargeSend, IPv6),
        ]
        .map(|at| word(bytes, at));
        Self {
            transmit_v4: sums_v4(bytes, four),
            transmit_v6: sums_v6(bytes, sums + offset_of!(Checksum, IPv6Transmit)),
            receive_v4: sums_v4(bytes, sums + offset_of!(Checksum, IPv4Receive)),
            receive_v6: sums_v6(bytes, sums + offset_of!(Checksum, IPv6Receive)),
            large_v4: large_v4(bytes, large + offset_of!(LargeSend, IPv4)),
            large_v6: large_v6(bytes, large + offset_of!(LargeSend, IPv6)),
            coalesce: (
                flag(coalesce + offset_of!(Coalesce, IPv4)),
                flag(coalesce + offset_of!(Coalesce, IPv6)),
            ),
            tag: encapsulations
                .iter()
                .all(|flags| *flags == 0 || flags & TAG_BESIDE != 0),
        }
    }

    /// The checksum results of received frames that NDIS wants.
    pub const fn verified(&self) -> Verified {
        Verified {
            header: self.receive_v4.header,
            tcp_v4: self.receive_v4.tcp,
            udp_v4: self.receive_v4.udp,
            tcp_v6: self.receive_v6.tcp,
            udp_v6: self.receive_v6.udp,
        }
    }

    const fn transmit(&self, version: Version) -> Sums {
        match version {
            Version::V4 => self.transmit_v4,
            Version::V6 => self.transmit_v6,
        }
    }
}

/// Makes what NDIS asks for.
#[derive(Debug)]
pub struct Ask {
    /// Frames from the guest.
    pub generator: Generator,
    /// Longest frame with its header.
    pub longest: usize,
    /// What may be asked for.
    pub allowed: Allowed,
    /// Tags may be asked for.
    pub tags: bool,
}

/// One list to send, and its frames as the oracle wants them.
#[derive(Debug)]
pub struct Request {
    /// For the driver.
    pub list: SendList,
    /// For the oracle.
    pub asked: Vec<Asked>,
}

impl Ask {
    /// A random list.
    pub fn list(&mut self) -> Request {
        let (four, six) = (self.allowed.large_v4, self.allowed.large_v6);
        let large = match (four.most > 0, six.most > 0) {
            (false, false) => None,
            (true, false) => Some((Version::V4, four)),
            (false, true) => Some((Version::V6, six)),
            (true, true) => {
                let choices = [(Version::V4, four), (Version::V6, six)];
                Some(self.generator.rng.pick(&choices))
            }
        };
        if let Some((version, sends)) = large
            && self.generator.rng.chance(5)
        {
            return self.large(version, sends);
        }
        self.plain()
    }

    /// A list of one to four frames of one connection, checksums asked for where that is allowed.
    fn plain(&mut self) -> Request {
        let first = self.generator.frame(self.longest);
        let more = if self.generator.rng.chance(4) {
            self.generator.rng.below(4)
        } else {
            0
        };
        let mut frames = vec![first];
        for _ in 0..more {
            let next = self.generator.sibling(&frames[0]);
            frames.push(next);
        }
        let (header, transport) = self.checksums_of(&frames[0]);
        let tag = self.tag(header || transport);
        let mut slot = 0;
        if header || transport {
            for frame in &mut frames {
                slot = transmit::ask_checksums(frame, header, transport);
            }
        }
        let asked: Vec<Asked> = frames
            .iter()
            .map(|bytes| Asked {
                bytes: bytes.clone(),
                checksum: slot,
                large_send: 0,
                tag,
            })
            .collect();
        let frames = frames
            .into_iter()
            .map(|bytes| self.lay_out(bytes, 0))
            .collect();
        let mut list = SendList {
            frames,
            info: Vec::new(),
        };
        if slot != 0 {
            list.info.push((slots::CHECKSUM, slot));
        }
        if tag != 0 {
            list.info.push((slots::TAG, tag));
        }
        Request { list, asked }
    }

    /// Which checksums of a frame are asked for: header, transport.
    fn checksums_of(&mut self, frame: &[u8]) -> (bool, bool) {
        let Some(found) = packet::ip(frame) else {
            return (false, false);
        };
        let sums = self.allowed.transmit(found.version);
        if found.options && !sums.ip_options {
            return (false, false);
        }
        let header = sums.header && self.generator.rng.chance(2);
        // A lone fragment holds the whole packet; of any other the checksum cannot be made.
        let whole = !found.fragment || found.version == Version::V6 && is_lone(frame, &found);
        let Some(place) = found.transport(frame).filter(|_| whole) else {
            return (header, false);
        };
        let on = match place.protocol {
            packet::TCP => sums.tcp && (sums.tcp_options || place.payload == place.start + 20),
            _ => sums.udp,
        };
        // TcpHeaderOffset has ten bits.
        let reachable = place.start < 1024;
        (header, on && reachable && !self.generator.rng.chance(4))
    }

    /// A tag slot, or 0.
    fn tag(&mut self, offloaded: bool) -> u64 {
        let allowed = self.tags && (self.allowed.tag || !offloaded);
        if !allowed || !self.generator.rng.chance(4) {
            return 0;
        }
        let priority = self.generator.rng.below(8) << 13;
        let vlan = self.generator.rng.pick(&[0, 1, 5, 4094]);
        slots::tag_slot(u16::try_from(priority | vlan).unwrap_or(0))
    }

    fn large(&mut self, version: Version, sends: Sends) -> Request {
        let rng = &mut self.generator.rng;
        // The IP length counts the headers too.
        let most = sends.most.min(65_535 - HEADERS);
        let mss = match rng.below(4) {
            0 => rng.between(88, 600),
            _ => rng.between(536, (self.longest - HEADERS).max(537)),
        };
        let least = mss * sends.segments.saturating_sub(1) + 1;
        let payload = match rng.below(4) {
            0 => most.max(least),
            1 => rng.between(least, (8 * mss).min(most).max(least)),
            _ => rng.between(least, most.max(least)),
        };
        let mut bytes = self.generator.large(Large {
            version,
            payload: payload.min(65_535 - HEADERS),
            ip_options: sends.ip_options,
            tcp_options: sends.tcp_options,
            any_flags: true,
        });
        let headers = packet::ip(&bytes)
            .and_then(|found| found.transport(&bytes))
            .map_or(0, |tcp| tcp.payload);
        let slot = transmit::ask_large_send(&mut bytes, u32::try_from(mss).unwrap_or(0));
        let tag = self.tag(true);
        let mut list = SendList {
            frames: vec![self.lay_out(bytes.clone(), headers)],
            info: vec![(slots::LARGE_SEND, slot)],
        };
        if tag != 0 {
            list.info.push((slots::TAG, tag));
        }
        let asked = vec![Asked {
            bytes,
            checksum: 0,
            large_send: slot,
            tag,
        }];
        Request { list, asked }
    }

    /// Spreads a frame over MDLs. `together` bytes at its start, or the MAC header, are in one.
    fn lay_out(&mut self, bytes: Vec<u8>, together: usize) -> Frame {
        let rng = &mut self.generator.rng;
        let together = together.max(14).min(bytes.len());
        let layout = match rng.below(4) {
            0 => Layout::Whole,
            1 if together <= 14 => Layout::Random,
            _ => Layout::Chain(chain(rng, bytes.len(), together)),
        };
        let unmapped = rng.chance(3);
        Frame {
            bytes,
            layout,
            unmapped,
        }
    }
}

/// Whether the fragment header says that there is nothing else.
fn is_lone(frame: &[u8], found: &packet::Ip) -> bool {
    // The generator puts it last.
    frame
        .get(found.upper - 6..found.upper - 4)
        .is_some_and(|place| place == [0, 0])
}

/// Up to 40 MDLs on any byte boundary, some of them empty, with others around them.
fn chain(rng: &mut Rng, total: usize, together: usize) -> Chain {
    let count = rng.between(1, 40);
    let mut pieces = Vec::new();
    if rng.chance(8) {
        pieces.push(0);
    }
    let mut rest = total;
    let first = rng.between(together, total.min(together + 200));
    pieces.push(first);
    rest -= first;
    while pieces.len() < count && rest > 0 {
        let len = match rng.below(6) {
            0 => 0,
            1 => 1,
            2 => rng.below(64),
            3 => 3072,
            _ => rng.below(rest + 1),
        };
        let len = len.min(rest);
        pieces.push(len);
        rest -= len;
    }
    let lens = |rng: &mut Rng| {
        (0..rng.below(3))
            .map(|_| rng.below(100))
            .collect::<Vec<_>>()
    };
    let (before, after) = (lens(rng), lens(rng));
    let skip = if rng.chance(2) { rng.below(300) } else { 0 };
    Chain {
        before,
        skip,
        pieces,
        tail: rng.below(50),
        after,
    }
}
