//! The contract: every rule the harness enforces, with the text it comes from.
//!
//! A rule is enforced by calling [`violate`] at the place that sees it broken. The run goes on (so that one
//! test shows all that is wrong) unless continuing makes no sense; either way the test fails.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use spin::Mutex;

use crate::host::context;

/// One rule of the contract.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Short name, unique, used by the tests that prove the rule is enforced.
    pub id: &'static str,
    /// Where the rule is written.
    pub cite: &'static str,
}

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident = $id:literal, $cite:literal;)+) => {
        $($(#[$doc])* pub static $name: Rule = Rule { id: $id, cite: $cite };)+

        /// Every rule, for the tests that compare them with the contract.
        pub static ALL: &[&Rule] = &[$(&$name),+];
    };
}

rules! {
    /// A function was called above or below the IRQL it allows.
    IRQL = "irql", "function's page, Requirements table, IRQL row; ndis-contract 9.1";
    /// A callback returned at another IRQL than it was entered.
    IRQL_RESTORED = "irql-restored", "ndis-contract 9.1; Driver Verifier, force IRQL checking";
    /// A callback returned with a spin lock it took.
    LOCK_BALANCE = "lock-balance", "ndis-contract 4.7 (SpinLockBalanced), 9.1";
    /// A spin lock was taken by the processor that holds it.
    LOCK_RECURSION = "lock-recursion", "KeAcquireSpinLock, Remarks; Driver Verifier, deadlock detection";
    /// A spin lock was released by a processor that does not hold it.
    LOCK_OWNER = "lock-owner", "KeReleaseSpinLock, Remarks";
    /// Locks were taken in both orders, or every processor waits for another.
    DEADLOCK = "deadlock", "Driver Verifier, deadlock detection";
    /// Raised to a lower level, or lowered to a higher one.
    IRQL_DIRECTION = "irql-direction", "KeRaiseIrql, KeLowerIrql, Remarks";
    /// A wait that may block at `DISPATCH_LEVEL` or above.
    WAIT_IRQL = "wait-irql", "KeWaitForSingleObject, Requirements, IRQL";
    /// A driver thread or callback used more kernel stack than there is.
    STACK = "stack", "ndis-contract 6.2: 24 KB kernel stack";
    /// A pointer that the driver may not read or write.
    POINTER = "pointer", "Driver Verifier, special pool; ndis-contract 4.7";
    /// Driver code faulted.
    FAULT = "fault", "KeBugCheckEx 0x1E, 0x50, 0xD1";
    /// The driver stopped the system.
    BUGCHECK = "bugcheck", "KeBugCheckEx";
    /// The image breaks a loading rule.
    IMAGE = "image", "ndis-contract 6.1, 6.2";
    /// An indirect call to an address that is not in the function table.
    GUARD = "guard-cf", "ndis-contract 6.2 (CFG); bug check 0x139, 10";
    /// The security cookie's check failed, or the code took an exit that must not be reached.
    FAIL_FAST = "fail-fast", "bug check 0x139";
    /// Pool memory asked for without a tag, or of an executable kind.
    POOL_KIND = "pool-kind", "ndis-contract 6.1: 0x2000; 4.7: tag required";
    /// Paged pool used at `DISPATCH_LEVEL`.
    POOL_IRQL = "pool-irql", "ExAllocatePoolWithTag, Requirements, IRQL";
    /// Pool memory freed twice, or an address that is no pool block.
    POOL_FREE = "pool-free", "ExFreePoolWithTag; bug check 0xC2";
    /// Pool memory freed with another tag.
    POOL_TAG = "pool-tag", "ExFreePoolWithTag, Tag parameter";
    /// Bytes around a pool block were written.
    POOL_OVERRUN = "pool-overrun", "Driver Verifier, special pool; bug check 0xC1";
    /// Pool memory that still holds a timer, DPC, lock or other live object was freed.
    POOL_LIVE = "pool-live", "bug check 0xC7; Driver Verifier, ndis-contract 4.7";
    /// Something was still allocated, queued or registered when the driver unloaded.
    LEAK = "leak", "Driver Verifier, pool tracking; bug check 0xC4, 0x62";
    /// An object was used before it was initialised or as another type.
    OBJECT = "object", "Ke/Ex initialisation functions; Driver Verifier, miscellaneous checks";
    /// A mutex was released by a thread that does not own it.
    MUTEX_OWNER = "mutex-owner", "KeReleaseMutex; STATUS_MUTANT_NOT_OWNED";
    /// An IRP was completed twice, or touched after completion.
    IRP_COMPLETION = "irp-completion", "ndis-contract 8.1; Driver Verifier, I/O verification; bug check 0x44";
    /// `STATUS_PENDING` and `IoMarkIrpPending` do not agree.
    IRP_PENDING = "irp-pending", "ndis-contract 8.1: IoMarkIrpPending before returning STATUS_PENDING";
    /// The dispatch routine's return value is not the IRP's status.
    IRP_STATUS = "irp-status", "ndis-contract 8.1: return value == IoStatus.Status when not pending";
    /// No stack location is left, or the IRP is not where it should be.
    IRP_STACK = "irp-stack", "IoCallDriver; bug check 0x35";
    /// A plug and play rule was broken.
    PNP = "pnp", "ndis-contract 8.1, 8.2";
    /// An id that the bus driver returned is malformed.
    PNP_ID = "pnp-id", "ndis-contract 8.2 (QUERY_ID); bug check 0xCA";
    /// A device object rule was broken.
    DEVICE = "device", "ndis-contract 8.2: device object flags";
    /// A power rule was broken.
    POWER = "power", "ndis-contract 8.3";
    /// Remove lock misuse.
    REMOVE_LOCK = "remove-lock", "IoAcquireRemoveLock, IoReleaseRemoveLockAndWait; ndis-contract 8.1";
    /// Nothing can run and the call made into the driver has not returned.
    HANG = "hang", "ndis-contract 9.2: time limits; 8.3: power watchdog";
    /// Driver code ran for seconds without a call: it loops, or waits for memory that only another processor changes.
    RUN_AWAY = "run-away", "bug check 0x133 (DPC_WATCHDOG_VIOLATION); ndis-contract 9.2: time limits";
    /// A busy wait too long for the IRQL.
    STALL = "stall", "KeStallExecutionProcessor: 50 microseconds";
    /// Executable memory or mapping asked for.
    EXECUTABLE = "executable", "ndis-contract 6.1: 0x2001, 0x2002";
    /// A memory descriptor list used against its rules.
    MDL = "mdl", "MmMapLockedPagesSpecifyCache, IoFreeMdl; ndis-contract 6.1";
    /// A critical or guarded region was left unbalanced.
    REGION = "region", "KeEnterCriticalRegion; ndis-contract 9.1";
}

/// One broken rule.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Which rule.
    pub rule: &'static Rule,
    /// What happened.
    pub detail: String,
    /// Driver and relative address of the last call into the harness, where known.
    pub site: String,
    /// Virtual processor.
    pub cpu: u32,
    /// IRQL at that moment.
    pub irql: u8,
    /// Virtual time, 100 ns units since the start.
    pub time: u64,
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "[{}] {} (at {}, cpu {}, IRQL {}, t={}; rule: {})",
            self.rule.id, self.detail, self.site, self.cpu, self.irql, self.time, self.rule.cite
        )
    }
}

/// What has been broken so far.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    found: Mutex<Vec<Violation>>,
    fatal: core::sync::atomic::AtomicBool,
}

impl Ledger {
    pub(crate) fn all(&self) -> Vec<Violation> {
        self.found.lock().clone()
    }

    pub(crate) fn take(&self) -> Vec<Violation> {
        core::mem::take(&mut *self.found.lock())
    }

    /// Whether a driver did something after which nothing it does means anything.
    pub(crate) fn is_fatal(&self) -> bool {
        self.fatal.load(core::sync::atomic::Ordering::Acquire)
    }

    pub(crate) fn push(&self, violation: Violation) {
        #[cfg(not(feature = "linux"))]
        crate::host::bare::host().print(&alloc::format!("VIOLATION {violation}"));
        self.found.lock().push(violation);
    }
}

/// Records that `rule` was broken by the code now running, and lets it go on.
pub fn violate(rule: &'static Rule, detail: impl Into<String>) {
    let kernel = context::kernel();
    let cpu = kernel.sched.cpu();
    kernel.rules.push(Violation {
        rule,
        detail: detail.into(),
        site: kernel.last_site(),
        cpu: cpu.index,
        irql: cpu.irql(),
        time: kernel.sched.now(),
    });
}

/// Records that `rule` was broken and ends the run: the calling fiber never continues.
pub fn die(rule: &'static Rule, detail: impl Into<String>) -> ! {
    violate(rule, detail);
    let kernel = context::kernel();
    if context::on_fiber() {
        kernel.sched.lock.ensure(kernel.sched.cpu().index);
    }
    kernel
        .rules
        .fatal
        .store(true, core::sync::atomic::Ordering::Release);
    kernel.sched.abandon()
}
