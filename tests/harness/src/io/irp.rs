//! I/O request packets: sending, completing, cancelling, and the rules that hold between the three.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use spin::Mutex;
use wdk_sys::{DEVICE_OBJECT, DRIVER_OBJECT, IO_STACK_LOCATION, IO_STATUS_BLOCK, IRP, KEVENT};

use super::device;
use crate::driver;
use crate::ex::pool::calling_driver;
use crate::export::{Module, exports, told_to_fail};
use crate::field;
use crate::host::context::kernel;
use crate::mem::guest::{Guest, read_bytes, write_bytes};
use crate::rules;

const STATUS_PENDING: i32 = 0x103;
const MORE_PROCESSING_REQUIRED: i32 = 0xC000_0016_u32.cast_signed();
const PENDING_RETURNED: u8 = 0x01;
const INVOKE_ON_CANCEL: u8 = 0x20;
const INVOKE_ON_SUCCESS: u8 = 0x40;
const INVOKE_ON_ERROR: u8 = 0x80;
const LOCATION: usize = size_of::<IO_STACK_LOCATION>();

exports! { Module::Ntoskrnl;
    IoAllocateIrp = allocate, 0..=2, fallible;
    IoFreeIrp = free, 0..=2;
    IoInitializeIrp = initialize_export, 0..=2;
    IoReuseIrp = reuse, 0..=2;
    IofCallDriver = call, 0..=2;
    IofCompleteRequest = complete, 0..=2;
    IoBuildSynchronousFsdRequest = build_synchronous, 0..=0, fallible;
    IoCancelIrp = cancel, 0..=2;
    IoAcquireCancelSpinLock = acquire_cancel_lock, 0..=2;
    IoReleaseCancelSpinLock = release_cancel_lock, 2..=2;
}

/// Whose packet it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// `IoAllocateIrp`: the driver frees it, and reclaims it in a completion routine.
    Driver,
    /// `IoBuildSynchronousFsdRequest` or the system itself: freed when completed, after `UserEvent` is set.
    Threaded,
}

/// One dispatch in progress or passed.
#[derive(Clone, Copy, Debug)]
struct Level {
    location: i8,
    /// Completion has gone past it, with this status; the flag tells whether it was marked pending.
    passed: Option<(i32, bool)>,
}

type Levels = Arc<Mutex<Vec<Level>>>;

/// What the I/O manager keeps of a packet.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    origin: Origin,
    owner: String,
    /// Shared with the `IoCallDriver` calls in progress, which outlive the packet when it is completed inside.
    levels: Levels,
    completed: bool,
}

type Irp = *mut IRP;

fn current_location(irp: Irp) -> Guest<*mut IO_STACK_LOCATION> {
    field!(
        irp,
        IRP,
        Tail.Overlay
            .__bindgen_anon_2
            .__bindgen_anon_1
            .CurrentStackLocation
    )
}

fn status_of(irp: Irp) -> Guest<i32> {
    field!(irp, IRP, IoStatus.__bindgen_anon_1.Status)
}

fn bytes_for(stack: i8) -> usize {
    size_of::<IRP>() + usize::try_from(stack).unwrap_or(0) * LOCATION
}

fn initialize(irp: Irp, stack: i8) {
    let size = bytes_for(stack);
    write_bytes(irp as usize, &vec![0; size]);
    field!(irp, IRP, Type).store(6);
    field!(irp, IRP, Size).store(u16::try_from(size).unwrap_or(0));
    field!(irp, IRP, StackCount).store(stack);
    field!(irp, IRP, CurrentLocation).store(stack + 1);
    current_location(irp).store((irp as usize + size) as *mut IO_STACK_LOCATION);
    let list = field!(irp, IRP, ThreadListEntry);
    let link = list.pointer();
    list.store(wdk_sys::LIST_ENTRY {
        Flink: link,
        Blink: link,
    });
}

/// Makes a packet with `stack` locations.
pub(crate) fn make(stack: i8, origin: Origin, owner: String) -> usize {
    let kernel = kernel();
    let at = kernel.pool.allocate_own(bytes_for(stack));
    initialize(at as Irp, stack);
    let record = Record {
        origin,
        owner,
        levels: Levels::default(),
        completed: false,
    };
    kernel.io.irps.lock().insert(at, record);
    at
}

/// The next lower stack location of a packet: what the sender fills.
pub(crate) fn next_location(irp: usize) -> *mut IO_STACK_LOCATION {
    (current_location(irp as Irp).load() as usize - LOCATION) as *mut IO_STACK_LOCATION
}

extern "win64" fn allocate(stack: i8, _quota: u8) -> usize {
    if told_to_fail() {
        return 0;
    }
    make(stack, Origin::Driver, calling_driver())
}

extern "win64" fn free(irp: Irp) {
    let record = kernel().io.irps.lock().remove(&(irp as usize));
    match record {
        None => rules::violate(&rules::IRP_COMPLETION, format!("{irp:p} is no live IRP")),
        Some(record) => {
            if record.origin == Origin::Threaded {
                rules::violate(
                    &rules::IRP_COMPLETION,
                    "IoFreeIrp of an IRP that the I/O manager frees",
                );
            }
            if record
                .levels
                .lock()
                .iter()
                .any(|level| level.passed.is_none())
            {
                rules::violate(
                    &rules::IRP_COMPLETION,
                    format!("IRP {irp:p} freed while a driver has it"),
                );
            }
            kernel().pool.free(irp as usize, None);
        }
    }
}

extern "win64" fn initialize_export(irp: Irp, _size: u16, stack: i8) {
    initialize(irp, stack);
    let record = Record {
        origin: Origin::Driver,
        owner: calling_driver(),
        levels: Levels::default(),
        completed: false,
    };
    kernel().io.irps.lock().insert(irp as usize, record);
}

extern "win64" fn reuse(irp: Irp, status: i32) {
    let stack = field!(irp, IRP, StackCount).load();
    initialize(irp, stack);
    status_of(irp).store(status);
    if let Some(record) = kernel().io.irps.lock().get_mut(&(irp as usize)) {
        record.levels = Levels::default();
        record.completed = false;
    }
}

fn live(irp: Irp, what: &str) {
    let state = kernel()
        .io
        .irps
        .lock()
        .get(&(irp as usize))
        .map(|record| record.completed);
    match state {
        None => rules::die(
            &rules::IRP_COMPLETION,
            format!("{what}: {irp:p} is no live IRP"),
        ),
        Some(true) => rules::die(
            &rules::IRP_COMPLETION,
            format!("{what}: IRP {irp:p} is completed already"),
        ),
        Some(false) => {}
    }
}

/// Sends a packet to `object`; its next stack location says what is asked.
pub(crate) extern "win64" fn call(object: *mut DEVICE_OBJECT, irp: Irp) -> i32 {
    live(irp, "IoCallDriver");
    let kernel = kernel();
    let location = field!(irp, IRP, CurrentLocation).load() - 1;
    if location <= 0 {
        rules::die(
            &rules::IRP_STACK,
            format!("IRP {irp:p} has no stack location left"),
        );
    }
    let Some(device) = kernel.io.devices.lock().get(&(object as usize)).cloned() else {
        rules::die(
            &rules::DEVICE,
            format!("IoCallDriver: {object:p} is no live device object"),
        );
    };
    field!(irp, IRP, CurrentLocation).store(location);
    let stack = next_location(irp as usize);
    current_location(irp).store(stack);
    field!(stack, IO_STACK_LOCATION, DeviceObject).store(object);
    let major = field!(stack, IO_STACK_LOCATION, MajorFunction).load();
    let minor = field!(stack, IO_STACK_LOCATION, MinorFunction).load();
    let levels = kernel
        .io
        .irps
        .lock()
        .get(&(irp as usize))
        .map_or_else(Levels::default, |record| Arc::clone(&record.levels));
    enter_level(&levels, location);
    let status = if device.native {
        crate::pnp::root::dispatch(object as usize, irp as usize)
    } else {
        let driver = field!(object, DEVICE_OBJECT, DriverObject).load();
        let table = field!(driver, DRIVER_OBJECT, MajorFunction).cast::<usize>();
        let routine = table.index(usize::from(major)).load();
        let arguments = [object as usize, irp as usize];
        crate::low_status(driver::invoke(dispatch_name(major), routine, &arguments))
    };
    check_return(irp, (location, &levels), status, (major, minor));
    status
}

fn enter_level(levels: &Levels, location: i8) {
    let mut levels = levels.lock();
    levels.retain(|level| level.location != location);
    levels.push(Level {
        location,
        passed: None,
    });
}

const fn dispatch_name(major: u8) -> &'static str {
    match major {
        0x16 => "power dispatch routine",
        0x17 => "system control dispatch routine",
        0x1B => "PnP dispatch routine",
        _ => "dispatch routine",
    }
}

/// The dispatch routine of one location returned: do status, pending mark and completion agree?
fn check_return(
    irp: Irp,
    (location, levels): (i8, &Levels),
    status: i32,
    (major, minor): (u8, u8),
) {
    let passed = levels
        .lock()
        .iter()
        .find(|level| level.location == location)
        .map(|level| level.passed);
    let what = format!("dispatch of major {major:#x} minor {minor:#x}");
    match passed {
        Some(None) if status != STATUS_PENDING => rules::violate(
            &rules::IRP_STATUS,
            format!("{what} returned {status:#x} without completing the IRP or passing it on"),
        ),
        Some(None) => {
            let stack = irp as usize
                + size_of::<IRP>()
                + (usize::try_from(location).unwrap_or(1) - 1) * LOCATION;
            let control =
                field!(stack as *mut IO_STACK_LOCATION, IO_STACK_LOCATION, Control).load();
            if control & PENDING_RETURNED == 0 {
                rules::violate(
                    &rules::IRP_PENDING,
                    format!("{what} returned STATUS_PENDING without IoMarkIrpPending"),
                );
            }
        }
        Some(Some((_, marked))) if status == STATUS_PENDING && !marked => rules::violate(
            &rules::IRP_PENDING,
            format!("{what} returned STATUS_PENDING without IoMarkIrpPending"),
        ),
        Some(Some((_, true))) if status != STATUS_PENDING => rules::violate(
            &rules::IRP_PENDING,
            format!("{what} marked the IRP pending and returned {status:#x}"),
        ),
        Some(Some((completed, false))) if status != completed => rules::violate(
            &rules::IRP_STATUS,
            format!("{what} returned {status:#x}; the IRP was completed with {completed:#x}"),
        ),
        _ => {}
    }
}

fn pass(irp: Irp, location: i8, marked: bool) {
    let status = status_of(irp).load();
    if let Some(record) = kernel().io.irps.lock().get(&(irp as usize))
        && let Some(level) = record
            .levels
            .lock()
            .iter_mut()
            .find(|level| level.location == location)
    {
        level.passed = Some((status, marked));
    }
}

/// Completes a packet: walks back up, calling completion routines, until one takes it or the top is reached.
pub(crate) extern "win64" fn complete(irp: Irp, _boost: i8) {
    live(irp, "IoCompleteRequest");
    let status = status_of(irp).load();
    if status == STATUS_PENDING {
        rules::violate(
            &rules::IRP_STATUS,
            format!("IRP {irp:p} completed with STATUS_PENDING"),
        );
    }
    if field!(irp, IRP, CancelRoutine).load().is_some() {
        rules::violate(
            &rules::IRP_COMPLETION,
            format!("IRP {irp:p} completed with a cancel routine set"),
        );
    }
    let count = field!(irp, IRP, StackCount).load();
    loop {
        let location = field!(irp, IRP, CurrentLocation).load();
        if location > count {
            break;
        }
        let stack = current_location(irp).load();
        let control = field!(stack, IO_STACK_LOCATION, Control).load();
        let marked = control & PENDING_RETURNED != 0;
        pass(irp, location, marked);
        field!(irp, IRP, PendingReturned).store(u8::from(marked));
        let routine = field!(stack, IO_STACK_LOCATION, CompletionRoutine)
            .cast::<usize>()
            .load();
        let context = field!(stack, IO_STACK_LOCATION, Context)
            .cast::<usize>()
            .load();
        field!(irp, IRP, CurrentLocation).store(location + 1);
        let upper = (stack as usize + LOCATION) as *mut IO_STACK_LOCATION;
        current_location(irp).store(upper);
        let status = status_of(irp).load();
        let cancelled = field!(irp, IRP, Cancel).load() != 0;
        let wanted = (status >= 0 && control & INVOKE_ON_SUCCESS != 0)
            || (status < 0 && control & INVOKE_ON_ERROR != 0)
            || (cancelled && control & INVOKE_ON_CANCEL != 0);
        if wanted && routine != 0 {
            let device = if location + 1 > count {
                0
            } else {
                field!(upper, IO_STACK_LOCATION, DeviceObject).load() as usize
            };
            let result = driver::invoke(
                "completion routine",
                routine,
                &[device, irp as usize, context],
            );
            if crate::low_status(result) == MORE_PROCESSING_REQUIRED {
                return;
            }
        } else if marked && location < count {
            let control = field!(upper, IO_STACK_LOCATION, Control);
            control.store(control.load() | PENDING_RETURNED);
        }
    }
    finish(irp);
}

/// Completion has reached the top: tells whoever sent the packet.
fn finish(irp: Irp) {
    let kernel = kernel();
    let origin = {
        let mut irps = kernel.io.irps.lock();
        let record = irps.get_mut(&(irp as usize));
        record.map(|record| {
            record.completed = true;
            record.origin
        })
    };
    match origin {
        Some(Origin::Threaded) => {
            let block = field!(irp, IRP, UserIosb).load();
            let event = field!(irp, IRP, UserEvent).load();
            let mut status = [0_u8; size_of::<IO_STATUS_BLOCK>()];
            read_bytes(field!(irp, IRP, IoStatus).address(), &mut status);
            if !block.is_null() {
                write_bytes(block as usize, &status);
            }
            kernel.io.irps.lock().remove(&(irp as usize));
            kernel.pool.free(irp as usize, None);
            if !event.is_null() {
                crate::ke::object::set_event(event, 0, 0);
            }
        }
        _ => rules::violate(
            &rules::IRP_COMPLETION,
            format!(
                "IRP {irp:p} of IoAllocateIrp was completed to the end: its sender must reclaim it"
            ),
        ),
    }
}

extern "win64" fn build_synchronous(
    major: u32,
    device: *mut DEVICE_OBJECT,
    _buffer: usize,
    _length: u32,
    _offset: usize,
    event: *mut KEVENT,
    block: *mut IO_STATUS_BLOCK,
) -> usize {
    if told_to_fail() {
        return 0;
    }
    let stack = field!(device, DEVICE_OBJECT, StackSize).load();
    let irp = make(stack, Origin::Threaded, String::new());
    field!(irp as Irp, IRP, UserIosb).store(block);
    field!(irp as Irp, IRP, UserEvent).store(event);
    let next = next_location(irp);
    field!(next, IO_STACK_LOCATION, MajorFunction).store(u8::try_from(major).unwrap_or(0));
    irp
}

extern "win64" fn cancel(irp: Irp) -> u8 {
    live(irp, "IoCancelIrp");
    field!(irp, IRP, Cancel).store(1);
    let routine = field!(irp, IRP, CancelRoutine).cast::<usize>();
    let at = routine.load();
    if at == 0 {
        return 0;
    }
    routine.store(0);
    // The routine is called at DISPATCH_LEVEL and releases the cancel lock itself, to Irp->CancelIrql.
    let kernel = kernel();
    let before = kernel.sched.cpu().set_irql(2);
    field!(irp, IRP, CancelIrql).store(before);
    let object = field!(
        current_location(irp).load(),
        IO_STACK_LOCATION,
        DeviceObject
    )
    .load();
    driver::invoke_lowering(
        "cancel routine",
        at,
        &[object as usize, irp as usize],
        before,
    );
    1
}

extern "win64" fn acquire_cancel_lock(irql: *mut u8) {
    Guest::from(irql).store(kernel().sched.cpu().set_irql(2));
}

extern "win64" fn release_cancel_lock(irql: u8) {
    crate::sched::deliver::lower(&kernel().sched, irql);
}

/// The packets that drivers of image `owner` allocated and still have.
pub(crate) fn owned_by(owner: &str) -> usize {
    kernel()
        .io
        .irps
        .lock()
        .values()
        .filter(|record| record.owner == owner)
        .count()
}

/// Sends a packet of the system down the stack that `object` is in and waits for it. `fill` writes the first
/// stack location. Returns status and information. Runs at `PASSIVE_LEVEL` on a system thread.
pub(crate) fn send(
    object: usize,
    fill: impl FnOnce(*mut IO_STACK_LOCATION),
    initial: (i32, usize),
) -> (i32, usize) {
    let kernel = kernel();
    let top = device::top(object);
    let stack = field!(top as *mut DEVICE_OBJECT, DEVICE_OBJECT, StackSize).load();
    let irp = make(stack, Origin::Threaded, String::new());
    // Block and event live in guest memory, as a system thread's stack would.
    let block = kernel
        .pool
        .allocate_own(size_of::<IO_STATUS_BLOCK>() + size_of::<KEVENT>());
    let event = (block + size_of::<IO_STATUS_BLOCK>()) as *mut KEVENT;
    crate::ke::object::initialize_event(event, 0, 0);
    field!(irp as Irp, IRP, UserIosb).store(block as *mut IO_STATUS_BLOCK);
    field!(irp as Irp, IRP, UserEvent).store(event);
    status_of(irp as Irp).store(initial.0);
    field!(irp as Irp, IRP, IoStatus.Information)
        .cast::<usize>()
        .store(initial.1);
    fill(next_location(irp));
    call(top as *mut DEVICE_OBJECT, irp as Irp);
    crate::ke::wait::wait_for(&[event as usize], false, None);
    let status = Guest::<i32>::new(block).load();
    let information = Guest::<usize>::new(block + 8).load();
    kernel.pool.free(block, None);
    (status, information)
}
