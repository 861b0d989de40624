//! The 2-level ABI: pending and mask bits in the shared info page, a selector word per vCPU.

use crate::abi::{EVTCHN_2L_PORTS, SHARED_INFO_MASK, SHARED_INFO_PENDING, VCPU_INFO_PENDING_SEL};
use crate::machine::Machine;

/// Offset of a port's 64-bit word in its bitmap, and its bit.
fn place(port: u32) -> (usize, u64) {
    ((port / 64) as usize * 8, 1 << (port % 64))
}

impl Machine {
    pub(super) fn two_level_raise(&mut self, port: u32) {
        if port >= EVTCHN_2L_PORTS {
            return;
        }
        let (word, bit) = place(port);
        let page = self.shared_info.page();
        if page.or_u64(SHARED_INFO_PENDING + word, bit) & bit == 0
            && page.read_u64(SHARED_INFO_MASK + word) & bit == 0
        {
            self.two_level_select(port);
        }
    }

    pub(super) fn two_level_unmask(&mut self, port: u32) {
        let (word, bit) = place(port);
        let page = self.shared_info.page();
        let was = page.and_u64(SHARED_INFO_MASK + word, !bit);
        if was & bit != 0 && page.read_u64(SHARED_INFO_PENDING + word) & bit != 0 {
            self.two_level_select(port);
        }
    }

    fn two_level_select(&mut self, port: u32) {
        let vcpu = self.channels.port(port).map_or(0, |p| p.vcpu);
        let bit = 1_u64 << (port / 64);
        let Some((page, at)) = self.vcpu_info(vcpu) else {
            self.violations.push(crate::Violation::NoVcpuInfo { vcpu });
            return;
        };
        if page.or_u64(at + VCPU_INFO_PENDING_SEL, bit) & bit == 0 {
            self.mark_events_pending(vcpu);
        }
    }

    pub(super) fn two_level_clear(&mut self, port: u32) {
        if port < EVTCHN_2L_PORTS {
            let (word, bit) = place(port);
            self.shared_info
                .page()
                .and_u64(SHARED_INFO_PENDING + word, !bit);
        }
    }

    /// Whether the shared info page shows `port` pending.
    pub(super) fn two_level_pending(&self, port: u32) -> bool {
        let (word, bit) = place(port);
        port < EVTCHN_2L_PORTS
            && self.shared_info.page().read_u64(SHARED_INFO_PENDING + word) & bit != 0
    }
}
