//! Event channels: which ABI, which ports, who is called.
//!
//! | module | does |
//! |---|---|
//! | [`memory`] | the pages shared with Xen in the FIFO ABI |
//! | [`channel`] | open channels: opening, notifying, unmasking, moving, closing |
//! | [`delivery`] | from an interrupt to the owners of the ports |
//! | [`reset`] | back to the state firmware left |

mod channel;
mod delivery;
mod memory;
mod reset;

pub(crate) use channel::Channel;

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use nt::irql::{AtMostDispatch, Passive};
use nt::pool::{PoolArc, PoolSlice};
use nt::spinlock::SpinLock;
use nt::status::{Result, Status};
use nt::{log_error, log_info};
use xen_abi::shared_info::LEGACY_MAX_VCPUS;
use xenbus_core::event::PortMask;
use xenbus_core::event::fifo::{EventArray, VcpuQueues};
use xenbus_core::event::ports::{PortSlot, PortTable};
use xenbus_core::event::two_level::TwoLevel;

use crate::TAG;
use crate::driver;
use crate::exclusive::Exclusive;
use crate::hole::Hole;
use crate::owned::Storage;
use crate::platform::Platform;
use memory::FifoMemory;

/// Ports that can be used: as many as the 2-level ABI has. A domain gets 1023 by default.
const PORTS_MAX: usize = 4096;
/// Channels that can be open at a time.
const CHANNELS_MAX: usize = 512;

/// Event channels of this guest.
#[derive(Debug)]
pub(crate) struct Events {
    platform: PoolArc<Platform>,
    hole: PoolArc<Hole>,
    /// The FIFO ABI's pages; none in the 2-level ABI.
    fifo: Option<FifoMemory>,
    /// Xen has pages of ours, and ports of ours are open.
    live: AtomicBool,
    ports: PoolSlice<PortSlot>,
    lanes: PoolSlice<Lane>,
    /// Rank: leaf.
    open: SpinLock<Storage<Option<PoolArc<Channel>>>>,
}

impl Drop for Events {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// One processor's part.
#[derive(Debug)]
struct Lane {
    /// Odd while a pass runs. Whoever takes a port away waits for the passes under way.
    passes: AtomicU32,
    /// Whether events of this processor's vCPU interrupt it.
    served: AtomicU32,
    /// 2-level ABI: the word the next pass begins with.
    turn: AtomicU32,
    queues: Exclusive<VcpuQueues>,
}

impl Lane {
    fn new() -> Self {
        Self {
            passes: AtomicU32::new(0),
            served: AtomicU32::new(0),
            turn: AtomicU32::new(0),
            queues: Exclusive::new(VcpuQueues::default()),
        }
    }
}

impl Events {
    /// Sets up the FIFO ABI, else the 2-level one. No port has an owner, and nothing interrupts yet.
    pub(crate) fn new(platform: PoolArc<Platform>, hole: PoolArc<Hole>) -> Result<Self> {
        let processors = platform.processors().len();
        let mut events = Self {
            fifo: Some(FifoMemory::new(processors)?),
            live: AtomicBool::new(true),
            ports: PoolSlice::try_from_fn(TAG, PORTS_MAX, |_| PortSlot::default())?,
            lanes: PoolSlice::try_from_fn(TAG, processors, |_| Lane::new())?,
            open: SpinLock::new(Storage::try_new(CHANNELS_MAX, &None)?),
            platform,
            hole,
        };
        events.choose_abi();
        Ok(events)
    }

    /// Tries the FIFO ABI, unless the administrator does not want it: once as things are, once after a reset, for a driver before us may have
    /// left control blocks.
    fn choose_abi(&mut self) {
        let xen = self.platform.xen;
        let Some(memory) = &self.fifo else { return };
        let fifo = driver::wants_fifo()
            && (memory.register(&self.platform).is_ok()
                || (reset::reset(xen).is_ok() && memory.register(&self.platform).is_ok()));
        if fifo {
            log_info!("event channels: FIFO");
            return;
        }
        // Half a FIFO set-up would keep Xen writing to pages that go now.
        if reset::reset(xen).is_err() {
            log_error!("event channels cannot be reset");
        }
        self.fifo = None;
        self.mask_all();
        log_info!("event channels: 2-level");
    }

    fn mask_all(&self) {
        TwoLevel::new(self.hole.shared_info()).mask_all();
    }

    /// Sets up anew what a resume has lost. Channels of before are dead: they have no port.
    ///
    /// After a sleep of the system Xen may know everything still: it is made to forget first.
    pub(crate) fn resumed(&self, after_sleep: bool, irql: &mut Passive<'_>) -> Result<()> {
        self.forget_ports(irql);
        for lane in self.lanes.iter() {
            lane.served.store(0, Ordering::Release);
            lane.queues.with(|queues| *queues = VcpuQueues::default());
        }
        if after_sleep && reset::reset(self.platform.xen).is_err() {
            log_error!("event channels cannot be reset");
        }
        let Some(memory) = &self.fifo else {
            self.mask_all();
            return Ok(());
        };
        memory.clear();
        memory.register(&self.platform).map_err(|error| {
            log_error!("no FIFO event channels after the resume: {error:?}");
            Status::DEVICE_NOT_READY
        })
    }

    /// Back to the state of before: Xen no longer uses the pages, and no port is ours.
    pub(crate) fn end(&self, irql: &mut AtMostDispatch<'_>) {
        self.forget_ports(irql);
        self.give_back();
    }

    fn give_back(&self) {
        if !self.live.swap(false, Ordering::AcqRel) {
            return;
        }
        // The 2-level ABI's masks count after the reset: the store's port is open again then.
        self.mask_all();
        if reset::reset(self.platform.xen).is_err() {
            log_error!("event channels cannot be reset");
        }
    }

    /// Says whether events of a processor's vCPU interrupt it.
    pub(crate) fn set_served(&self, processor: usize, served: bool) {
        if let Some(lane) = self.lanes.get(processor) {
            lane.served.store(u32::from(served), Ordering::Release);
        }
    }

    /// Whether channels can be placed on a processor. The shared info page, whose flag the interrupt
    /// needs in either ABI, has room for the first vCPUs only.
    pub(crate) fn is_served(&self, processor: usize) -> bool {
        self.lanes
            .get(processor)
            .is_some_and(|lane| lane.served.load(Ordering::Acquire) != 0)
    }

    /// Whether a vCPU can have an interrupt of its own.
    pub(crate) fn can_serve(vcpu: u32) -> bool {
        usize::try_from(vcpu).is_ok_and(|vcpu| vcpu < LEGACY_MAX_VCPUS)
    }

    pub(crate) fn platform(&self) -> &Platform {
        &self.platform
    }

    fn table(&self) -> PortTable<'_> {
        PortTable::new(&self.ports)
    }

    /// The masks of the ABI in use.
    fn masks<R>(&self, body: impl FnOnce(&dyn PortMask) -> R) -> R {
        match &self.fifo {
            Some(memory) => body(&EventArray::new(memory)),
            None => body(&TwoLevel::new(self.hole.shared_info())),
        }
    }
}
