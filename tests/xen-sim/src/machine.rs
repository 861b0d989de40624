//! The machine: its configuration, the hypercall switch, and what holds the parts together.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use crate::abi::{self, EFAULT, EINVAL, ENOSYS, Errno, GTF_PERMIT_ACCESS};
use crate::evtchn::Channels;
use crate::grant::Grants;
use crate::hvm::{Hvm, Interrupts};
use crate::leak::Violation;
use crate::mem::{GuestMemory, Memory, Page};
use crate::ports::Ports;
use crate::sched::Sched;
use crate::shared::SharedPage;

/// What the toolstack decided when it built the guest.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent switch of the toolstack"
)]
#[derive(Clone, Debug)]
pub struct Config {
    /// The guest's domain id.
    pub domid: u16,
    /// Number of vCPUs, 1 to 64. Ids are 0..n.
    pub vcpus: u32,
    /// Viridian leaves at `0x4000_0000`, Xen's at `0x4000_0100`.
    pub viridian: bool,
    /// Xen's version as `XENVER_version` reports it: major, minor.
    pub version: (u16, u16),
    /// FIFO event channels are offered (QEMU's Xen emulation has 2-level only).
    pub fifo: bool,
    /// `HVMOP_set_evtchn_upcall_vector` works and CPUID says so.
    pub upcall_vector: bool,
    /// Highest event-channel port the guest may have (`max_event_channels` of xl, 1023 by default).
    pub max_port: u32,
    /// Most grant frames the guest may have (64 by default).
    pub max_grant_frames: u32,
    /// Guest frame of the XenStore ring page.
    pub store_pfn: u64,
    /// Guest frame of the console ring page.
    pub console_pfn: u64,
    /// Domain that runs xenstored and the console.
    pub store_domid: u16,
    /// Version of the unplug protocol on port 0x12 (0 or 1).
    pub unplug_version: u8,
    /// The unplug port answers 0xd249 after the product and build number were written.
    pub blacklisted: bool,
    /// The unplug ports exist (the platform device is there).
    pub platform_device: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            domid: 1,
            vcpus: 4,
            viridian: true,
            version: (4, 17),
            fifo: true,
            upcall_vector: true,
            max_port: 1023,
            max_grant_frames: 64,
            store_pfn: 1,
            console_pfn: 2,
            store_domid: 0,
            unplug_version: 1,
            blacklisted: false,
            platform_device: true,
        }
    }
}

/// One guest domain on a simulated Xen.
pub struct Machine {
    pub(crate) config: Config,
    pub(crate) memory: Memory,
    pub(crate) interrupts: Box<dyn Interrupts>,
    pub(crate) shared_info: SharedPage,
    pub(crate) channels: Channels,
    pub(crate) grants: Grants,
    pub(crate) hvm: Hvm,
    pub(crate) sched: Sched,
    pub(crate) ports: Ports,
    pub(crate) violations: Vec<Violation>,
    pub(crate) console: String,
    pub(crate) removed_frames: alloc::collections::BTreeSet<u64>,
    calls: BTreeMap<u64, u64>,
}

impl core::fmt::Debug for Machine {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Machine")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Machine {
    /// Builds the guest: XenStore and console ports are allocated, grant 1 gives the XenStore page away.
    ///
    /// Panics when `config` names 0 or more than 64 vCPUs or the store page is no guest memory.
    pub fn new(
        config: Config,
        memory: Box<dyn GuestMemory>,
        interrupts: Box<dyn Interrupts>,
    ) -> Self {
        assert!((1..=64).contains(&config.vcpus), "1 to 64 vCPUs");
        let memory = Memory::new(memory);
        assert!(
            memory.frame(config.store_pfn).is_some(),
            "the store page is guest memory"
        );
        let mut machine = Self {
            shared_info: SharedPage::new(),
            channels: Channels::new(&config),
            grants: Grants::new(config.max_grant_frames),
            hvm: Hvm::new(config.vcpus),
            sched: Sched::default(),
            ports: Ports::default(),
            violations: Vec::new(),
            console: String::new(),
            removed_frames: alloc::collections::BTreeSet::new(),
            calls: BTreeMap::new(),
            config,
            memory,
            interrupts,
        };
        machine.seed();
        machine
    }

    /// What the toolstack prepares before the guest runs, and again after a resume.
    pub(crate) fn seed(&mut self) {
        let (store_domid, store_pfn) = (self.config.store_domid, self.config.store_pfn);
        for (pfn_param, port_param, pfn) in [
            (
                abi::HVM_PARAM_STORE_PFN,
                abi::HVM_PARAM_STORE_EVTCHN,
                store_pfn,
            ),
            (
                abi::HVM_PARAM_CONSOLE_PFN,
                abi::HVM_PARAM_CONSOLE_EVTCHN,
                self.config.console_pfn,
            ),
        ] {
            self.hvm.params.insert(pfn_param, pfn);
            if let Ok(port) = self.channels.alloc_unbound(store_domid) {
                self.channels.set_reserved(port);
                self.hvm.params.insert(port_param, u64::from(port));
            }
        }
        if let Some((page, at)) = self.grants.entry(1) {
            page.write_u16(at + 2, store_domid);
            page.write_u32(at + 4, store_pfn as u32);
            page.write_u16(at, GTF_PERMIT_ACCESS);
        }
    }

    /// The configuration the machine was built with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Executes hypercall `nr` for `vcpu`. Pointers in `args` are guest virtual addresses.
    ///
    /// Returns what Xen returns in RAX: a result, or a Linux error number negated.
    pub fn hypercall(&mut self, vcpu: u32, nr: u64, args: [u64; 5]) -> i64 {
        *self.calls.entry(nr).or_default() += 1;
        let done = match nr {
            abi::HYPERVISOR_MEMORY_OP => self.memory_op(args[0], args[1]),
            abi::HYPERVISOR_XEN_VERSION => self.xen_version(args[0], args[1]),
            abi::HYPERVISOR_CONSOLE_IO => self.console_io(args),
            abi::HYPERVISOR_GRANT_TABLE_OP => self.grant_table_op(args[0], args[1], args[2]),
            abi::HYPERVISOR_VCPU_OP => self.vcpu_op(args[0], args[1], args[2]),
            abi::HYPERVISOR_SCHED_OP => self.sched_op(vcpu, args[0], args[1]),
            abi::HYPERVISOR_EVENT_CHANNEL_OP => self.event_channel_op(vcpu, args[0], args[1]),
            abi::HYPERVISOR_HVM_OP => self.hvm_op(args[0], args[1]),
            _ => Err(ENOSYS),
        };
        self.update_callback_line();
        done.unwrap_or_else(Errno::result)
    }

    /// How often each hypercall number was called.
    pub fn hypercall_counts(&self) -> &BTreeMap<u64, u64> {
        &self.calls
    }

    /// What the guest wrote with `HYPERVISOR_console_io`.
    pub fn console(&self) -> &str {
        &self.console
    }

    /// Guest frame `pfn`, as a backend with the right to it sees it (XenStore and console rings).
    pub fn frame(&self, pfn: u64) -> Option<Page> {
        self.memory.frame(pfn)
    }

    /// The rules broken by the guest so far, oldest first.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// Takes the list of broken rules.
    pub fn take_violations(&mut self) -> Vec<Violation> {
        core::mem::take(&mut self.violations)
    }

    fn xen_version(&mut self, cmd: u64, arg: u64) -> Result<i64, Errno> {
        match cmd {
            0 => Ok((i64::from(self.config.version.0) << 16) | i64::from(self.config.version.1)),
            1 => {
                let mut extra = [0_u8; 16];
                extra[..4].copy_from_slice(b".sim");
                self.memory.write_guest(arg, &extra).map(|()| 0)
            }
            6 => {
                let index: [u8; 4] = self.memory.read_guest(arg)?;
                // Bits of an HVM guest: callback vector (8), safe pirqs (10), time stable and the rest 0.
                let map = if u32::from_le_bytes(index) == 0 {
                    (1_u32 << 8) | (1 << 10)
                } else {
                    0
                };
                self.memory
                    .write_guest(arg.wrapping_add(4), &map.to_le_bytes())
                    .map(|()| 0)
            }
            7 => Ok(abi::PAGE_SIZE as i64),
            _ => Err(ENOSYS),
        }
    }

    fn console_io(&mut self, args: [u64; 5]) -> Result<i64, Errno> {
        if args[0] != 0 {
            return Err(if args[0] == 1 { abi::EPERM } else { ENOSYS });
        }
        let count = usize::try_from(args[1]).map_err(|_| EINVAL)?;
        if count > 1 << 16 {
            return Err(EFAULT);
        }
        let bytes = self.memory.read_guest_bytes(args[2], count)?;
        self.console.push_str(&String::from_utf8_lossy(&bytes));
        Ok(0)
    }
}
