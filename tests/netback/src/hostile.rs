//! What a hostile or broken backend does, one trick at a time.

/// A trick; see [`crate::Netback::attack`]. Those about slots spoil the next ones written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attack {
    /// A TX response with this id.
    TxId(u16),
    /// A TX response with this status.
    TxStatus(i16),
    /// A TX response twice.
    TxDuplicate,
    /// TX `rsp_prod` of queue 0 moved by this much, at once; the next honest push puts it right.
    TxRspProd(i32),
    /// An RX response with this id.
    RxId(u16),
    /// An RX response with this offset.
    RxOffset(u16),
    /// An RX response with this status.
    RxStatus(i16),
    /// An RX response with these flags in addition.
    RxFlags(u16),
    /// An RX packet with this extra (8 bytes as they stand in the slot), as the only one.
    RxExtra([u8; 8]),
    /// An RX packet whose extras never end: every posted request becomes one.
    RxExtrasEndless,
    /// An RX packet that never ends: every posted request becomes 64 bytes of it.
    RxMoreEndless,
    /// RX `rsp_prod` of queue 0 moved by this much, at once.
    RxRspProd(i32),
    /// A control response with this id.
    CtrlId(u16),
    /// A control response with this type.
    CtrlType(u16),
    /// A control response with this status.
    CtrlStatus(u32),
    /// A control response with this data.
    CtrlData(u32),
    /// A control request that is never answered.
    CtrlSilent,
    /// Control `rsp_prod` moved by this much, at once.
    CtrlRspProd(i32),
    /// An event to every port for no reason, at each poll.
    EventStorm,
    /// Grants that were to stay mapped are unmapped, at once.
    GrefsDropped,
    /// Rings are not served.
    Silence,
    /// The frontend's state is not looked at.
    Deaf,
    /// This number is written as the backend's state, at once; the model's own state stays.
    State(u32),
    /// The backend's directory is removed, at once.
    Vanish,
}

#[derive(Debug, Default)]
pub(crate) struct Hostile {
    armed: Vec<(Attack, u32)>,
}

impl Hostile {
    pub(crate) fn arm(&mut self, attack: Attack, times: u32) {
        self.armed.push((attack, times));
    }

    pub(crate) fn clear(&mut self) {
        self.armed.clear();
    }

    pub(crate) fn has(&self, attack: Attack) -> bool {
        self.armed.iter().any(|&(a, _)| a == attack)
    }

    /// Uses up one of the first armed attack for which `pick` has an answer.
    pub(crate) fn take<T>(&mut self, pick: impl Fn(Attack) -> Option<T>) -> Option<T> {
        let (at, found) = self
            .armed
            .iter()
            .enumerate()
            .find_map(|(at, &(attack, _))| Some((at, pick(attack)?)))?;
        let left = &mut self.armed[at].1;
        if *left != u32::MAX {
            *left = left.saturating_sub(1);
        }
        if *left == 0 {
            self.armed.remove(at);
        }
        Some(found)
    }

    /// Uses up one of each armed attack that `pick` wants.
    pub(crate) fn take_each(&mut self, pick: impl Fn(Attack) -> bool) -> Vec<Attack> {
        let armed: Vec<Attack> = self.armed.iter().map(|&(a, _)| a).collect();
        armed
            .into_iter()
            .filter(|&a| pick(a) && self.take_one(a))
            .collect()
    }

    /// Uses up one of this attack.
    pub(crate) fn take_one(&mut self, attack: Attack) -> bool {
        self.take(|a| (a == attack).then_some(())).is_some()
    }
}
