//! vCPUs and scheduling: `vcpu_op`, `sched_op`, suspend and resume.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::abi::{
    self, EBUSY, EINVAL, ENOENT, ENOSYS, ENXIO, Errno, LEGACY_MAX_VCPUS, PAGE_SIZE, VCPU_INFO_SIZE,
};
use crate::evtchn::Channels;
use crate::machine::Machine;
use crate::mem::Page;
use crate::shared::SharedPage;

/// What a suspend requested by the guest comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SuspendOutcome {
    /// Resumed in a new domain: grants, ports, shared pages and watches are gone. The hypercall returns 0.
    #[default]
    Resumed,
    /// Cancelled (checkpoint or failed migration): all is as before. The hypercall returns 1.
    Cancelled,
}

#[derive(Debug, Default)]
pub(crate) struct Sched {
    pub(crate) vcpu_info: BTreeMap<u32, (Page, usize)>,
    shutdowns: Vec<u32>,
    outcome: SuspendOutcome,
    resumes: u32,
    yields: u64,
}

impl Machine {
    pub(crate) fn vcpu_op(&mut self, op: u64, vcpu: u64, arg: u64) -> Result<i64, Errno> {
        let vcpu = u32::try_from(vcpu)
            .ok()
            .filter(|&v| v < self.config.vcpus)
            .ok_or(ENOENT)?;
        match op {
            abi::VCPUOP_IS_UP => Ok(1),
            abi::VCPUOP_REGISTER_VCPU_INFO => self.register_vcpu_info(vcpu, arg),
            _ => Err(ENOSYS),
        }
    }

    fn register_vcpu_info(&mut self, vcpu: u32, arg: u64) -> Result<i64, Errno> {
        let raw: [u8; 16] = self.memory.read_guest(arg)?;
        let mut pfn = [0; 8];
        pfn.copy_from_slice(&raw[..8]);
        let offset = u32::from_le_bytes([raw[8], raw[9], raw[10], raw[11]]) as usize;
        if offset > PAGE_SIZE - VCPU_INFO_SIZE || !offset.is_multiple_of(8) {
            return Err(ENXIO);
        }
        let page = self.memory.frame(u64::from_le_bytes(pfn)).ok_or(EINVAL)?;
        if self.sched.vcpu_info.contains_key(&vcpu) {
            return Err(EBUSY);
        }
        if let Some((old, at)) = self.vcpu_info(vcpu) {
            let mut bytes = [0; VCPU_INFO_SIZE];
            old.read(at, &mut bytes);
            page.write(offset, &bytes);
        } else {
            page.write(offset, &[0; VCPU_INFO_SIZE]);
        }
        self.sched.vcpu_info.insert(vcpu, (page, offset));
        // Everything is marked pending, so that nothing raised before is lost; one spurious event results.
        page.write_u64(offset + abi::VCPU_INFO_PENDING_SEL, u64::MAX);
        self.mark_events_pending(vcpu);
        Ok(0)
    }

    /// The `vcpu_info` of `vcpu`: registered, else in the shared info page for the first 32.
    pub(crate) fn vcpu_info(&self, vcpu: u32) -> Option<(Page, usize)> {
        self.sched.vcpu_info.get(&vcpu).copied().or_else(|| {
            (vcpu < LEGACY_MAX_VCPUS)
                .then(|| (self.shared_info.page(), vcpu as usize * VCPU_INFO_SIZE))
        })
    }

    pub(crate) fn upcall_pending(&self, vcpu: u32) -> bool {
        self.vcpu_info(vcpu)
            .is_some_and(|(page, at)| page.read_u8(at) != 0)
    }

    /// Sets the upcall-pending byte of `vcpu` and interrupts it if it was clear.
    pub(crate) fn mark_events_pending(&mut self, vcpu: u32) {
        let Some((page, at)) = self.vcpu_info(vcpu) else {
            self.violations.push(crate::Violation::NoVcpuInfo { vcpu });
            return;
        };
        if page.or_u8(at, 1) == 0 {
            self.interrupt(vcpu);
        }
    }

    pub(crate) fn sched_op(&mut self, _vcpu: u32, op: u64, arg: u64) -> Result<i64, Errno> {
        match op {
            abi::SCHEDOP_YIELD | abi::SCHEDOP_BLOCK => {
                self.sched.yields += 1;
                Ok(0)
            }
            abi::SCHEDOP_POLL => self.sched_poll(arg),
            abi::SCHEDOP_SHUTDOWN => {
                let reason = u32::from_le_bytes(self.memory.read_guest(arg)?);
                if reason > abi::SHUTDOWN_MAX {
                    return Err(EINVAL);
                }
                self.sched.shutdowns.push(reason);
                if reason != abi::SHUTDOWN_SUSPEND {
                    return Ok(0);
                }
                if self.sched.outcome == SuspendOutcome::Cancelled {
                    return Ok(1);
                }
                self.resume();
                Ok(0)
            }
            _ => Err(ENOSYS),
        }
    }

    /// Arguments are checked; the wait itself ends at once, as Xen allows (a spurious wake-up).
    fn sched_poll(&mut self, arg: u64) -> Result<i64, Errno> {
        let raw: [u8; 24] = self.memory.read_guest(arg)?;
        let mut at = [0; 8];
        at.copy_from_slice(&raw[..8]);
        let ports = u32::from_le_bytes([raw[8], raw[9], raw[10], raw[11]]);
        if ports > 128 {
            return Err(EINVAL);
        }
        for i in 0..u64::from(ports) {
            let va = u64::from_le_bytes(at).wrapping_add(i * 4);
            let port = u32::from_le_bytes(self.memory.read_guest(va)?);
            if port > self.config.max_port {
                return Err(EINVAL);
            }
        }
        self.sched.yields += 1;
        Ok(0)
    }

    /// Decides what the guest's next suspend requests come to.
    pub fn set_suspend_outcome(&mut self, outcome: SuspendOutcome) {
        self.sched.outcome = outcome;
    }

    /// Takes the shutdown reasons the guest gave (`SHUTDOWN_*` of sched.h), oldest first.
    pub fn take_shutdowns(&mut self) -> Vec<u32> {
        core::mem::take(&mut self.sched.shutdowns)
    }

    /// How often the guest was resumed in a new domain. Backends compare it to notice.
    pub fn resumes(&self) -> u32 {
        self.sched.resumes
    }

    /// How often the guest gave up the CPU (`yield`, `block`, `poll`).
    pub fn yields(&self) -> u64 {
        self.sched.yields
    }

    fn resume(&mut self) {
        self.sched.resumes += 1;
        self.drop_line();
        self.sched.vcpu_info.clear();
        self.shared_info = SharedPage::new();
        self.channels = Channels::new(&self.config);
        self.grants.reset();
        self.hvm = crate::hvm::Hvm::new(self.config.vcpus);
        self.seed();
    }
}
