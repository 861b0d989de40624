//! The 2-level ABI: a selector word per vCPU, each bit of it names a word of pending bits, each bit of that a port.
//!
//! The words are shared by all vCPUs: a word selected on this one may hold bits of ports bound to another, which
//! are left to it.

use core::sync::atomic::{AtomicU64, Ordering};

use xen_abi::event_channel::Port;
use xen_abi::shared_info::{SharedInfo, VcpuInfo};

use super::{PortMask, Scan, Unmask};

/// Ports per word, and words.
const WORD_BITS: u32 = 64;

/// The pending and mask bits of all ports.
#[derive(Clone, Copy, Debug)]
pub struct TwoLevel<'a> {
    pending: &'a [AtomicU64],
    mask: &'a [AtomicU64],
}

impl<'a> TwoLevel<'a> {
    /// The bits on the shared info page.
    pub fn new(shared: &'a SharedInfo) -> Self {
        Self {
            pending: &shared.evtchn_pending,
            mask: &shared.evtchn_mask,
        }
    }

    /// Masks every port: for start and resume, before ports are bound.
    pub fn mask_all(&self) {
        for word in self.mask {
            word.store(u64::MAX, Ordering::Relaxed);
        }
    }
}

fn locate(words: &[AtomicU64], port: Port) -> Option<(&AtomicU64, u64)> {
    let word = words.get(usize::try_from(port.0 / WORD_BITS).ok()?)?;
    Some((word, 1_u64.checked_shl(port.0 % WORD_BITS)?))
}

impl PortMask for TwoLevel<'_> {
    fn mask(&self, port: Port) {
        if let Some((word, bit)) = locate(self.mask, port) {
            word.fetch_or(bit, Ordering::SeqCst);
        }
    }

    /// Clears the mask, then looks for an event. If there is one the mask is set again, because Xen raises an
    /// interrupt only for a port it finds masked.
    fn unmask(&self, port: Port) -> Unmask {
        let Some((word, bit)) = locate(self.mask, port) else {
            return Unmask::Done;
        };
        word.fetch_and(!bit, Ordering::SeqCst);
        if !self.is_pending(port) {
            return Unmask::Done;
        }
        word.fetch_or(bit, Ordering::SeqCst);
        Unmask::Hypercall
    }

    fn clear_pending(&self, port: Port) -> bool {
        locate(self.pending, port)
            .is_some_and(|(word, bit)| word.fetch_and(!bit, Ordering::SeqCst) & bit != 0)
    }

    fn is_pending(&self, port: Port) -> bool {
        locate(self.pending, port).is_some_and(|(word, bit)| word.load(Ordering::SeqCst) & bit != 0)
    }
}

/// One pass over the events of a vCPU.
///
/// `start` is the word to begin with; take one more each time, so that no port starves. `mine` says whether a port
/// is bound to this vCPU. `handle` is called with at most `budget` ports, their pending bit cleared.
pub fn scan(
    bits: &TwoLevel<'_>,
    vcpu: &VcpuInfo,
    start: u32,
    budget: u32,
    mine: impl Fn(Port) -> bool,
    mut handle: impl FnMut(Port),
) -> Scan {
    let mut scan = Scan::default();
    // First the flag, then the selector: an event after this raises the flag again.
    vcpu.evtchn_upcall_pending.store(0, Ordering::SeqCst);
    let mut selector = vcpu.evtchn_pending_sel.swap(0, Ordering::SeqCst);
    for step in 0..WORD_BITS {
        let at = start.wrapping_add(step) % WORD_BITS;
        let select = 1_u64.checked_shl(at).unwrap_or(0);
        if selector & select == 0 {
            continue;
        }
        let index = usize::try_from(at).unwrap_or(usize::MAX);
        let (Some(pending), Some(mask)) = (bits.pending.get(index), bits.mask.get(index)) else {
            selector &= !select;
            continue;
        };
        let mut ready = pending.load(Ordering::SeqCst) & !mask.load(Ordering::SeqCst);
        while ready != 0 {
            let bit = ready & ready.wrapping_neg();
            ready &= !bit;
            let port = Port(
                at.saturating_mul(WORD_BITS)
                    .saturating_add(bit.trailing_zeros()),
            );
            if !mine(port) {
                continue;
            }
            if scan.ports == budget {
                // This word and those not looked at are marked again.
                vcpu.evtchn_pending_sel.fetch_or(selector, Ordering::SeqCst);
                vcpu.evtchn_upcall_pending.store(1, Ordering::SeqCst);
                scan.more = true;
                return scan;
            }
            if pending.fetch_and(!bit, Ordering::SeqCst) & bit != 0 {
                scan.ports = scan.ports.saturating_add(1);
                handle(port);
            }
        }
        selector &= !select;
    }
    scan
}

#[cfg(test)]
mod tests {
    use std::boxed::Box;
    use std::vec::Vec;

    use proptest::prelude::*;
    use xen_abi::shared_info::ArchSharedInfo;

    use super::*;

    fn shared() -> Box<SharedInfo> {
        Box::new(SharedInfo {
            vcpu_info: Default::default(),
            evtchn_pending: [const { AtomicU64::new(0) }; 64],
            evtchn_mask: [const { AtomicU64::new(0) }; 64],
            wc_version: 0.into(),
            wc_sec: 0.into(),
            wc_nsec: 0.into(),
            wc_sec_hi: 0.into(),
            arch: ArchSharedInfo::default(),
        })
    }

    /// As Xen does it.
    fn raise(shared: &SharedInfo, vcpu: usize, port: u32) {
        let (word, bit) = locate(&shared.evtchn_pending, Port(port)).unwrap();
        if word.fetch_or(bit, Ordering::SeqCst) & bit != 0 {
            return;
        }
        let (word, bit) = locate(&shared.evtchn_mask, Port(port)).unwrap();
        if word.load(Ordering::SeqCst) & bit == 0 {
            let info = &shared.vcpu_info[vcpu];
            info.evtchn_pending_sel
                .fetch_or(1 << (port / 64), Ordering::SeqCst);
            info.evtchn_upcall_pending.store(1, Ordering::SeqCst);
        }
    }

    fn run(shared: &SharedInfo, start: u32, budget: u32) -> (Vec<u32>, Scan) {
        let mut ports = Vec::new();
        let bits = TwoLevel::new(shared);
        let scan = scan(
            &bits,
            &shared.vcpu_info[0],
            start,
            budget,
            |_| true,
            |port| ports.push(port.0),
        );
        (ports, scan)
    }

    #[test]
    fn pending_ports_are_found_once() {
        let shared = shared();
        for port in [1, 63, 64, 4095] {
            raise(&shared, 0, port);
        }
        assert_eq!(run(&shared, 0, 100).0, [1, 63, 64, 4095]);
        assert_eq!(run(&shared, 0, 100), (Vec::new(), Scan::default()));
    }

    #[test]
    fn the_pass_begins_where_it_is_told() {
        let shared = shared();
        for port in [1, 65, 4095] {
            raise(&shared, 0, port);
        }
        assert_eq!(run(&shared, 1, 100).0, [65, 4095, 1]);
    }

    #[test]
    fn a_spent_budget_leaves_the_rest_marked() {
        let shared = shared();
        for port in [1, 2, 70, 200] {
            raise(&shared, 0, port);
        }
        let (ports, scan) = run(&shared, 0, 2);
        assert_eq!((ports, scan.more), (std::vec![1, 2], true));
        assert_eq!(
            shared.vcpu_info[0]
                .evtchn_upcall_pending
                .load(Ordering::SeqCst),
            1
        );
        let (ports, scan) = run(&shared, 0, 2);
        assert_eq!((ports, scan.more), (std::vec![70, 200], false));
    }

    #[test]
    fn ports_of_other_vcpus_are_left_to_them() {
        let shared = shared();
        raise(&shared, 0, 5);
        raise(&shared, 1, 6);
        let bits = TwoLevel::new(&shared);
        let mut ports = Vec::new();
        let _ = scan(
            &bits,
            &shared.vcpu_info[0],
            0,
            10,
            |port| port.0 != 6,
            |port| ports.push(port.0),
        );
        assert_eq!(ports, [5]);
        assert!(bits.is_pending(Port(6)));
    }

    #[test]
    fn an_event_of_a_masked_port_waits_for_the_hypercall() {
        let shared = shared();
        let bits = TwoLevel::new(&shared);
        bits.mask_all();
        raise(&shared, 0, 9);
        assert_eq!(run(&shared, 0, 10).0, [0_u32; 0]);
        assert_eq!(bits.unmask(Port(9)), Unmask::Hypercall);
        let masked = shared.evtchn_mask[0].load(Ordering::SeqCst) & (1 << 9);
        assert_ne!(masked, 0, "Xen acts only on a port it finds masked");
        assert_eq!(bits.unmask(Port(10)), Unmask::Done);
        assert!(bits.clear_pending(Port(9)));
        assert!(!bits.clear_pending(Port(9)));
        assert_eq!(bits.unmask(Port(9)), Unmask::Done);
    }

    #[test]
    fn a_port_beyond_the_words_does_nothing() {
        let shared = shared();
        let bits = TwoLevel::new(&shared);
        bits.mask(Port(4096));
        assert_eq!(bits.unmask(Port(u32::MAX)), Unmask::Done);
        assert!(!bits.is_pending(Port(4096)));
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 2 } else { 128 }, failure_persistence: None, ..ProptestConfig::default()
        })]

        #[test]
        fn any_bits_give_each_unmasked_selected_port_once(
            selector: u64, pending: [u64; 4], mask: [u64; 4], start: u32, budget in 0_u32..300,
        ) {
            let shared = shared();
            for at in 0..4 {
                shared.evtchn_pending[at].store(pending[at], Ordering::SeqCst);
                shared.evtchn_mask[at].store(mask[at], Ordering::SeqCst);
            }
            shared.vcpu_info[0].evtchn_pending_sel.store(selector, Ordering::SeqCst);
            let (mut ports, first) = run(&shared, start, budget);
            prop_assert!(first.ports <= budget);
            if first.more {
                ports.extend(run(&shared, start, 4096).0);
            }
            ports.sort_unstable();
            let expected: Vec<u32> = (0..256)
                .filter(|port| {
                    let (word, bit) = (*port as usize / 64, 1 << (port % 64));
                    selector & (1 << word) != 0 && pending[word] & !mask[word] & bit != 0
                })
                .collect();
            prop_assert_eq!(ports, expected);
        }
    }
}
