//! What a list asks for beside its frames, and how a frame goes out because of it.

use ndis::Status;
use ndis::chain::Nbl;
use ndis::oob::{self, IpVersion as NdisIp};
use ndis_sys as sys;
use netfront_core::tx::TxChecksum;
use netif::extra::{Gso, GsoKind};
use netif::features::Features;
use nt::irql::AtMostDispatch;
use offload::tx::{self, Able, Checksum, Head, LargeSend, Request};
use offload::{HEAD_BYTES, IpVersion};

use super::frame::FrameBytes;
use crate::vlan::{TAG_BYTES, VlanSettings};

/// Longest frame that the ring can carry.
const LONGEST: u32 = 0xFFFF;

/// What the frames of a list ask for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    tag: Option<u16>,
    request: Request,
    large: Option<oob::LargeSend>,
}

/// What there is to hold a frame against.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Large sends that were on when the list was handed over: IPv4, IPv6.
    pub(super) large_sends: [bool; 2],
    /// What the backend does.
    pub(super) able: Able,
    /// Longest frame without tag.
    pub(super) max_frame: u32,
}

/// A frame, or a segment of one, that is ready to go out behind its [`Head`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Ready {
    /// The sender's first byte behind the head.
    pub(super) from: u32,
    /// Bytes from there on.
    pub(super) body: u32,
    pub(super) checksum: TxChecksum,
    pub(super) gso: Option<Gso>,
    /// Frames that reach the wire, and the headers each but the first adds.
    pub(super) frames: u32,
    pub(super) header: u32,
    /// Segments follow.
    pub(super) more: bool,
}

/// What a backend does for frames.
pub(crate) fn able(backend: Features) -> Able {
    let v4 = backend.has(Features::IPV4_CSUM);
    let v6 = backend.has(Features::IPV6_CSUM);
    let several = backend.has(Features::SG);
    Able {
        checksum: [v4, v6],
        gso: [
            v4 && several && backend.has(Features::GSO_TCPV4),
            v6 && several && backend.has(Features::GSO_TCPV6),
        ],
    }
}

/// Makes the large-send slot of a list say what it must on completion.
pub(super) fn large_send_done(list: &mut Nbl) {
    let slot = list.info(sys::TcpLargeSendNetBufferListInfo);
    if let Some(request) = oob::large_send(slot) {
        let done = oob::large_send_complete(request, 0);
        list.set_info(sys::TcpLargeSendNetBufferListInfo, done);
    }
}

impl Asked {
    /// Reads a list's slots.
    pub(super) fn of(list: &Nbl, vlan: VlanSettings) -> Self {
        let checksum = oob::tx_checksum(list.info(sys::TcpIpChecksumNetBufferListInfo));
        let large = oob::large_send(list.info(sys::TcpLargeSendNetBufferListInfo));
        let request = Request {
            ip: checksum.is_some_and(|asked| asked.ip_header),
            tcp: checksum.is_some_and(|asked| asked.tcp),
            udp: checksum.is_some_and(|asked| asked.udp),
            large_send: large.map(|large| LargeSend {
                mss: large.mss,
                tcp_header: large.tcp_header_offset,
            }),
        };
        Self {
            tag: vlan.outgoing(list.info(sys::Ieee8021QNetBufferListInfo)),
            request,
            large,
        }
    }

    /// Whether its frame may be longer than the wire's.
    pub(super) fn is_large(&self) -> bool {
        self.large.is_some()
    }

    fn asks_for_nothing(&self) -> bool {
        let Request { ip, tcp, udp, .. } = self.request;
        self.tag.is_none() && !self.is_large() && !(ip || tcp || udp)
    }

    /// Whether a large send may be asked for. One that was handed over before they were turned off may.
    fn is_allowed(&self, [v4, v6]: [bool; 2]) -> bool {
        self.large.is_none_or(|large| {
            large.v2
                && match large.ip {
                    NdisIp::V4 => v4,
                    NdisIp::V6 => v6,
                }
        })
    }

    /// Prepares a frame, or its segment number `segment`.
    pub(super) fn prepare(
        &self,
        frame: &FrameBytes<'_>,
        head: &mut Head,
        segment: u32,
        limits: &Limits,
        irql: &AtMostDispatch<'_>,
    ) -> Result<Ready, Status> {
        let mut ready = Ready {
            from: 0,
            body: frame.length,
            checksum: TxChecksum::Complete,
            gso: None,
            frames: 1,
            header: 0,
            more: false,
        };
        if self.asks_for_nothing() {
            return Ok(ready);
        }
        if !self.is_allowed(limits.large_sends) {
            return Err(Status::FAILURE);
        }
        let known = usize::try_from(frame.length).unwrap_or(HEAD_BYTES);
        let place = head.fill(known);
        frame.first(place, irql).map_err(|_| Status::RESOURCES)?;
        let mut length = frame.length;
        if let Some(tag) = self.tag {
            head.insert_tag(tag);
            length = length.saturating_add(TAG_BYTES);
        }
        if length > LONGEST {
            return Err(Status::INVALID_LENGTH);
        }
        let total = usize::try_from(length).map_err(|_| Status::FAILURE)?;
        let prepared =
            tx::prepare(head, total, self.request, limits.able).map_err(|_| Status::FAILURE)?;
        ready.from = u32::try_from(head.replaced()).map_err(|_| Status::FAILURE)?;
        ready.body = frame.length.saturating_sub(ready.from);
        (ready.frames, ready.header) = (prepared.frames, prepared.header);
        let tag = u32::try_from(head.length()).map_or(0, |ours| ours.saturating_sub(ready.from));
        let longest = limits.max_frame.saturating_add(tag);
        if let Some(segmenter) = prepared.segments {
            let part = segmenter.segment(segment).ok_or(Status::FAILURE)?;
            if prepared.header.saturating_add(part.length) > longest {
                return Err(Status::INVALID_LENGTH);
            }
            head.write_segment(&segmenter, segment);
            ready.from = ready.from.saturating_add(part.from);
            ready.body = part.length;
            ready.frames = 1;
            ready.more = segment.saturating_add(1) < segmenter.count();
            let compute = Checksum::Compute {
                from: segmenter.transport(),
                to: segmenter.header().saturating_add(part.length as usize),
                field: segmenter.checksum_field(),
                never_zero: false,
            };
            return self.finish(frame, head, compute, ready, irql);
        }
        if let Some((version, mss)) = prepared.gso {
            if prepared.header.saturating_add(mss.into()) > longest {
                return Err(Status::INVALID_LENGTH);
            }
            let kind = match version {
                IpVersion::V4 => GsoKind::TcpV4,
                IpVersion::V6 => GsoKind::TcpV6,
            };
            ready.gso = Some(Gso { mss, kind });
        } else if length > longest {
            return Err(Status::INVALID_LENGTH);
        }
        self.finish(frame, head, prepared.checksum, ready, irql)
    }

    /// Computes a checksum that is left to us.
    #[expect(clippy::unused_self, reason = "a step of `prepare`")]
    fn finish(
        &self,
        frame: &FrameBytes<'_>,
        head: &mut Head,
        checksum: Checksum,
        mut ready: Ready,
        irql: &AtMostDispatch<'_>,
    ) -> Result<Ready, Status> {
        match checksum {
            Checksum::Done => {}
            Checksum::Blank(IpVersion::V4) => ready.checksum = TxChecksum::BlankIpv4,
            Checksum::Blank(IpVersion::V6) => ready.checksum = TxChecksum::BlankIpv6,
            Checksum::Compute {
                from,
                to,
                field,
                never_zero,
            } => {
                let bytes = frame.with_head(head.changed(), ready.from, ready.body);
                let sum = bytes.sum(from, to, irql).map_err(|_| Status::RESOURCES)?;
                head.set_checksum(field, Checksum::value(never_zero, sum));
            }
        }
        Ok(ready)
    }
}
