//! The one registry of exports: name, function, IRQL range, and the gate every call passes.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;
use spin::Lazy;

use crate::host::context::kernel;
use crate::host::gate::Thunks;
use crate::rules;

/// Which module's export table a name is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Module {
    /// ntoskrnl.exe.
    Ntoskrnl,
    /// hal.dll; since Windows 10 a forwarder to ntoskrnl.exe, so its names are found in either.
    Hal,
    /// ndis.sys.
    Ndis,
}

impl Module {
    fn of(file: &str) -> Option<Self> {
        match file.to_ascii_lowercase().as_str() {
            "ntoskrnl.exe" => Some(Self::Ntoskrnl),
            "hal.dll" => Some(Self::Hal),
            "ndis.sys" => Some(Self::Ndis),
            _ => None,
        }
    }
}

/// One exported function.
#[derive(Clone, Copy, Debug)]
pub struct Export {
    /// Whose export it is.
    pub module: Module,
    /// Name in the export table.
    pub name: &'static str,
    /// The `extern "win64"` function.
    pub target: usize,
    /// Lowest and highest IRQL it may be called at, from the function's page (Requirements, IRQL).
    pub irql: (u8, u8),
    /// It has a documented failure for want of resources: the fault sweep may make it fail.
    pub may_fail: bool,
}

/// The exports of one file: `exports!(Module::Ntoskrnl; KeSetEvent = set_event, 0..2; ...)`.
/// `fallible` marks functions that the fault sweep may fail.
macro_rules! exports {
    ($module:expr; $($name:ident = $target:path, $low:literal..=$high:literal $(, $fallible:ident)?;)+) => {
        pub(crate) fn exports() -> ::alloc::vec::Vec<$crate::export::Export> {
            ::alloc::vec![$($crate::export::Export {
                module: $module,
                name: stringify!($name),
                target: $target as *const () as usize,
                irql: ($low, $high),
                may_fail: $crate::export::exports!(@fallible $($fallible)?),
            }),+]
        }
    };
    (@fallible) => { false };
    (@fallible fallible) => { true };
}
pub(crate) use exports;

/// All exports, with their thunks.
#[derive(Debug)]
pub(crate) struct Registry {
    exports: Vec<Export>,
    hashes: Vec<u64>,
    by_name: BTreeMap<&'static str, usize>,
    thunks: Thunks,
}

static REGISTRY: Lazy<Registry> = Lazy::new(|| {
    let exports: Vec<Export> = crate::all_exports();
    let thunks = Thunks::new(exports.len()).expect("the system gives a few pages of memory");
    let hashes = exports
        .iter()
        .map(|export| name_hash(export.name))
        .collect();
    let mut by_name = BTreeMap::new();
    for (index, export) in exports.iter().enumerate() {
        let before = by_name.insert(export.name, index);
        assert!(before.is_none(), "{} is exported twice", export.name);
    }
    Registry {
        exports,
        hashes,
        by_name,
        thunks,
    }
});

fn name_hash(name: &str) -> u64 {
    name.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    })
}

/// Address a driver is given for `name` imported from `file`; `None` if there is no such export.
pub(crate) fn resolve(file: &str, name: &str) -> Option<usize> {
    let module = Module::of(file)?;
    let index = *REGISTRY.by_name.get(name)?;
    let owner = REGISTRY.exports.get(index)?.module;
    let kernel_side = |module| matches!(module, Module::Ntoskrnl | Module::Hal);
    (owner == module || (kernel_side(owner) && kernel_side(module)))
        .then(|| REGISTRY.thunks.address(index))
}

/// Address for a name asked for at run time (`MmGetSystemRoutineAddress`).
pub(crate) fn find_kernel_routine(name: &str) -> Option<usize> {
    resolve("ntoskrnl.exe", name)
}

/// Whether `address` is an export's thunk.
pub(crate) fn is_thunk(address: usize) -> bool {
    REGISTRY.thunks.contains(address)
}

/// Every export, for documents and tests.
pub fn all() -> &'static [Export] {
    &REGISTRY.exports
}

/// Every call from a driver passes here first. Returns the address of the function to continue in.
pub(crate) fn entered(index: usize, caller: usize, frame: usize) -> usize {
    let kernel = kernel();
    let export = &REGISTRY.exports[index];
    kernel.sched.lock.acquire(kernel.sched.cpu().index);
    let cpu = kernel.sched.cpu();
    cpu.passed();
    let thread = kernel.sched.current();
    thread.note_call(export.name, caller, frame);
    let irql = cpu.irql();
    if irql < export.irql.0 || irql > export.irql.1 {
        rules::violate(
            &rules::IRQL,
            format!(
                "{} called at IRQL {irql}; it allows {} to {}",
                export.name, export.irql.0, export.irql.1
            ),
        );
    }
    kernel.trace.call(cpu.index, REGISTRY.hashes[index], irql);
    if export.may_fail && kernel.faults.decide(export.name) {
        thread.fail_next();
    }
    kernel.sched.preemption_point();
    export.target
}

/// Whether calls must come back through [`left`]: the kernel lock is to be given back.
pub(crate) fn comes_back() -> bool {
    kernel().sched.is_parallel()
}

/// The export that the running thread entered last returns to driver code. Returns the address to continue at.
pub(crate) fn left() -> usize {
    let kernel = kernel();
    let to = kernel.sched.current().returns.lock().pop();
    kernel.sched.cpu().passed();
    kernel.sched.lock.release();
    to.expect("every entry has a way back")
}

/// Whether the export now running was chosen to fail by the fault plan. Asking clears it.
pub(crate) fn told_to_fail() -> bool {
    kernel().sched.current().take_failure()
}
