//! The harness in a kernel of its own: what such a kernel supplies ([`Host`]) and what it calls.
//!
//! # How the kernel uses the harness
//! 1. It brings up page tables, heap, descriptor tables and time, and calls [`install`] once, on processor 0.
//! 2. It builds a machine with [`crate::Harness::builder`], loads the drivers from memory with
//!    [`crate::Harness::load_image`], and drives it, all on processor 0. The other processors are started by the
//!    harness through [`Host::start_cpu`] when the machine is built.
//! 3. Its interrupt stubs call [`interrupt`] (or [`tick`] for a timer of its own), its exception stubs [`fault`].
//!
//! # Rules
//! * Harness code runs with interrupts enabled, except inside [`interrupt`], [`tick`], [`fault`] and the `ready`
//!   argument of [`Host::idle`]. It never disables them otherwise, so no method of [`Host`] may rely on that.
//! * [`interrupt`] takes no lock and allocates nothing unless the interrupted instruction is driver code; so it
//!   may be called from any place, the kernel's allocator included.
//! * Interrupts are delivered on the stack that was interrupted (no IST): a driver's service routine may run on it,
//!   with interrupts enabled, before [`interrupt`] returns. Acknowledge (end of interrupt) before the call, save all
//!   integer registers around it; SSE state is the harness's own matter.
//! * Exceptions 1 to 31 use a stack of their own per processor (IST): a driver's stack may be what is
//!   broken. [`fault`] does not return if the fault is a driver's; the stack is then free for the next fault.
//! * Code is compiled without SSE (target `x86_64-unknown-none`), but drivers use it: CR4.OSFXSR and
//!   CR4.OSXMMEXCPT are set and CR0.EM and CR0.TS clear on every processor.
//! * Frame numbers are real guest frame numbers: drivers pass them to Xen.
//! * IRQL is not CR8: drivers import the functions that change it. CR8 stays 0.

pub(crate) mod cell;
pub(crate) mod memory;
pub(crate) mod processor;
pub(crate) mod trap;

use alloc::boxed::Box;

use spin::Once;

pub use super::HostError;
pub use super::memory::Access;
pub use super::trap::{Fault, Registers};
pub use trap::{fault, interrupt, tick};

/// What [`Fault::number`] counts.
pub(crate) const FAULT_NUMBER: &str = "exception";

/// Consecutive guest frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameRange {
    /// Number of the first: guest-physical address divided by 4096. Below 2^28.
    pub first: u32,
    /// How many.
    pub count: u32,
}

/// Virtual addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    /// First address, a multiple of 4096.
    pub base: usize,
    /// Bytes, a multiple of 4096.
    pub len: usize,
}

/// What a kernel supplies. All methods may be called on several processors at once.
pub trait Host: Sync {
    // Memory.

    /// Memory handed to the harness for good: pools, stacks, images, what drivers share with backends. At least 64 MiB
    /// together. Ordered by address, not containing frame 0.
    fn ram(&self) -> &[FrameRange];

    /// Guest-physical frames without memory, above all RAM, where drivers put grant table and shared info frames
    /// (`XENMEM_add_to_physmap`): the memory BAR of the platform device. At least 256 frames.
    fn hole(&self) -> FrameRange;

    /// Virtual address at which guest-physical address 0 would show: every frame of [`Host::ram`],
    /// [`Host::hole`], and from there to 4 GiB, is readable and writable (not executable) at `alias() + address`, always.
    fn alias(&self) -> usize;

    /// Virtual addresses in the upper half that belong to the harness, initially all inaccessible. At least 1 GiB; page
    /// tables may be made on demand by [`Host::map`].
    fn window(&self) -> AddressRange;

    /// Shows `pages` consecutive frames from `first` at `at` (in the window) with `access`, in place of whatever is there.
    /// The same frame may show at several addresses. Returns when every processor sees the change.
    fn map(&self, at: usize, first: u32, pages: usize, access: Access) -> Result<(), HostError>;

    /// Changes the access of pages that [`Host::map`] mapped. Returns when every processor sees the change.
    fn protect(&self, at: usize, pages: usize, access: Access) -> Result<(), HostError>;

    /// Makes pages inaccessible. Returns when every processor sees the change.
    fn unmap(&self, at: usize, pages: usize) -> Result<(), HostError>;

    /// Copies `code` to memory of the kernel's own that is executable and not writable, for good; the address.
    /// Called once, for some 16 KiB.
    fn install_code(&self, code: &[u8]) -> Result<usize, HostError>;

    // Processors.

    /// Processors there are, 1 to 64, numbered from 0 as Xen numbers the virtual CPUs.
    fn cpus(&self) -> u32;

    /// The processor that runs the call (a GS-relative read).
    fn cpu(&self) -> u32;

    /// Runs `body` on processor `cpu` (not 0), on a stack of at least 64 KiB with interrupts enabled. Called once per
    /// processor and machine; if `body` returns, the processor halts until it is started again.
    fn start_cpu(&self, cpu: u32, body: Box<dyn FnOnce() + Send>) -> Result<(), HostError>;

    /// Waits for an interrupt, for [`Host::wake`], or for [`Host::now`] to reach `until`, whichever is first; may
    /// return early. Does not wait if `ready` says so: it is asked with interrupts disabled, and what makes it true
    /// afterwards must end the wait (`cli`, ask, `sti; hlt`). Interrupts are enabled on return.
    fn idle(&self, until: Option<u64>, ready: &dyn Fn() -> bool);

    /// Ends the [`Host::idle`] of processor `cpu`, or its next one (an interrupt to that processor; nothing else
    /// is expected of it).
    fn wake(&self, cpu: u32);

    /// The service routines of interrupt `vector` have run: a level-triggered line may be let through again. Called on the
    /// processor that took it, with interrupts enabled.
    fn served(&self, vector: u32);

    /// One turn of a busy wait: `pause`, or giving the rest of the time slice to the hypervisor.
    fn relax(&self);

    // Time.

    /// Monotonic time since an arbitrary start, in 100 ns units; the same on every processor.
    fn now(&self) -> u64;

    // Reports.

    /// Writes one line of text, without its end, to the console.
    fn print(&self, line: &str);

    /// Reports `why` and stops the machine: the harness itself is broken.
    fn stop(&self, why: &str) -> !;
}

static HOST: Once<&'static dyn Host> = Once::new();

/// Gives the harness its host. Called once, before anything else of the harness.
pub fn install(host: &'static dyn Host) {
    HOST.call_once(|| host);
}

/// Whether there is a host: before, nothing of the harness runs, and interrupts are the kernel's alone.
pub(crate) fn is_installed() -> bool {
    HOST.is_completed()
}

/// The host.
pub(crate) fn host() -> &'static dyn Host {
    match HOST.get() {
        Some(host) => *host,
        // Nothing can be printed without a host.
        None => loop {
            core::hint::spin_loop();
        },
    }
}
