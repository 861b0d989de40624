//! Received lists: from what was on the wire to what NDIS must be told.

use crate::bytes::put16;
use crate::packet::{self, Version};
use crate::slots::{self, ChecksumResult, Verdict};
use crate::transmit::{Difference, Tagging, difference};
use crate::{checksum, rss, segment};

/// One frame as the wire had it for the guest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Came {
    /// The frame.
    pub bytes: Vec<u8>,
    /// The transport checksum is blank.
    pub csum_blank: bool,
    /// The data needs no verification.
    pub data_validated: bool,
    /// It is to be cut: payload of a segment, and IP version.
    pub gso: Option<(u16, Version)>,
}

/// One list as NDIS was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The frame.
    pub bytes: Vec<u8>,
    /// Out-of-band slots.
    pub slots: [u64; slots::COUNT],
}

/// Checksums that NDIS wants results of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "one switch per checksum, as NDIS has them"
)]
pub struct Verified {
    /// IPv4 header.
    pub header: bool,
    /// TCP over IPv4.
    pub tcp_v4: bool,
    /// UDP over IPv4.
    pub udp_v4: bool,
    /// TCP over IPv6.
    pub tcp_v6: bool,
    /// UDP over IPv6.
    pub udp_v6: bool,
}

impl Verified {
    fn transport(self, version: Version, protocol: u8) -> bool {
        match (version, protocol) {
            (Version::V4, packet::TCP) => self.tcp_v4,
            (Version::V4, packet::UDP) => self.udp_v4,
            (Version::V6, packet::TCP) => self.tcp_v6,
            (Version::V6, packet::UDP) => self.udp_v6,
            _ => false,
        }
    }
}

/// The hash that NDIS wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashTerms {
    /// The secret key.
    pub key: [u8; 40],
    /// Types, `NDIS_HASH_*`.
    pub types: u32,
    /// Each frame that can be hashed must be.
    pub always: bool,
}

/// Which destinations are received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// `NDIS_PACKET_TYPE_*`.
    pub types: u32,
    /// The adapter's address.
    pub own: [u8; 6],
    /// Multicast list.
    pub groups: Vec<[u8; 6]>,
}

const DIRECTED: u32 = 1;
const MULTICAST: u32 = 2;
const ALL_MULTICAST: u32 = 4;
const BROADCAST: u32 = 8;
const PROMISCUOUS: u32 = 0x20;

impl Filter {
    fn is_promiscuous(&self) -> bool {
        self.types & PROMISCUOUS != 0
    }

    /// Whether a frame to `to` is received.
    pub fn accepts(&self, to: [u8; 6]) -> bool {
        let has = |kind| self.types & kind != 0;
        if self.is_promiscuous() {
            return true;
        }
        match to {
            [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF] => has(BROADCAST),
            [first, ..] if first & 1 == 1 => {
                has(ALL_MULTICAST) || has(MULTICAST) && self.groups.contains(&to)
            }
            _ => has(DIRECTED) && to == self.own,
        }
    }
}

/// What NDIS and the administrator have set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Filter and multicast list.
    pub filter: Filter,
    /// Tags.
    pub tagging: Tagging,
    /// Longest frame with its 14-byte header, without a tag; coalesced units may be longer.
    pub longest: usize,
    /// Checksum results wanted.
    pub verified: Verified,
    /// Coalesced units over IPv4 and IPv6 are taken.
    pub rsc: (bool, bool),
    /// Hashes.
    pub hash: Option<HashTerms>,
    /// A blank checksum may stay blank if its result is told: nobody forwards or records frames.
    pub blank_may_stay: bool,
}

/// What must come of one frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nothing: not wanted, or not understood.
    Nothing,
    /// Lists.
    Lists(Lists),
}

/// What a frame becomes: one list, or one for each segment, or one unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lists {
    /// The frames with right checksums, without tag. One, unless it is to be cut.
    pub frames: Vec<Vec<u8>>,
    /// The whole, which may be told as a coalesced unit of this many segments.
    pub unit: Option<(Vec<u8>, u16)>,
    /// The tag slot.
    pub tag: u64,
    /// The result of the transport checksum is known to be good without looking.
    pub trusted: bool,
    /// The checksum came blank.
    pub blank: bool,
    /// The checksum in `frames` is not the one that came: it was blank, or the frame is to be cut.
    pub made: bool,
}

/// Why a list is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The frame is not the one that came.
    Differs(Difference),
    /// The tag slot: expected and told.
    Tag(u64, u64),
    /// Both right and wrong are told of a checksum, or a bit that is not the miniport's.
    ResultBits(u64),
    /// A checksum result that NDIS did not ask for.
    NotAsked,
    /// A result for a checksum that the frame does not have.
    NoSuchChecksum,
    /// Told right, and it is wrong.
    ToldRight,
    /// Told wrong, and it is right.
    ToldWrong,
    /// The checksum in the frame is neither right nor told to be.
    LeftBlank,
    /// The wire knew the checksum to be good, NDIS asked, and was not told.
    NotTold,
    /// Segments of a coalesced unit: expected and told.
    Segments(u16, u64),
    /// A coalesced unit where none is allowed.
    NoUnit,
    /// A "not made anew" mark outside a coalesced unit.
    Stale,
    /// Hash: expected type and value, and told.
    Hash(Option<(u32, u32)>, (u64, u64)),
}

/// Whether a TCP frame may be told as a coalesced unit: no IP options, no flags but ACK and PSH, no option but a
/// timestamp (ndis-contract.md 3.6).
pub fn may_coalesce(frame: &[u8]) -> bool {
    let Some(found) = packet::ip(frame).filter(|found| !found.options && !found.fragment) else {
        return false;
    };
    let Some(tcp) = found
        .transport(frame)
        .filter(|transport| transport.protocol == packet::TCP)
    else {
        return false;
    };
    let flags = frame[tcp.start + 13];
    let mut options = &frame[tcp.start + 20..tcp.payload];
    loop {
        options = match options {
            [] | [0, ..] => break,
            [1, rest @ ..] => rest,
            [8, 10, rest @ ..] if rest.len() >= 8 => &rest[8..],
            _ => return false,
        };
    }
    flags & !0x18 == 0 && flags & 0x10 != 0 && found.end > tcp.payload
}

/// What must come of a frame.
pub fn fate(came: &Came, terms: &Terms) -> Fate {
    let mut bytes = came.bytes.clone();
    let Some(to) = bytes.first_chunk::<6>().copied() else {
        return Fate::Nothing;
    };
    let control = packet::tag(&bytes).filter(|_| bytes.len() >= 18);
    if control.is_some() {
        bytes.drain(12..16);
    }
    let vlan = control.unwrap_or(0) & 0xFFF;
    let everything = terms.filter.is_promiscuous();
    let foreign = terms.tagging.id != 0 && vlan != 0 && vlan != terms.tagging.id;
    let long = came.gso.is_none() && bytes.len() > terms.longest;
    if !terms.filter.accepts(to) || (foreign && !everything) || long || bytes.len() < 14 {
        return Fate::Nothing;
    }
    let mut lists = Lists {
        frames: Vec::new(),
        unit: None,
        tag: slots::tag_slot(terms.tagging.pass(control.unwrap_or(0))),
        trusted: came.data_validated || came.csum_blank,
        blank: came.csum_blank,
        made: came.csum_blank || came.gso.is_some(),
    };
    if let Some((mss, version)) = came.gso {
        let Ok(frames) = segment::segments(&bytes, mss.into()) else {
            return Fate::Nothing;
        };
        let on = match version {
            Version::V4 => terms.rsc.0,
            Version::V6 => terms.rsc.1,
        };
        if on && may_coalesce(&bytes) {
            let segments = u16::try_from(frames.len()).unwrap_or(u16::MAX);
            make_right(&mut bytes);
            lists.unit = Some((bytes, segments));
        }
        lists.frames = frames;
        return Fate::Lists(lists);
    }
    if came.csum_blank && !checksum::complete(&mut bytes) {
        // What cannot be completed may go up as it is, unchecked, or be dropped; the generator makes none.
        lists.trusted = false;
        lists.blank = false;
        lists.made = false;
    }
    lists.frames.push(bytes);
    Fate::Lists(lists)
}

fn make_right(frame: &mut [u8]) {
    if let Some(found) = packet::ip(frame) {
        checksum::fill_header(frame, &found);
        if let Some(transport) = found.transport(frame) {
            checksum::fill_transport(frame, &found, &transport);
        }
    }
}

/// Judges one list against the frame it must be. `segments` is not 0 for a coalesced unit.
pub fn judge(
    expected: &[u8],
    segments: u16,
    lists: &Lists,
    told: &Told,
    terms: &Terms,
) -> Result<(), Fault> {
    let slot = told.slots[slots::CHECKSUM];
    let result = ChecksumResult::read(slot);
    let verdicts = [result.header, result.tcp, result.udp];
    if result.foreign || verdicts.contains(&Verdict::Both) {
        return Err(Fault::ResultBits(slot));
    }
    if segments == 0 && (result.tcp_stale || result.header_stale) {
        return Err(Fault::Stale);
    }
    same_bytes(expected, told, result)?;
    if told.slots[slots::TAG] != lists.tag {
        return Err(Fault::Tag(lists.tag, told.slots[slots::TAG]));
    }
    let counted = told.slots[slots::COALESCED];
    // One segment is a frame like any other.
    if counted != u64::from(segments) && !(segments == 0 && counted == 1 && lists.unit.is_some()) {
        return Err(Fault::Segments(segments, counted));
    }
    checksums(&told.bytes, result, lists, terms, segments != 0)?;
    hash(expected, told, terms)
}

/// Compares all but the checksum fields.
fn same_bytes(expected: &[u8], told: &Told, result: ChecksumResult) -> Result<(), Fault> {
    let mut found = told.bytes.clone();
    if found.len() == expected.len()
        && let Some(ip) = packet::ip(expected)
    {
        if result.header_stale && ip.version == Version::V4 {
            let at = ip.start + 10;
            found[at..at + 2].copy_from_slice(&expected[at..at + 2]);
        }
        if let Some(transport) = ip.transport(expected) {
            let at = transport.checksum;
            found[at..at + 2].copy_from_slice(&expected[at..at + 2]);
        }
    }
    difference(expected, &found).map_or(Ok(()), |difference| Err(Fault::Differs(difference)))
}

fn checksums(
    bytes: &[u8],
    result: ChecksumResult,
    lists: &Lists,
    terms: &Terms,
    unit: bool,
) -> Result<(), Fault> {
    let told = |verdict| verdict != Verdict::None;
    let Some(found) = packet::ip(bytes) else {
        let any = told(result.header) || told(result.tcp) || told(result.udp);
        return if any {
            Err(Fault::NoSuchChecksum)
        } else {
            Ok(())
        };
    };
    if told(result.header) {
        if found.version == Version::V6 {
            return Err(Fault::NoSuchChecksum);
        }
        if !terms.verified.header && !unit {
            return Err(Fault::NotAsked);
        }
    }
    verdict_holds(
        result.header,
        result.header_stale || checksum::header_is_right(bytes, &found),
    )?;
    let transport = found.transport(bytes).filter(|_| !found.fragment);
    let protocol = transport.map_or(0, |transport| transport.protocol);
    let (mine, other) = match protocol {
        packet::TCP => (result.tcp, result.udp),
        packet::UDP => (result.udp, result.tcp),
        _ => (
            Verdict::None,
            if told(result.tcp) {
                result.tcp
            } else {
                result.udp
            },
        ),
    };
    if told(other) {
        return Err(Fault::NoSuchChecksum);
    }
    let Some(transport) = transport else {
        return Ok(());
    };
    let asked = terms.verified.transport(found.version, protocol);
    if told(mine) && !asked && !unit {
        return Err(Fault::NotAsked);
    }
    let in_frame = checksum::transport_is_right(bytes, &found, &transport).unwrap_or(false);
    if mine == Verdict::Right && !in_frame {
        // The field holds something else: it may if what the wire said of it is believed.
        let stands = result.tcp_stale && unit || lists.blank && terms.blank_may_stay;
        let believed = lists.trusted && !lists.blank;
        if !(stands || believed) {
            return Err(if lists.blank {
                Fault::LeftBlank
            } else {
                Fault::ToldRight
            });
        }
        return Ok(());
    }
    if mine == Verdict::Wrong && (in_frame || lists.trusted) {
        return Err(Fault::ToldWrong);
    }
    if mine == Verdict::None {
        if lists.made && !in_frame {
            return Err(Fault::LeftBlank);
        }
        // UDP without a checksum: there is nothing to tell.
        let none = protocol == packet::UDP && bytes[transport.checksum..][..2] == [0, 0];
        if lists.trusted && asked && !none {
            return Err(Fault::NotTold);
        }
    }
    Ok(())
}

fn verdict_holds(verdict: Verdict, right: bool) -> Result<(), Fault> {
    match (verdict, right) {
        (Verdict::Right, false) => Err(Fault::ToldRight),
        (Verdict::Wrong, true) => Err(Fault::ToldWrong),
        _ => Ok(()),
    }
}

fn hash(frame: &[u8], told: &Told, terms: &Terms) -> Result<(), Fault> {
    let pair = (told.slots[slots::HASH_INFO], told.slots[slots::HASH_VALUE]);
    let Some(wanted) = terms.hash else {
        return if pair == (0, 0) {
            Ok(())
        } else {
            Err(Fault::Hash(None, pair))
        };
    };
    let kind = u32::try_from(pair.0 & 0xFFFF_FF00).unwrap_or(0);
    let fault = |expected| Err(Fault::Hash(expected, pair));
    if kind == 0 {
        let expected = rss::hash(frame, &wanted.key, wanted.types);
        let missing = wanted.always && expected.is_some();
        return if missing || pair.1 != 0 {
            fault(expected)
        } else {
            Ok(())
        };
    }
    let expected = rss::hash(frame, &wanted.key, kind & wanted.types);
    let agrees = expected.is_some_and(|(is, value)| is == kind && u64::from(value) == pair.1);
    let strongest = rss::hash(frame, &wanted.key, wanted.types).is_some_and(|(is, _)| is == kind);
    if pair.0 & 0xFF != slots::TOEPLITZ || !agrees || (wanted.always && !strongest) {
        return fault(expected);
    }
    Ok(())
}

/// Spoils the transport checksum of a frame, for tests. False if it has none.
pub fn spoil_checksum(frame: &mut [u8]) -> bool {
    let Some(found) = packet::ip(frame) else {
        return false;
    };
    let Some(transport) = found.transport(frame) else {
        return false;
    };
    let now = u16::from_be_bytes([frame[transport.checksum], frame[transport.checksum + 1]]);
    // Not 0, which is no checksum, and not the same sum in its other form.
    let other = if now == 0x5555 { 0x6666 } else { 0x5555 };
    put16(frame, transport.checksum, other);
    checksum::transport_is_right(frame, &found, &transport) == Some(false)
}

#[cfg(test)]
mod tests;
