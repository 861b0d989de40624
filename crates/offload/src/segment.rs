//! Cutting a large TCP frame into segments: what stands in each segment's headers.
//!
//! | field | segment |
//! |---|---|
//! | sequence number | the first's plus the payload before it |
//! | IPv4 identification | the first's plus its number |
//! | FIN, PSH | in the last only |
//! | CWR | in the first only |
//! | lengths, IPv4 checksum | its own |
//! | TCP checksum | the pseudo-header sum: the shell adds the rest |

use crate::headers::Headers;
use crate::sum::Sum;
use crate::{IpVersion, set_word, word};

const FIN: u8 = 0x01;
const PSH: u8 = 0x08;
const CWR: u8 = 0x80;

/// How a frame is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segmenter {
    headers: Headers,
    /// Bytes of all headers.
    header: usize,
    sequence: u32,
    identification: u16,
    flags: u8,
    payload: u32,
    mss: u16,
}

/// One segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// First byte of its payload in the large frame's payload.
    pub from: u32,
    /// Bytes of payload.
    pub length: u32,
}

impl Segmenter {
    /// For a frame whose headers are `head`, all of them and nothing else, with `payload` bytes
    /// behind them. None when the TCP header is not in `head`, or there is nothing to cut.
    pub fn new(headers: &Headers, head: &[u8], payload: u32, mss: u16) -> Option<Self> {
        let tcp = headers.tcp_length(head)?;
        let header = headers.transport.checked_add(tcp)?;
        if mss == 0 || payload == 0 || header != head.len() {
            return None;
        }
        let at = headers.transport.checked_add(4)?;
        let sequence = head.get(at..)?.first_chunk::<4>()?;
        Some(Self {
            headers: *headers,
            header,
            sequence: u32::from_be_bytes(*sequence),
            identification: word(head, headers.ip.checked_add(4)?)?,
            flags: *head.get(headers.transport.checked_add(13)?)?,
            payload,
            mss,
        })
    }

    /// Number of segments.
    pub fn count(&self) -> u32 {
        self.payload.div_ceil(u32::from(self.mss).max(1))
    }

    /// Bytes of each segment's headers.
    pub fn header(&self) -> usize {
        self.header
    }

    /// Segment number `nth`; none beyond the last.
    pub fn segment(&self, nth: u32) -> Option<Segment> {
        let from = nth.checked_mul(self.mss.into())?;
        let left = self.payload.checked_sub(from).filter(|left| *left > 0)?;
        Some(Segment {
            from,
            length: left.min(self.mss.into()),
        })
    }

    /// Where the transport header begins: the checksum is over the bytes from here on.
    pub fn transport(&self) -> usize {
        self.headers.transport
    }

    /// Place of the TCP checksum.
    pub fn checksum_field(&self) -> usize {
        self.headers.transport.saturating_add(16)
    }

    /// Writes the headers of segment number `nth` over those of another; the checksum field gets
    /// the pseudo-header sum.
    pub fn write(&self, head: &mut [u8], nth: u32) {
        let Some(segment) = self.segment(nth) else {
            return;
        };
        let transport = self.headers.transport;
        let last = nth.saturating_add(1) >= self.count();
        let sequence = self.sequence.wrapping_add(segment.from).to_be_bytes();
        let at = transport.saturating_add(4);
        if let Some(place) = head.get_mut(at..at.saturating_add(4)) {
            place.copy_from_slice(&sequence);
        }
        let mut flags = self.flags;
        if !last {
            flags &= !(FIN | PSH);
        }
        if nth > 0 {
            flags &= !CWR;
        }
        if let Some(place) = head.get_mut(transport.saturating_add(13)) {
            *place = flags;
        }
        let mut headers = self.headers;
        let length = usize::try_from(segment.length).unwrap_or(0);
        // Never longer than the whole, which fits.
        let _fits = headers.set_end(head, self.header.saturating_add(length));
        if headers.version == IpVersion::V4 {
            #[expect(clippy::cast_possible_truncation, reason = "identification wraps")]
            let identification = self.identification.wrapping_add(nth as u16);
            set_word(head, headers.ip.saturating_add(4), identification);
            headers.write_ip_checksum(head);
        }
        let sum = headers.pseudo_sum(head, headers.transport_length());
        set_word(head, self.checksum_field(), sum.folded());
    }

    /// The checksum of a segment: `sum` is over all bytes from [`Segmenter::transport`] on.
    pub fn checksum(sum: Sum) -> u16 {
        sum.checksum()
    }
}
