//! What a frontend can do wrong, and the record of what it did.

/// What follows from breaking a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// The backend works on, but the frontend broke the protocol or wastes work.
    Advice,
    /// The packet vanishes; its slots are answered OKAY.
    SilentDrop,
    /// The packet is dropped; all its slots are answered ERROR.
    Drop,
    /// The connection fails.
    Connect,
    /// Linux disables the vif until it is unplugged.
    Fatal,
}

/// A rule of `netif-and-backends.md`, section 2 (2.3 unless said). Numbers are what was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rule {
    /// `req_prod` is more than a ring ahead of what was consumed.
    TxRingOverflow(u32),
    /// An extra was announced and the next slot is missing.
    TxExtraMissing,
    /// An extra of a type the backend does not know.
    TxExtraType(u8),
    /// Another slot was announced and is missing.
    TxSlotMissing,
    /// More additional slots than the backend takes for an attack.
    TxSlotsMalicious(u32),
    /// A slot leaves its page: offset and size.
    TxPageCross(u16, u16),
    /// Segments of size 0.
    TxGsoSizeZero,
    /// Segmentation of an unknown kind.
    TxGsoType(u8),

    /// More additional slots than 18.
    TxTooManySlots(u32),
    /// A later slot is longer than what remains of the total.
    TxSizeExceedsTotal,
    /// First slot shorter than an Ethernet header.
    TxFirstSlotShort(u16),
    /// A page could not be mapped or copied: the `GNTST_*` number.
    TxGrant(i16),
    /// The frame is longer than this backend takes.
    TxFrameTooLong(u32),
    /// Several slots to a backend without feature-sg.
    TxMultiSlotRefused,
    /// An extra to a backend that takes it for a request or discards the packet.
    TxExtraRefused(u8),

    /// Checksum to be made, but the frame is no unfragmented TCP or UDP packet.
    TxCsumUnparsable,

    /// 19 data slots: Linux copies the whole packet again.
    TxSlotsSlow,
    /// Blank checksum whose field does not hold the pseudo-header sum.
    TxPseudoHeader,
    /// IPv4 `csum_blank` to a backend with feature-no-csum-offload, or IPv6 without feature-ipv6-csum-offload.
    TxCsumNotOffered,
    /// GSO of a kind the backend did not offer.
    TxGsoNotOffered(u8),
    /// GSO without `csum_blank`.
    TxGsoCsum,
    /// GSO frame with wrong IP length or IPv4 header checksum.
    TxGsoHeader,
    /// Two extras of one type.
    TxExtraDuplicate(u8),
    /// HASH extra without feature-ctrl-ring.
    TxHashNotOffered,
    /// HASH extra of unknown type.
    TxHashType(u8),
    /// MCAST extra without feature-multicast-control, or not on queue 0.
    TxMcastNotOffered,
    /// Multicast list full: answered ERROR.
    TxMcastFull,
    /// A later slot of size 0.
    TxZeroSlot,
    /// Undefined bits in a slot's flags, or `extra_info` beyond the first slot.
    TxFlags(u16),
    /// Two slots in flight with the same id.
    TxIdInUse(u16),
    /// Sent before the backend's state in XenStore was Connected (1.7).
    TxBeforeConnected,
    /// A page changed between request and response.
    TxPageChanged(u16),

    /// RX ring: `req_prod` more than a ring ahead.
    RxRingOverflow(u32),
    /// An RX page could not be written: the `GNTST_*` number.
    RxGrant(i16),
    /// An RX request's pad is not zero.
    RxPad(u16),
    /// Control ring: `req_prod` more than a ring ahead.
    CtrlRingOverflow(u32),
    /// A notification that the ring macro did not ask for (2.5): queue, or `u16::MAX` for control.
    NotifyUnasked(u16),
    /// Work was published across `req_event` and no notification came: queue, or `u16::MAX`.
    NotifyMissing(u16),

    /// multi-queue-num-queues is 0 or above the maximum (2.1).
    ConnectQueues(u32),
    /// A ring reference or port is missing or not a number (queue).
    ConnectKeys(u16),
    /// A ring could not be mapped: the `GNTST_*` number.
    ConnectGrant(i16),
    /// A port could not be bound: the error number.
    ConnectPort(i32),
    /// A ring whose producers do not fit.
    ConnectRing,
    /// The control ring could not be attached.
    ConnectCtrl,
    /// request-rx-copy is missing: no feature was read (2.1).
    ConnectNoRxCopy,
    /// feature-rx-notify is missing: the 30 ms drain sticks (2.1).
    ConnectNoRxNotify,
    /// A flat key beside queue directories, or a leftover queue directory (1.6).
    ConnectStaleKeys,
    /// Split ports used though not offered.
    ConnectSplitNotOffered,
    /// Control ring used though not offered.
    ConnectCtrlNotOffered,
    /// xdp-headroom or Reconfiguring was used.
    ConnectXdp,
    /// Keys or state changed in a way the state machine does not know: the state.
    StateUnexpected(u32),
}

impl Rule {
    /// What Linux does when the rule is broken.
    pub fn severity(self) -> Severity {
        match self {
            Self::TxRingOverflow(_)
            | Self::TxExtraMissing
            | Self::TxExtraType(_)
            | Self::TxSlotMissing
            | Self::TxSlotsMalicious(_)
            | Self::TxPageCross(..)
            | Self::TxGsoSizeZero
            | Self::TxGsoType(_) => Severity::Fatal,
            Self::TxTooManySlots(_)
            | Self::TxSizeExceedsTotal
            | Self::TxFirstSlotShort(_)
            | Self::TxGrant(_)
            | Self::TxFrameTooLong(_)
            | Self::TxMultiSlotRefused
            | Self::TxExtraRefused(_) => Severity::Drop,
            Self::TxCsumUnparsable => Severity::SilentDrop,
            Self::ConnectQueues(_)
            | Self::ConnectKeys(_)
            | Self::ConnectGrant(_)
            | Self::ConnectPort(_)
            | Self::ConnectRing
            | Self::ConnectCtrl => Severity::Connect,
            _ => Severity::Advice,
        }
    }
}

/// One broken rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken {
    /// Virtual time of the poll that saw it, nanoseconds.
    pub at_ns: u64,
    /// TX or RX queue it was seen on; 0 where no queue is concerned.
    pub queue: u16,
    /// The rule.
    pub rule: Rule,
}

/// The first rules broken, and how many in all.
#[derive(Debug, Clone, Default)]
pub struct RuleLog {
    broken: Vec<Broken>,
    total: u64,
}

impl RuleLog {
    /// Entries kept; later ones are only counted.
    pub const KEPT: usize = 1024;

    pub(crate) fn record(&mut self, at_ns: u64, queue: u16, rule: Rule) {
        self.total += 1;
        if self.broken.len() < Self::KEPT {
            self.broken.push(Broken { at_ns, queue, rule });
        }
    }

    /// No rule was broken.
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// How many times a rule was broken.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// What was broken, oldest first.
    pub fn all(&self) -> &[Broken] {
        &self.broken
    }

    /// The rules of at least this severity.
    pub fn at_least(&self, severity: Severity) -> impl Iterator<Item = Rule> + '_ {
        self.broken
            .iter()
            .map(|b| b.rule)
            .filter(move |r| r.severity() >= severity)
    }

    /// Whether this very rule was broken.
    pub fn contains(&self, rule: Rule) -> bool {
        self.broken.iter().any(|b| b.rule == rule)
    }
}
