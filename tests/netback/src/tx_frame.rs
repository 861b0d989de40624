//! TX: from a well-formed packet's slots to a frame on the wire (2.3).

use xen_abi::netif::{
    GsoType, NETIF_RSP_ERROR, NETIF_RSP_OKAY, NETTXF_CSUM_BLANK, NETTXF_DATA_VALIDATED,
};

use crate::config::ResponseMode;
use crate::frame::{L3, Sum, blank_field, parse};
use crate::host::{Host, SharedPage};
use crate::queue::Pending;
use crate::rule::Rule;
use crate::tx::{LEGACY_SLOTS_MAX, Packet};
use crate::vif::Netback;
use crate::wire::{FrameHash, FrameMeta, Gso, Wire};

/// Bytes that are copied rather than mapped.
const COPY_LEN: usize = 128;
/// Multicast addresses kept.
const MCAST_MAX: usize = 64;

/// How a slot's bytes were reached, for answering it.
struct Fetched<P> {
    page: Option<P>,
    copied: bool,
    content: Option<(u16, u16, u64)>,
}

impl<P: SharedPage> Netback<P> {
    /// A well-formed packet: multicast message or frame.
    pub(crate) fn serve<H, W>(&mut self, host: &mut H, wire: &mut W, q: usize, packet: &Packet)
    where
        H: Host<Page = P>,
        W: Wire + ?Sized,
    {
        if let Some(addr) = packet.extras.mcast_add {
            let full = self.mcast.len() >= MCAST_MAX;
            if full {
                self.broken(q as u16, Rule::TxMcastFull);
            } else {
                self.mcast.push(addr);
            }
            let status = if full {
                NETIF_RSP_ERROR
            } else {
                NETIF_RSP_OKAY
            };
            return self.answer_all(q, packet, status);
        }
        if let Some(addr) = packet.extras.mcast_del {
            if let Some(at) = self.mcast.iter().position(|&a| a == addr) {
                self.mcast.remove(at);
            }
            return self.answer_all(q, packet, NETIF_RSP_OKAY);
        }
        match self.fetch(host, q, packet) {
            Err(status) => {
                self.broken(q as u16, Rule::TxGrant(status));
                self.counters.tx_errors += 1;
                self.answer_all(q, packet, NETIF_RSP_ERROR);
            }
            Ok((frame, fetched)) => {
                self.deliver(wire, q, packet, frame);
                let extras = packet.extras.count;
                for (n, (slot, got)) in packet.slots.iter().zip(fetched).enumerate() {
                    let pending = Pending {
                        id: slot.id,
                        extras: if n == 0 { extras } else { 0 },
                        status: NETIF_RSP_OKAY,
                        page: got.page,
                        content: got.content,
                        due_ns: 0,
                    };
                    self.answer(q, pending, got.copied);
                }
            }
        }
    }

    /// Copies or maps every slot and gathers the frame; on failure everything is unmapped.
    fn fetch<H: Host<Page = P>>(
        &mut self,
        host: &mut H,
        q: usize,
        packet: &Packet,
    ) -> Result<(Vec<u8>, Vec<Fetched<P>>), i16> {
        let total: usize = packet.slots.iter().map(|s| usize::from(s.size)).sum();
        let additional = packet.slots.len() as u32 - 1;
        let mut copy = COPY_LEN.min(total);
        if additional >= LEGACY_SLOTS_MAX - 1 {
            copy = copy.max(usize::from(packet.slots[0].size));
        }
        if additional >= LEGACY_SLOTS_MAX {
            self.counters.tx_frag_overflow += 1;
            self.broken(q as u16, Rule::TxSlotsSlow);
        }
        let guest = self.config.frontend;
        let mut frame = Vec::with_capacity(total);
        let mut fetched = Vec::with_capacity(packet.slots.len());
        let mut failed = None;
        for slot in &packet.slots {
            let (offset, size) = (usize::from(slot.offset), usize::from(slot.size));
            let at = frame.len();
            frame.resize(at + size, 0);
            let bytes = &mut frame[at..];
            let covered = size.min(copy);
            copy -= covered;
            let mut got = Fetched {
                page: None,
                copied: true,
                content: None,
            };
            if let Some((page, _)) = self.queues[q].grefs.get(&slot.gref) {
                self.counters.tx_persistent_uses += 1;
                page.read(offset, bytes);
            } else if covered == size {
                self.counters.tx_grant_copies += 1;
                if size > 0
                    && let Err(status) = host.copy_from(guest, slot.gref, offset, bytes)
                {
                    failed = Some(status.0);
                }
            } else {
                self.counters.tx_grant_maps += 1;
                match host.map(guest, slot.gref, true) {
                    Ok(page) => {
                        page.read(offset, bytes);
                        got.page = Some(page);
                        got.copied = false;
                        if self.responses != ResponseMode::Immediate {
                            got.content = Some((slot.offset, slot.size, digest(bytes)));
                        }
                    }
                    Err(status) => failed = Some(status.0),
                }
            }
            fetched.push(got);
        }
        let Some(status) = failed else {
            return Ok((frame, fetched));
        };
        for page in fetched.into_iter().filter_map(|got| got.page) {
            let _ = host.unmap(page);
        }
        Err(status)
    }

    /// Hands a frame to the network, or loses it as Linux's stack would.
    fn deliver<W: Wire + ?Sized>(
        &mut self,
        wire: &mut W,
        q: usize,
        packet: &Packet,
        mut frame: Vec<u8>,
    ) {
        let flags = packet.slots[0].flags;
        let gso = packet.extras.gso.map(|b| Gso {
            size: u16::from_le_bytes([b[2], b[3]]),
            kind: GsoType(b[4]),
        });
        let mut csum_blank = flags & NETTXF_CSUM_BLANK != 0;
        if let Some(gso) = gso {
            self.counters.tx_gso_packets += 1;
            self.check_gso(q, &frame, gso);
            if !csum_blank {
                self.broken(q as u16, Rule::TxGsoCsum);
                self.counters.rx_gso_checksum_fixup += 1;
                csum_blank = true;
                if let Some((headers, field)) = blank_field(&frame) {
                    let sum = headers.pseudo_sum(&frame, headers.l4_len);
                    frame[field..field + 2].copy_from_slice(&sum.to_be_bytes());
                }
            }
        }
        if csum_blank {
            self.counters.tx_csum_blank += 1;
            if !self.check_blank(q, &frame) {
                self.broken(q as u16, Rule::TxCsumUnparsable);
                self.counters.tx_errors += 1;
                return;
            }
        }
        let hash = packet.extras.hash.and_then(|b| {
            let value = u32::from_le_bytes([b[4], b[5], b[6], b[7]]);
            if b[2] > 3 {
                self.broken(q as u16, Rule::TxHashType(b[2]));
                return None;
            }
            Some(FrameHash {
                hash_type: b[2],
                value,
            })
        });
        self.counters.tx_packets += 1;
        self.queues[q].traffic.tx_packets += 1;
        self.counters.tx_bytes += frame.len() as u64;
        self.counters.tx_slots += packet.slots.len() as u64;
        let meta = FrameMeta {
            csum_blank,
            data_validated: flags & NETTXF_DATA_VALIDATED != 0,
            gso,
            hash,
            queue: self.queues[q].id,
            shape: None,
        };
        wire.from_guest(&frame, meta);
    }

    /// Whether the checksum can be completed; reports a field that does not hold the pseudo-header sum.
    fn check_blank(&mut self, q: usize, frame: &[u8]) -> bool {
        let Some((headers, field)) = blank_field(frame) else {
            return false;
        };
        let features = &self.config.features;
        let offered = match headers.l3 {
            L3::V4 => !features.no_csum_offload,
            L3::V6 => features.ipv6_csum_offload,
        };
        if !offered {
            self.broken(q as u16, Rule::TxCsumNotOffered);
        }
        let wanted = headers.pseudo_sum(frame, headers.l4_len) % 0xFFFF;
        let found = u16::from_be_bytes([frame[field], frame[field + 1]]) % 0xFFFF;
        if wanted != found {
            self.broken(q as u16, Rule::TxPseudoHeader);
        }
        true
    }

    fn check_gso(&mut self, q: usize, frame: &[u8], gso: Gso) {
        let features = &self.config.features;
        let offered = match gso.kind {
            GsoType::TCPV4 => features.gso_tcpv4,
            _ => features.gso_tcpv6,
        };
        if !offered {
            self.broken(q as u16, Rule::TxGsoNotOffered(gso.kind.0));
        }
        let good = parse(frame).is_some_and(|h| {
            let kind = match h.l3 {
                L3::V4 => GsoType::TCPV4,
                L3::V6 => GsoType::TCPV6,
            };
            let mut sum = Sum::default();
            if h.l3 == L3::V4 {
                sum.add(&frame[h.ip..h.ip + usize::from(frame[h.ip] & 15) * 4]);
            }
            let header_good = h.l3 == L3::V6 || sum.fold() == 0xFFFF;
            kind == gso.kind && header_good && h.protocol == 6 && h.l4 + h.l4_len == frame.len()
        });
        if !good {
            self.broken(q as u16, Rule::TxGsoHeader);
        }
    }
}

/// FNV-1a, 64 bits.
pub(crate) fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |h, &b| {
        (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01B3)
    })
}
