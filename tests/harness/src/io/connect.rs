//! Connecting interrupts.

use alloc::format;
use alloc::vec::Vec;
use wdk_sys::{
    IO_CONNECT_INTERRUPT_PARAMETERS, IO_DISCONNECT_INTERRUPT_PARAMETERS, IO_INTERRUPT_MESSAGE_INFO,
    IO_INTERRUPT_MESSAGE_INFO_ENTRY,
};

use crate::driver;
use crate::export::{Module, exports, told_to_fail};
use crate::field;
use crate::host::context::kernel;
use crate::ke::interrupt::Connected;
use crate::ke::spinlock;
use crate::mem::guest::Guest;
use crate::pnp::Interrupt;
use crate::rules;

const STATUS_INSUFFICIENT_RESOURCES: i32 = 0xC000_009A_u32.cast_signed();
const STATUS_NOT_FOUND: i32 = 0xC000_0225_u32.cast_signed();
const STATUS_INVALID_PARAMETER: i32 = 0xC000_000D_u32.cast_signed();
const FULLY_SPECIFIED: u32 = 1;
const LINE_BASED: u32 = 2;
const MESSAGE_BASED: u32 = 3;
const FULLY_SPECIFIED_GROUP: u32 = 4;

exports! { Module::Ntoskrnl;
    IoConnectInterruptEx = connect, 0..=0, fallible;
    IoDisconnectInterruptEx = disconnect, 0..=0;
    KeSynchronizeExecution = synchronize, 0..=15;
    KeAcquireInterruptSpinLock = acquire, 0..=15;
    KeReleaseInterruptSpinLock = release, 3..=15;
}

type Parameters = *mut IO_CONNECT_INTERRUPT_PARAMETERS;

/// A KINTERRUPT as this harness lays it out: opaque to drivers, its first word a spin lock.
fn new_object() -> usize {
    kernel().pool.allocate_own(64)
}

fn hook(
    interrupt: Interrupt,
    routine: usize,
    context: usize,
    lock: usize,
    message: Option<u32>,
) -> usize {
    let object = new_object();
    let lock = if lock == 0 { object } else { lock };
    let (vector, irql) = (interrupt.vector, interrupt.irql);
    kernel().interrupts.connect(Connected {
        vector,
        irql,
        routine,
        context,
        object,
        message,
        lock,
    });
    object
}

fn interrupts_of(device: usize) -> Vec<Interrupt> {
    kernel()
        .io
        .devices
        .lock()
        .get(&device)
        .map(|device| device.resources.granted.clone())
        .unwrap_or_default()
}

extern "win64" fn connect(parameters: Parameters) -> i32 {
    if told_to_fail() {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    let version = field!(parameters, IO_CONNECT_INTERRUPT_PARAMETERS, Version);
    match version.load() {
        FULLY_SPECIFIED | FULLY_SPECIFIED_GROUP => connect_vector(parameters),
        LINE_BASED => connect_line(parameters),
        MESSAGE_BASED => connect_messages(parameters),
        _ => STATUS_INVALID_PARAMETER,
    }
}

macro_rules! part {
    ($at:expr, $which:ident, $($name:ident).+) => {
        field!($at, IO_CONNECT_INTERRUPT_PARAMETERS, __bindgen_anon_1.$which.$($name).+)
    };
}

fn connect_vector(at: Parameters) -> i32 {
    let device = part!(at, FullySpecified, PhysicalDeviceObject).load() as usize;
    let vector = part!(at, FullySpecified, Vector).load();
    let irql = part!(at, FullySpecified, Irql).load();
    let known = interrupts_of(device)
        .into_iter()
        .find(|interrupt| interrupt.vector == vector);
    let Some(interrupt) = known.filter(|interrupt| interrupt.irql == irql) else {
        rules::violate(
            &rules::PNP,
            format!(
                "IoConnectInterruptEx: vector {vector} at IRQL {irql} is no resource of the device"
            ),
        );
        return STATUS_INVALID_PARAMETER;
    };
    let object = hook(
        interrupt,
        part!(at, FullySpecified, ServiceRoutine)
            .cast::<usize>()
            .load(),
        part!(at, FullySpecified, ServiceContext)
            .cast::<usize>()
            .load(),
        part!(at, FullySpecified, SpinLock).cast::<usize>().load(),
        None,
    );
    Guest::from(part!(at, FullySpecified, InterruptObject).load())
        .cast::<usize>()
        .store(object);
    0
}

fn connect_line(at: Parameters) -> i32 {
    let device = part!(at, LineBased, PhysicalDeviceObject).load() as usize;
    let Some(interrupt) = interrupts_of(device)
        .into_iter()
        .find(|interrupt| !interrupt.message)
    else {
        return STATUS_NOT_FOUND;
    };
    let object = hook(
        interrupt,
        part!(at, LineBased, ServiceRoutine).cast::<usize>().load(),
        part!(at, LineBased, ServiceContext).cast::<usize>().load(),
        part!(at, LineBased, SpinLock).cast::<usize>().load(),
        None,
    );
    Guest::from(part!(at, LineBased, InterruptObject).load())
        .cast::<usize>()
        .store(object);
    0
}

fn connect_messages(at: Parameters) -> i32 {
    let device = part!(at, MessageBased, PhysicalDeviceObject).load() as usize;
    let all = interrupts_of(device);
    let messages: Vec<Interrupt> = all
        .iter()
        .copied()
        .filter(|interrupt| interrupt.message)
        .collect();
    let context = part!(at, MessageBased, ServiceContext)
        .cast::<usize>()
        .load();
    let lock = part!(at, MessageBased, SpinLock).cast::<usize>().load();
    let out =
        Guest::from(part!(at, MessageBased, ConnectionContext.Generic).load()).cast::<usize>();
    if messages.is_empty() {
        // A device without messages: the line, through the fall-back routine, and the version says so.
        let fall_back = part!(at, MessageBased, FallBackServiceRoutine)
            .cast::<usize>()
            .load();
        let Some(line) = all.first().filter(|_| fall_back != 0) else {
            return STATUS_NOT_FOUND;
        };
        out.store(hook(*line, fall_back, context, lock, None));
        field!(at, IO_CONNECT_INTERRUPT_PARAMETERS, Version).store(LINE_BASED);
        return 0;
    }
    let routine = part!(at, MessageBased, MessageServiceRoutine)
        .cast::<usize>()
        .load();
    let entry = size_of::<IO_INTERRUPT_MESSAGE_INFO_ENTRY>();
    let head = core::mem::offset_of!(IO_INTERRUPT_MESSAGE_INFO, MessageInfo);
    let table = kernel().pool.allocate_own(head + entry * messages.len());
    let info = table as *mut IO_INTERRUPT_MESSAGE_INFO;
    let highest = messages
        .iter()
        .map(|interrupt| interrupt.irql)
        .max()
        .unwrap_or(0);
    field!(info, IO_INTERRUPT_MESSAGE_INFO, UnifiedIrql).store(highest);
    field!(info, IO_INTERRUPT_MESSAGE_INFO, MessageCount)
        .store(u32::try_from(messages.len()).unwrap_or(0));
    for (index, interrupt) in messages.iter().enumerate() {
        let number = u32::try_from(index).unwrap_or(0);
        let object = hook(*interrupt, routine, context, lock, Some(number));
        let slot = (table + head + entry * index) as *mut IO_INTERRUPT_MESSAGE_INFO_ENTRY;
        field!(slot, IO_INTERRUPT_MESSAGE_INFO_ENTRY, InterruptObject)
            .cast::<usize>()
            .store(object);
        field!(slot, IO_INTERRUPT_MESSAGE_INFO_ENTRY, TargetProcessorSet).store(interrupt.affinity);
        field!(slot, IO_INTERRUPT_MESSAGE_INFO_ENTRY, MessageData).store(interrupt.vector);
        field!(slot, IO_INTERRUPT_MESSAGE_INFO_ENTRY, Vector).store(interrupt.vector);
        field!(slot, IO_INTERRUPT_MESSAGE_INFO_ENTRY, Irql).store(interrupt.irql);
    }
    out.store(table);
    0
}

extern "win64" fn disconnect(parameters: *mut IO_DISCONNECT_INTERRUPT_PARAMETERS) {
    let version = field!(parameters, IO_DISCONNECT_INTERRUPT_PARAMETERS, Version).load();
    let context = Guest::<usize>::new(
        parameters as usize
            + core::mem::offset_of!(IO_DISCONNECT_INTERRUPT_PARAMETERS, ConnectionContext),
    )
    .load();
    let kernel = kernel();
    let mut done = false;
    if version == MESSAGE_BASED {
        let info = context as *mut IO_INTERRUPT_MESSAGE_INFO;
        let count = field!(info, IO_INTERRUPT_MESSAGE_INFO, MessageCount).load() as usize;
        let head = core::mem::offset_of!(IO_INTERRUPT_MESSAGE_INFO, MessageInfo);
        for index in 0..count {
            let slot = (context + head + size_of::<IO_INTERRUPT_MESSAGE_INFO_ENTRY>() * index)
                as *mut IO_INTERRUPT_MESSAGE_INFO_ENTRY;
            let object = field!(slot, IO_INTERRUPT_MESSAGE_INFO_ENTRY, InterruptObject)
                .cast::<usize>()
                .load();
            done |= kernel.interrupts.disconnect(object);
            kernel.pool.free(object, None);
        }
        kernel.pool.free(context, None);
    } else {
        done = kernel.interrupts.disconnect(context);
        kernel.pool.free(context, None);
    }
    if !done {
        rules::violate(
            &rules::OBJECT,
            format!("IoDisconnectInterruptEx: {context:#x} is not connected"),
        );
    }
}

fn connected(object: usize) -> Connected {
    kernel().interrupts.of_object(object).unwrap_or_else(|| {
        rules::die(
            &rules::OBJECT,
            format!("{object:#x} is no connected interrupt"),
        )
    })
}

extern "win64" fn acquire(object: usize) -> u8 {
    let interrupt = connected(object);
    let before = kernel().sched.cpu().set_irql(interrupt.irql);
    spinlock::acquire(interrupt.lock);
    before
}

extern "win64" fn release(object: usize, irql: u8) {
    spinlock::release(connected(object).lock);
    crate::sched::deliver::lower(&kernel().sched, irql);
}

extern "win64" fn synchronize(object: usize, routine: usize, context: usize) -> u8 {
    let before = acquire(object);
    let result = driver::invoke("synchronize routine", routine, &[context]);
    release(object, before);
    u8::from(result & 0xFF != 0)
}
