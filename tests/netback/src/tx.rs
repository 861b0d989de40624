//! TX: taking packets from the ring, by Linux's rules (2.3).

use xen_abi::netif::{
    ExtraType, NETIF_RSP_ERROR, NETTXF_CSUM_BLANK, NETTXF_DATA_VALIDATED, NETTXF_EXTRA_INFO,
    NETTXF_MORE_DATA, XEN_NETIF_EXTRA_FLAG_MORE,
};

use crate::config::ExtraPolicy;
use crate::host::{Host, SharedPage};
use crate::queue::Pending;
use crate::rule::{Rule, Severity};
use crate::vif::Netback;
use crate::wire::Wire;

/// Packets of one queue in one poll.
const BUDGET: u32 = 64;
/// Additional slots from which a packet is dropped.
pub(crate) const LEGACY_SLOTS_MAX: u32 = 18;
const PAGE: u32 = 4096;
const ETHERNET_HEADER: u16 = 14;

/// A data slot; `size` is its own length, the first one's too once the packet is parsed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot {
    pub(crate) gref: u32,
    pub(crate) offset: u16,
    pub(crate) flags: u16,
    pub(crate) id: u16,
    pub(crate) size: u16,
}

impl Slot {
    fn from_words([gref, offset_flags, id_size]: [u32; 3]) -> Self {
        Self {
            gref,
            offset: offset_flags as u16,
            flags: (offset_flags >> 16) as u16,
            id: id_size as u16,
            size: (id_size >> 16) as u16,
        }
    }

    fn leaves_page(&self) -> Option<Rule> {
        (u32::from(self.offset) + u32::from(self.size) > PAGE)
            .then_some(Rule::TxPageCross(self.offset, self.size))
    }
}

/// The last extra of each type, 8 bytes each.
#[derive(Debug, Default)]
pub(crate) struct Extras {
    pub(crate) count: u32,
    pub(crate) gso: Option<[u8; 8]>,
    pub(crate) mcast_add: Option<[u8; 6]>,
    pub(crate) mcast_del: Option<[u8; 6]>,
    pub(crate) hash: Option<[u8; 8]>,
    /// An extra for which this backend drops the packet.
    pub(crate) refused: Option<u8>,
}

#[derive(Debug)]
pub(crate) struct Packet {
    pub(crate) slots: Vec<Slot>,
    pub(crate) extras: Extras,
}

/// What stands at the ring's head.
enum Head {
    Empty,
    /// The rate limit holds it back.
    Wait,
    Packet(Packet),
    /// Drop or fatal, by the rule; the slots consumed so far.
    Bad(Rule, Packet),
}

impl<P: SharedPage> Netback<P> {
    /// Serves the TX ring of a queue that was notified.
    pub(crate) fn tx_action<H, W>(&mut self, host: &mut H, wire: &mut W, q: usize) -> bool
    where
        H: Host<Page = P>,
        W: Wire + ?Sized,
    {
        let mut worked = false;
        for _ in 0..BUDGET {
            if self.disabled || self.closing || !self.queues[q].tx_scheduled {
                break;
            }
            match self.take_head(q) {
                Head::Empty => self.queues[q].tx_scheduled = self.queues[q].tx.final_check(),
                Head::Wait => break,
                Head::Packet(packet) => {
                    worked = true;
                    self.serve(host, wire, q, &packet);
                }
                Head::Bad(rule, packet) => {
                    worked = true;
                    self.refuse(q, rule, &packet);
                }
            }
        }
        worked
    }

    /// A fatal rule ends the vif; another one the packet.
    fn refuse(&mut self, q: usize, rule: Rule, packet: &Packet) {
        let id = self.queues[q].id;
        self.broken(id, rule);
        let hopeless = matches!(rule, Rule::TxRingOverflow(_));
        if rule.severity() == Severity::Fatal && (self.config.fatal_disables || hopeless) {
            self.disabled = true;
            self.carrier = false;
            self.counters.carrier_off += 1;
            return;
        }
        self.counters.tx_errors += 1;
        self.answer_all(q, packet, NETIF_RSP_ERROR);
    }

    pub(crate) fn answer_all(&mut self, q: usize, packet: &Packet, status: i16) {
        for (n, slot) in packet.slots.iter().enumerate() {
            let pending = Pending {
                id: slot.id,
                extras: if n == 0 { packet.extras.count } else { 0 },
                status,
                page: None,
                content: None,
                due_ns: 0,
            };
            self.answer(q, pending, true);
        }
    }

    /// Consumes the next packet's slots.
    fn take_head(&mut self, q: usize) -> Head {
        let none = || Packet {
            slots: Vec::new(),
            extras: Extras::default(),
        };
        let ring = &self.queues[q].tx;
        let available = match ring.unconsumed() {
            Ok(0) => return Head::Empty,
            Ok(available) => available,
            Err(over) => return Head::Bad(Rule::TxRingOverflow(over.0), none()),
        };
        let first = Slot::from_words(ring.words(ring.req_cons));
        if !self.take_credit(q, u64::from(first.size)) {
            return Head::Wait;
        }
        self.queues[q].tx.req_cons = self.queues[q].tx.req_cons.wrapping_add(1);
        let mut packet = Packet {
            slots: vec![first],
            extras: Extras::default(),
        };
        match self.collect(q, &mut packet, available - 1) {
            Ok(()) => Head::Packet(packet),
            Err(rule) => Head::Bad(rule, packet),
        }
    }

    /// Reads extras and later slots, then checks the whole.
    fn collect(&mut self, q: usize, packet: &mut Packet, mut left: u32) -> Result<(), Rule> {
        let first = packet.slots[0];
        self.check_flags(q, &first, true);
        if self.hotplug_watch.is_some() {
            self.broken(q as u16, Rule::TxBeforeConnected);
        }
        if first.flags & NETTXF_EXTRA_INFO != 0 {
            if self.config.extras == ExtraPolicy::Unparsed {
                return Err(Rule::TxExtraRefused(0));
            }
            self.collect_extras(q, &mut packet.extras, &mut left)?;
        }
        let extras = &packet.extras;
        if extras.mcast_add.is_some() || extras.mcast_del.is_some() {
            return Ok(());
        }
        if first.flags & NETTXF_MORE_DATA != 0 {
            if !self.config.multi_slot {
                return Err(Rule::TxMultiSlotRefused);
            }
            self.collect_slots(q, packet, left)?;
        }
        if let Some(extra) = packet.extras.refused {
            return Err(Rule::TxExtraRefused(extra));
        }
        if packet.slots[0].size < ETHERNET_HEADER {
            return Err(Rule::TxFirstSlotShort(packet.slots[0].size));
        }
        if let Some(rule) = packet.slots[0].leaves_page() {
            return Err(rule);
        }
        if u32::from(first.size) > self.config.max_tx_frame {
            return Err(Rule::TxFrameTooLong(u32::from(first.size)));
        }
        match packet.extras.gso {
            Some(gso) if gso[2] == 0 && gso[3] == 0 => Err(Rule::TxGsoSizeZero),
            Some(gso) if !matches!(gso[4], 1 | 2) => Err(Rule::TxGsoType(gso[4])),
            _ => Ok(()),
        }
    }

    fn collect_extras(
        &mut self,
        q: usize,
        extras: &mut Extras,
        left: &mut u32,
    ) -> Result<(), Rule> {
        let mut seen = 0_u32;
        loop {
            if *left == 0 {
                return Err(Rule::TxExtraMissing);
            }
            *left -= 1;
            let ring = &mut self.queues[q].tx;
            let [low, high] = ring.words::<2>(ring.req_cons);
            ring.req_cons = ring.req_cons.wrapping_add(1);
            extras.count += 1;
            self.counters.tx_extras += 1;
            let mut bytes = [0; 8];
            bytes[..4].copy_from_slice(&low.to_le_bytes());
            bytes[4..].copy_from_slice(&high.to_le_bytes());
            let kind = bytes[0];
            match self.config.extras {
                ExtraPolicy::KnownUpTo(most) if kind == 0 || kind > most => {
                    return Err(Rule::TxExtraType(kind));
                }
                ExtraPolicy::KnownUpTo(_) => {}
                ExtraPolicy::OneGso if kind == ExtraType::GSO.0 && extras.count == 1 => {}
                _ => extras.refused = Some(kind),
            }
            if seen & (1 << (kind & 31)) != 0 {
                self.broken(q as u16, Rule::TxExtraDuplicate(kind));
            }
            seen |= 1 << (kind & 31);
            self.keep_extra(q, extras, bytes);
            if bytes[1] & XEN_NETIF_EXTRA_FLAG_MORE == 0 {
                return Ok(());
            }
        }
    }

    fn keep_extra(&mut self, q: usize, extras: &mut Extras, bytes: [u8; 8]) {
        if !matches!(self.config.extras, ExtraPolicy::KnownUpTo(_)) {
            if bytes[0] == ExtraType::GSO.0 {
                extras.gso = Some(bytes);
            }
            return;
        }
        let addr = [bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]];
        let features = &self.config.features;
        match ExtraType(bytes[0]) {
            ExtraType::GSO => extras.gso = Some(bytes),
            ExtraType::HASH => {
                if !features.ctrl_ring || self.ctrl.is_none() {
                    self.broken(q as u16, Rule::TxHashNotOffered);
                }
                extras.hash = Some(bytes);
            }
            kind @ (ExtraType::MCAST_ADD | ExtraType::MCAST_DEL) => {
                if !features.multicast_control || q != 0 {
                    self.broken(q as u16, Rule::TxMcastNotOffered);
                }
                if kind == ExtraType::MCAST_ADD {
                    extras.mcast_add = Some(addr);
                } else {
                    extras.mcast_del = Some(addr);
                }
            }
            _ => self.broken(q as u16, Rule::TxExtraType(bytes[0])),
        }
    }

    /// Linux's `xenvif_count_requests`: the later slots, and the first one's own length.
    fn collect_slots(&mut self, q: usize, packet: &mut Packet, left: u32) -> Result<(), Rule> {
        let mut drop_for = None;
        let mut additional = 0;
        loop {
            if additional >= left {
                return Err(Rule::TxSlotMissing);
            }
            if additional >= self.config.fatal_slots {
                return Err(Rule::TxSlotsMalicious(additional));
            }
            if additional >= LEGACY_SLOTS_MAX && drop_for.is_none() {
                drop_for = Some(Rule::TxTooManySlots(additional + 1));
            }
            let ring = &mut self.queues[q].tx;
            let slot = Slot::from_words(ring.words(ring.req_cons));
            ring.req_cons = ring.req_cons.wrapping_add(1);
            additional += 1;
            packet.slots.push(slot);
            self.check_flags(q, &slot, false);
            let first = &mut packet.slots[0];
            if drop_for.is_none() && slot.size > first.size {
                drop_for = Some(Rule::TxSizeExceedsTotal);
            }
            first.size = first.size.wrapping_sub(slot.size);
            if let Some(rule) = slot.leaves_page() {
                return Err(rule);
            }
            if slot.flags & NETTXF_MORE_DATA == 0 {
                break;
            }
        }
        drop_for.map_or(Ok(()), Err)
    }

    fn check_flags(&mut self, q: usize, slot: &Slot, first: bool) {
        let allowed = if first {
            NETTXF_CSUM_BLANK | NETTXF_DATA_VALIDATED | NETTXF_MORE_DATA | NETTXF_EXTRA_INFO
        } else {
            // Linux's frontend repeats the checksum flags in no later slot, but none reads them there.
            NETTXF_CSUM_BLANK | NETTXF_DATA_VALIDATED | NETTXF_MORE_DATA
        };
        if slot.flags & !allowed != 0 {
            self.broken(q as u16, Rule::TxFlags(slot.flags));
        }
        if !first && slot.size == 0 {
            self.broken(q as u16, Rule::TxZeroSlot);
        }
        if !self.queues[q].in_flight.insert(slot.id) {
            self.broken(q as u16, Rule::TxIdInUse(slot.id));
        }
    }

    fn take_credit(&mut self, q: usize, size: u64) -> bool {
        let Some((bytes, interval_ns)) = self.config.rate else {
            return true;
        };
        let burst = self.burst().max(size);
        let now = self.now_ns;
        let queue = &mut self.queues[q];
        if now >= queue.credit_from_ns.saturating_add(interval_ns) {
            queue.credit_from_ns = now;
            queue.credit = queue.credit.saturating_add(bytes).min(burst);
        }
        if queue.credit < size {
            self.counters.tx_credit_waits += 1;
            return false;
        }
        queue.credit -= size;
        true
    }
}
