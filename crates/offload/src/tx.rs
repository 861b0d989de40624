//! A frame to send: what its out-of-band data asks for, done to the copy of its first bytes.
//!
//! The sender's memory is only read. [`Head`] holds a copy of the frame's first bytes; here a VLAN
//! tag is put into it, lengths and checksums are written, and then its [`Head::length`] bytes go
//! out in place of the first [`Head::replaced`] bytes of the frame.
//!
//! | asked for | the backend takes it | done |
//! |---|---|---|
//! | IPv4 header checksum | never | written |
//! | TCP or UDP checksum | yes | pseudo-header sum written, field left blank |
//! | the same | no; or a fragment, or a tagged frame | computed ([`Checksum::Compute`]) |
//! | large send | yes | lengths and sums fixed, one frame with `gso` |
//! | the same | no; or a tagged frame | segments ([`Prepared::segments`]) |
//!
//! netback parses the frame itself and knows no tag: it drops a tagged frame with a blank checksum
//! (`skb_checksum_setup`). It also drops a fragment with one. So these are computed here.

use crate::headers::{Fragment, Headers, TCP, UDP, parse};
use crate::segment::Segmenter;
use crate::{HEAD_BYTES, IpVersion, set_word};

/// Bytes of a tag.
const TAG: usize = 4;
/// Where a tag is: behind the two addresses.
const TAG_AT: usize = 12;
/// An Ethernet header with tag, for frames that nothing else is done to.
const TAGGED_ETHERNET: usize = 18;

/// What a frame asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// IPv4 header checksum.
    pub ip: bool,
    /// TCP checksum.
    pub tcp: bool,
    /// UDP checksum.
    pub udp: bool,
    /// Large send.
    pub large_send: Option<LargeSend>,
}

/// A large send asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LargeSend {
    /// Payload bytes of a segment.
    pub mss: u32,
    /// Where the sender says that the TCP header is, in the frame as it gave it.
    pub tcp_header: u16,
}

/// What the backend does, by IP version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Able {
    /// Completes a blank checksum: IPv4, IPv6.
    pub checksum: [bool; 2],
    /// Cuts large TCP frames: IPv4, IPv6.
    pub gso: [bool; 2],
}

impl Able {
    fn has(which: [bool; 2], version: IpVersion) -> bool {
        let [v4, v6] = which;
        match version {
            IpVersion::V4 => v4,
            IpVersion::V6 => v6,
        }
    }
}

/// Why a frame cannot be sent as asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Its headers do not say what the request says, or do not fit in [`HEAD_BYTES`].
    Headers,
    /// A large send without segment size, or without payload.
    LargeSend,
    /// Longer than any IP datagram.
    TooLong,
}

/// The copy of a frame's first bytes.
#[derive(Clone, Debug)]
pub struct Head {
    bytes: [u8; HEAD_BYTES + TAG],
    filled: usize,
    length: usize,
    replaced: usize,
}

impl Default for Head {
    fn default() -> Self {
        Self {
            bytes: [0; HEAD_BYTES + TAG],
            filled: 0,
            length: 0,
            replaced: 0,
        }
    }
}

impl Head {
    /// Room for the first `count` bytes of a frame, at most [`HEAD_BYTES`] of them, to be filled.
    pub fn fill(&mut self, count: usize) -> &mut [u8] {
        self.filled = count.min(HEAD_BYTES);
        self.length = 0;
        self.replaced = 0;
        self.bytes.get_mut(..self.filled).unwrap_or_default()
    }

    /// Puts a tag in.
    pub fn insert_tag(&mut self, control: u16) {
        let end = self.filled.saturating_add(TAG);
        if self.filled < TAG_AT.saturating_add(2) || end > self.bytes.len() {
            return;
        }
        let behind = TAG_AT.saturating_add(TAG);
        self.bytes.copy_within(TAG_AT..self.filled, behind);
        set_word(&mut self.bytes, TAG_AT, 0x8100);
        set_word(&mut self.bytes, TAG_AT.saturating_add(2), control);
        self.filled = end;
        self.replaced = TAGGED_ETHERNET.saturating_sub(TAG);
        self.length = TAGGED_ETHERNET;
    }

    /// Makes all that was filled in go out: a frame that has no other bytes.
    pub fn take_all(&mut self) {
        self.replace(self.filled);
    }

    /// Bytes that go out from here, in front of all others. 0 when nothing was changed.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Bytes of the frame that do not go out: they are replaced.
    pub fn replaced(&self) -> usize {
        self.replaced
    }

    /// The bytes that go out.
    pub fn changed(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// Writes a computed checksum.
    pub fn set_checksum(&mut self, field: usize, checksum: u16) {
        set_word(&mut self.bytes, field, checksum);
    }

    fn parse(&self) -> Option<Headers> {
        parse(self.known())
    }

    fn known(&self) -> &[u8] {
        self.bytes.get(..self.filled).unwrap_or_default()
    }

    /// Makes the first `length` bytes those that go out.
    fn replace(&mut self, length: usize) {
        let tag = self.length.saturating_sub(self.replaced);
        self.length = length.min(self.filled);
        self.replaced = self.length.saturating_sub(tag);
    }

    /// The headers of segment number `nth`.
    pub fn write_segment(&mut self, segmenter: &Segmenter, nth: u32) {
        segmenter.write(self.bytes.get_mut(..self.length).unwrap_or_default(), nth);
    }
}

/// What is left to do about the transport checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// Nothing.
    Done,
    /// The backend completes it: an IPv4 or IPv6 frame with a blank field.
    Blank(IpVersion),
    /// The sum over bytes `from..to` of the frame on the wire, the field included, is to be
    /// complemented and written at `field`; where `never_zero`, 0 as 0xFFFF (RFC 768).
    Compute {
        /// First byte.
        from: usize,
        /// End.
        to: usize,
        /// Place of the checksum.
        field: usize,
        /// It is UDP's.
        never_zero: bool,
    },
}

impl Checksum {
    /// What to write for a sum.
    pub fn value(never_zero: bool, sum: crate::sum::Sum) -> u16 {
        match sum.checksum() {
            0 if never_zero => 0xFFFF,
            checksum => checksum,
        }
    }
}

/// What goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// Checksum of the frame; of segments it is always to be computed.
    pub checksum: Checksum,
    /// The backend cuts the frame into segments of so many payload bytes.
    pub gso: Option<(IpVersion, u16)>,
    /// The frame goes out as these segments.
    pub segments: Option<Segmenter>,
    /// Frames that reach the wire, and the bytes of headers that each but the first adds.
    pub frames: u32,
    /// As above.
    pub header: u32,
}

impl Prepared {
    /// Nothing is left to do.
    pub const PLAIN: Self = Self {
        checksum: Checksum::Done,
        gso: None,
        segments: None,
        frames: 1,
        header: 0,
    };
}

/// Prepares a frame of `length` bytes with its tag, whose first bytes are in `head`.
pub fn prepare(
    head: &mut Head,
    length: usize,
    request: Request,
    able: Able,
) -> Result<Prepared, Refusal> {
    if let Some(large) = request.large_send {
        return large_send(head, length, large, able);
    }
    if !(request.ip || request.tcp || request.udp) {
        return Ok(Prepared::PLAIN);
    }
    let headers = head.parse().ok_or(Refusal::Headers)?;
    if request.ip && headers.version == IpVersion::V4 {
        head.replace(headers.transport);
        headers.write_ip_checksum(&mut head.bytes);
    }
    let wanted =
        (request.tcp && headers.protocol == TCP) || (request.udp && headers.protocol == UDP);
    if !wanted {
        return Ok(Prepared::PLAIN);
    }
    Ok(Prepared {
        checksum: checksum(head, length, &headers, able)?,
        ..Prepared::PLAIN
    })
}

/// Who computes the transport checksum of a frame.
fn checksum(
    head: &mut Head,
    length: usize,
    headers: &Headers,
    able: Able,
) -> Result<Checksum, Refusal> {
    if headers.fragment == Fragment::Later {
        return Ok(Checksum::Done);
    }
    let field = headers.checksum_field().ok_or(Refusal::Headers)?;
    let least = if headers.protocol == TCP { 20 } else { 8 };
    let own = headers.transport.saturating_add(least);
    if headers.end > length || headers.end < own || own > head.filled {
        return Err(Refusal::Headers);
    }
    head.replace(own);
    // The first part of a datagram keeps the sum it came with: the length is the whole one's.
    if headers.fragment != Fragment::First {
        let sum = headers.pseudo_sum(head.known(), headers.transport_length());
        set_word(&mut head.bytes, field, sum.folded());
    }
    let blank = headers.fragment == Fragment::Whole
        && !headers.tagged
        && Able::has(able.checksum, headers.version);
    Ok(if blank {
        Checksum::Blank(headers.version)
    } else {
        Checksum::Compute {
            from: headers.transport,
            to: headers.end,
            field,
            never_zero: headers.protocol == UDP,
        }
    })
}

/// A large send: lengths, which the sender leaves open, and sums are written.
fn large_send(
    head: &mut Head,
    length: usize,
    large: LargeSend,
    able: Able,
) -> Result<Prepared, Refusal> {
    let mut headers = head.parse().ok_or(Refusal::Headers)?;
    let tag = head.length.saturating_sub(head.replaced);
    let told = usize::from(large.tcp_header).saturating_add(tag);
    if headers.fragment != Fragment::Whole || headers.transport != told {
        return Err(Refusal::Headers);
    }
    let tcp = headers.tcp_length(head.known()).ok_or(Refusal::Headers)?;
    let start = headers.transport.saturating_add(tcp);
    let payload = length
        .checked_sub(start)
        .and_then(|payload| u32::try_from(payload).ok())
        .filter(|payload| *payload > 0 && large.mss > 0)
        .ok_or(Refusal::LargeSend)?;
    if !headers.set_end(&mut head.bytes, length) {
        return Err(Refusal::TooLong);
    }
    head.replace(start);
    headers.write_ip_checksum(&mut head.bytes);
    // What is not cut is an ordinary frame.
    let cut = u16::try_from(large.mss)
        .ok()
        .filter(|mss| payload > u32::from(*mss));
    let Some(mss) = cut else {
        return Ok(Prepared {
            checksum: checksum_of_large(head, length, &headers, able)?,
            ..Prepared::PLAIN
        });
    };
    let frames = payload.div_ceil(mss.into());
    let header = u32::try_from(start).unwrap_or(0);
    let by_backend = Able::has(able.gso, headers.version)
        && Able::has(able.checksum, headers.version)
        && !headers.tagged;
    if by_backend {
        let sum = headers.pseudo_sum(head.known(), headers.transport_length());
        let field = headers.checksum_field().ok_or(Refusal::Headers)?;
        set_word(&mut head.bytes, field, sum.folded());
        return Ok(Prepared {
            checksum: Checksum::Blank(headers.version),
            gso: Some((headers.version, mss)),
            segments: None,
            frames,
            header,
        });
    }
    let segmenter = Segmenter::new(&headers, head.changed(), payload, mss);
    Ok(Prepared {
        checksum: Checksum::Done,
        gso: None,
        segments: Some(segmenter.ok_or(Refusal::Headers)?),
        frames,
        header,
    })
}

/// As [`checksum`]; all TCP options stay among the replaced bytes.
fn checksum_of_large(
    head: &mut Head,
    length: usize,
    headers: &Headers,
    able: Able,
) -> Result<Checksum, Refusal> {
    let all = head.length;
    let checksum = checksum(head, length, headers, able)?;
    head.replace(all);
    Ok(checksum)
}
