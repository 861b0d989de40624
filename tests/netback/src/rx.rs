//! RX: frames for the guest, into the pages it posted (2.2).

use xen_abi::netif::{
    ExtraType, NETRXF_CSUM_BLANK, NETRXF_DATA_VALIDATED, NETRXF_EXTRA_INFO, NETRXF_MORE_DATA,
    XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ, XEN_NETIF_EXTRA_FLAG_MORE,
};

use crate::config::Config;
use crate::frame::{L3, complete_checksum, parse};
use crate::hash::kernel_pick;
use crate::host::{Host, SharedPage};
use crate::hostile::Attack;
use crate::queue::Waiting;
use crate::rule::Rule;
use crate::segment::segment;
use crate::vif::Netback;
use crate::wire::{FrameMeta, Gso, RxShape, Wire};

/// Packets of one queue, and frames of the wire, in one poll.
const BATCH: u32 = 64;
const PAGE: usize = 4096;

/// The shape of a frame whose checksum is not what the network said any more.
const fn keep_slots(shape: RxShape) -> RxShape {
    RxShape {
        checksum_flags: None,
        ..shape
    }
}

impl<P: SharedPage> Netback<P> {
    /// Takes frames from the network and queues them.
    pub(crate) fn rx_from_wire<W: Wire + ?Sized>(&mut self, wire: &mut W) -> bool {
        for n in 0..BATCH {
            let Some((frame, meta)) = wire.to_guest() else {
                return n > 0;
            };
            self.accept(frame, meta);
        }
        true
    }

    /// A frame at the door: may it enter, and in which form?
    fn accept(&mut self, mut frame: Vec<u8>, mut meta: FrameMeta) {
        if !self.carrier || self.disabled || self.closing || self.queues.is_empty() {
            self.counters.rx_dropped_no_carrier += 1;
            return;
        }
        let multicast = frame.first().is_some_and(|b| b & 1 != 0) && !frame.starts_with(&[0xFF; 6]);
        if self.multicast_control && multicast && !self.mcast.iter().any(|a| frame.starts_with(a)) {
            self.counters.rx_dropped_multicast += 1;
            return;
        }
        if let Some(gso) = meta.gso.filter(|gso| !self.takes_gso(*gso)) {
            let plain = FrameMeta {
                csum_blank: false,
                data_validated: true,
                gso: None,
                shape: meta.shape.map(keep_slots),
                ..meta
            };
            match segment(&frame, gso) {
                Some(parts) => parts.into_iter().for_each(|part| self.enqueue(part, plain)),
                None => self.counters.rx_dropped_too_long += 1,
            }
            return;
        }
        if meta.csum_blank && !self.takes_blank(&frame) {
            meta.csum_blank = false;
            meta.shape = meta.shape.map(keep_slots);
            meta.data_validated = complete_checksum(&mut frame).is_ok();
        }
        self.enqueue(frame, meta);
    }

    fn takes_gso(&self, gso: Gso) -> bool {
        let asked = match gso.kind {
            xen_abi::netif::GsoType::TCPV4 => self.peer.gso_tcpv4,
            xen_abi::netif::GsoType::TCPV6 => self.peer.gso_tcpv6,
            _ => false,
        };
        asked && self.peer.sg && self.config.rx_gso
    }

    fn takes_blank(&self, frame: &[u8]) -> bool {
        self.config.rx_csum_flags
            && match parse(frame).map(|h| h.l3) {
                Some(L3::V4) => !self.peer.no_csum,
                Some(L3::V6) => self.peer.ipv6_csum,
                None => false,
            }
    }

    /// Longest frame that goes out, bytes.
    fn longest(&self, frame: &[u8]) -> usize {
        if self.config.rx_offset > 0 {
            return PAGE - usize::from(self.config.rx_offset);
        }
        if self.peer.sg {
            return 0xFFFF;
        }
        let vlan = frame.get(12..14) == Some(&[0x81, 0]);
        1514 + if vlan { 4 } else { 0 }
    }

    fn enqueue(&mut self, frame: Vec<u8>, meta: FrameMeta) {
        if frame.len() > self.longest(&frame) {
            self.counters.rx_dropped_too_long += 1;
            return;
        }
        let queues = self.queues.len() as u32;
        let toeplitz = self.hash.algorithm == XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ;
        // With one queue Linux's selection hook is not called (2.4).
        let hash = meta.hash.or_else(|| {
            (queues > 1 && toeplitz)
                .then(|| self.hash.hash(&frame))
                .flatten()
        });
        let chosen = match (queues > 1, toeplitz) {
            (false, _) => 0,
            (true, false) => kernel_pick(&frame) % queues,
            (true, true) => self.hash.queue(hash.map_or(0, |h| h.value), queues),
        };
        let chosen = if chosen < queues { chosen as usize } else { 0 };
        let expires_ns = self.now_ns.saturating_add(self.rx_drain_ns);
        let queue = &mut self.queues[chosen];
        if queue.backlog_bytes >= Config::BACKLOG_BYTES {
            self.counters.rx_dropped_queue_full += 1;
            return;
        }
        queue.backlog_bytes += frame.len();
        queue.rx_wake = true;
        queue.backlog.push_back(Waiting {
            frame,
            meta,
            hash,
            expires_ns,
        });
    }

    /// Serves one queue: frames that fit, stall detection, expiry.
    pub(crate) fn rx_action<H: Host<Page = P>>(&mut self, host: &mut H, q: usize) -> bool {
        if self.disabled || self.closing || !self.rx_due(q) {
            return false;
        }
        self.queues[q].rx_wake = false;
        let mut served = 0;
        while let Some(needed) = self.queues[q].backlog.front().map(Waiting::slots_needed) {
            if served == BATCH {
                self.queues[q].rx_wake = true;
                break;
            }
            match self.queues[q].rx.has_or_arm(needed) {
                Ok(true) => {}
                Ok(false) => break,
                Err(over) => {
                    self.queues[q].rx_broken = true;
                    self.broken(q as u16, Rule::RxRingOverflow(over.0));
                    break;
                }
            }
            let Some(waiting) = self.queues[q].backlog.pop_front() else {
                break;
            };
            self.queues[q].backlog_bytes -= waiting.frame.len();
            self.emit(host, q, &waiting);
            served += 1;
        }
        let stalled = self.check_stall(q);
        let expired = self.drop_expired(q);
        let queue = &mut self.queues[q];
        if served > 0 && queue.rx.push() {
            host.notify(queue.rx_port_number());
            self.counters.rx_notifies += 1;
        }
        served > 0 || stalled || expired
    }

    /// Woken, or a timer ran out.
    fn rx_due(&self, q: usize) -> bool {
        let queue = &self.queues[q];
        let expired = queue.backlog.front().map(|w| w.expires_ns);
        let stall = queue.last_rx_ns.saturating_add(self.rx_stall_ns);
        let waits = self.config.stall_without_request || !queue.backlog.is_empty();
        !queue.rx_broken
            && (queue.rx_wake
                || expired.is_some_and(|at| at <= self.now_ns)
                || self.rx_stall_ns > 0 && !queue.stalled && waits && stall < self.now_ns)
    }

    fn check_stall(&mut self, q: usize) -> bool {
        if self.rx_stall_ns == 0 {
            return false;
        }
        let needed = if self.config.stall_without_request {
            1
        } else {
            let head = self.queues[q].backlog.front();
            head.map_or(0, Waiting::slots_needed)
        };
        let now = self.now_ns;
        let queue = &mut self.queues[q];
        let enough = queue.rx.published().is_ok_and(|slots| slots >= needed);
        if !queue.stalled && !enough && now > queue.last_rx_ns.saturating_add(self.rx_stall_ns) {
            queue.stalled = true;
            if self.stalled_queues == 0 {
                self.carrier = false;
                self.counters.carrier_off += 1;
            }
            self.stalled_queues += 1;
            return true;
        }
        if queue.stalled && enough {
            queue.stalled = false;
            queue.last_rx_ns = now;
            self.stalled_queues = self.stalled_queues.saturating_sub(1);
            if self.stalled_queues == 0 {
                self.carrier = true;
            }
            return true;
        }
        false
    }

    fn drop_expired(&mut self, q: usize) -> bool {
        let queue = &mut self.queues[q];
        let before = queue.backlog.len();
        while let Some(head) = queue.backlog.front()
            && head.expires_ns <= self.now_ns
        {
            queue.backlog_bytes -= head.frame.len();
            queue.backlog.pop_front();
        }
        let dropped = before - queue.backlog.len();
        self.counters.rx_dropped_expired += dropped as u64;
        // What is left may need fewer slots.
        queue.rx_wake |= dropped > 0;
        dropped > 0
    }

    /// Flags of the first slot, and the extras.
    fn dress(&mut self, waiting: &Waiting) -> (u16, Vec<[u8; 8]>) {
        let meta = &waiting.meta;
        let mut flags = 0;
        let bare = meta.gso.is_some() && self.config.rx_gso_without_flags;
        if self.config.rx_csum_flags && !bare {
            if meta.csum_blank {
                flags |= NETRXF_CSUM_BLANK | NETRXF_DATA_VALIDATED;
            } else if meta.data_validated {
                flags |= NETRXF_DATA_VALIDATED;
            }
        }
        if let Some(chosen) = meta.shape.and_then(|shape| shape.checksum_flags) {
            flags = chosen;
        }
        let mut extras = Vec::new();
        if let Some(gso) = meta.gso {
            let [low, high] = gso.size.to_le_bytes();
            extras.push([ExtraType::GSO.0, 0, low, high, gso.kind.0, 0, 0, 0]);
            self.counters.rx_gso_packets += 1;
        }
        if let Some(hash) = waiting.hash {
            let [a, b, c, d] = hash.value.to_le_bytes();
            let algorithm = XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ as u8;
            extras.push([ExtraType::HASH.0, 0, hash.hash_type, algorithm, a, b, c, d]);
        }
        if meta.shape.is_some_and(|shape| shape.seed >> 32 & 1 == 1) {
            extras.reverse();
        }
        let count = extras.len();
        for extra in extras.iter_mut().take(count.saturating_sub(1)) {
            extra[1] = XEN_NETIF_EXTRA_FLAG_MORE;
        }
        if let Some(fake) = self.hostile.take(|a| match a {
            Attack::RxExtra(extra) => Some(extra),
            _ => None,
        }) {
            extras = vec![fake];
        }
        if !extras.is_empty() {
            flags |= NETRXF_EXTRA_INFO;
        }
        (flags, extras)
    }

    /// One packet: first data slot, extras, other data slots.
    fn emit<H: Host<Page = P>>(&mut self, host: &mut H, q: usize, waiting: &Waiting) {
        let (first_flags, extras) = self.dress(waiting);
        let mut rest = waiting.frame.as_slice();
        let slots = self.slots_of(waiting);
        let count = slots.len();
        for (n, (offset, length)) in slots.into_iter().enumerate() {
            let mut flags = if n == 0 { first_flags } else { 0 };
            if n + 1 < count {
                flags |= NETRXF_MORE_DATA;
            }
            let (piece, later) = rest.split_at(length.min(rest.len()));
            rest = later;
            self.data_slot(host, q, (offset, piece), flags);
            if n > 0 {
                continue;
            }
            for extra in &extras {
                self.extra_slot(q, *extra);
            }
        }
        if self.hostile.take_one(Attack::RxExtrasEndless) {
            self.endless(host, q, true);
        }
        if self.hostile.take_one(Attack::RxMoreEndless) {
            self.endless(host, q, false);
        }
        self.counters.rx_packets += 1;
        self.queues[q].traffic.rx_packets += 1;
        self.counters.rx_bytes += waiting.frame.len() as u64;
        self.queues[q].last_rx_ns = self.now_ns;
    }

    /// Offset and length of each data slot.
    fn slots_of(&self, waiting: &Waiting) -> Vec<(u16, usize)> {
        if let Some(shape) = waiting.meta.shape {
            return shape.slots(waiting.frame.len());
        }
        let offset = self.config.rx_offset;
        let chunk = PAGE - usize::from(offset);
        let pieces = waiting.frame.chunks(chunk);
        pieces.map(|piece| (offset, piece.len())).collect()
    }

    fn data_slot<H: Host<Page = P>>(
        &mut self,
        host: &mut H,
        q: usize,
        (mut offset, piece): (u16, &[u8]),
        flags: u16,
    ) {
        let queue = &self.queues[q];
        let [id_pad, gref] = queue.rx.words::<2>(queue.rx.req_cons);
        if id_pad >> 16 != 0 {
            self.broken(q as u16, Rule::RxPad((id_pad >> 16) as u16));
        }
        let mut status = piece.len() as i16;
        let guest = self.config.frontend;
        if let Some((page, false)) = self.queues[q].grefs.get(&gref) {
            page.write(usize::from(offset), piece);
        } else if let Err(error) = host.copy_to(guest, gref, usize::from(offset), piece) {
            status = error.0;
            self.counters.rx_grant_errors += 1;
            self.broken(q as u16, Rule::RxGrant(error.0));
        }
        let mut id = id_pad as u16;
        let mut flags = flags;
        let tricks = |a| {
            matches!(
                a,
                Attack::RxId(_) | Attack::RxOffset(_) | Attack::RxStatus(_) | Attack::RxFlags(_)
            )
        };
        for attack in self.hostile.take_each(tricks) {
            match attack {
                Attack::RxId(fake) => id = fake,
                Attack::RxOffset(fake) => offset = fake,
                Attack::RxStatus(fake) => status = fake,
                Attack::RxFlags(more) => flags |= more,
                _ => {}
            }
        }
        let low = u32::from(id) | u32::from(offset) << 16;
        let high = u32::from(flags) | u32::from(status as u16) << 16;
        self.put_rx(q, [low, high]);
    }

    fn extra_slot(&mut self, q: usize, extra: [u8; 8]) {
        self.counters.rx_extras += 1;
        let words = core::array::from_fn(|n| {
            let at = n * 4;
            u32::from_le_bytes([extra[at], extra[at + 1], extra[at + 2], extra[at + 3]])
        });
        self.put_rx(q, words);
    }

    /// A response at its request's place.
    fn put_rx(&mut self, q: usize, words: [u32; 2]) {
        let ring = &mut self.queues[q].rx;
        ring.put_words(ring.req_cons, words);
        ring.req_cons = ring.req_cons.wrapping_add(1);
        ring.rsp_prod_pvt = ring.req_cons;
        self.counters.rx_slots += 1;
    }

    /// Uses up every posted request for a packet without end.
    fn endless<H: Host<Page = P>>(&mut self, host: &mut H, q: usize, extras: bool) {
        let left = self.queues[q].rx.published().unwrap_or(0);
        let ring = &mut self.queues[q].rx;
        // The packet's last slot announces more than there is.
        let last = ring.req_cons.wrapping_sub(1);
        let [low, high] = ring.words::<2>(last);
        let flag = if extras {
            NETRXF_EXTRA_INFO
        } else {
            NETRXF_MORE_DATA
        };
        ring.put_words(last, [low, high | u32::from(flag)]);
        for _ in 0..left {
            if extras {
                let more = XEN_NETIF_EXTRA_FLAG_MORE;
                self.extra_slot(q, [ExtraType::GSO.0, more, 0xB4, 5, 1, 0, 0, 0]);
            } else {
                self.data_slot(host, q, (0, &[0x55; 64]), NETRXF_MORE_DATA);
            }
        }
    }
}
