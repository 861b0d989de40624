//! Interrupts.

use core::ffi::c_void;
use core::fmt;
use core::mem::ManuallyDrop;
use core::ops::Deref;
use core::ptr::NonNull;

use wdk_sys::{
    _KINTERRUPT, BOOLEAN, IO_CONNECT_INTERRUPT_PARAMETERS, IO_DISCONNECT_INTERRUPT_PARAMETERS,
    KAFFINITY, PKINTERRUPT, ULONG, ntddk,
};

use crate::bugcheck;
use crate::callback::kernel_callback;
use crate::device::DeviceRef;
use crate::irql::{Isr, Passive};
use crate::pool::{PoolBox, Tag};
use crate::status::{Result, Status};

/// Whether a service routine's device raised the interrupt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Claim {
    /// It did, and the routine has quieted it.
    Ours,
    /// It did not: another device shares the line.
    NotOurs,
}

/// What an interrupt runs, at its device's IRQL: only atomics and `Dpc::queue`. `message` is 0 but
/// for message-signalled interrupts.
pub type Routine<T> = fn(&T, message: u32, &Isr<'_>) -> Claim;

/// How the line signals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Until the device is quieted.
    LevelSensitive,
    /// Once each time.
    Latched,
}

/// One interrupt as the translated resources of `START_DEVICE` give it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vector {
    /// The vector.
    pub vector: u32,
    /// The device's IRQL.
    pub irql: u8,
    /// How it signals.
    pub mode: Mode,
    /// Whether other devices may share it.
    pub shared: bool,
    /// Processor group.
    pub group: u16,
    /// Processors of the group it may run on.
    pub affinity: u64,
}

/// Which interrupts to connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Exactly this one.
    Vector(Vector),
    /// The line the device has.
    Line,
    /// All messages the device has, or its line when it has none.
    Messages,
}

/// What the kernel and the routine reach; its address never changes.
struct Block<T> {
    routine: Routine<T>,
    context: T,
}

/// A connected interrupt with its context, which the owner reaches by dereferencing.
///
/// Must be disconnected: dropping it stops a checked build and leaks it in a release build.
pub struct Interrupt<T: Send + Sync + 'static> {
    block: ManuallyDrop<PoolBox<Block<T>>>,
    /// `CONNECT_*`: how it is connected.
    version: ULONG,
    /// A `KINTERRUPT`, or the table of messages, as `version` says.
    connection: NonNull<c_void>,
}

// SAFETY: the connection belongs to the system, not to a thread; the context is shared as its type
// allows.
unsafe impl<T: Send + Sync> Send for Interrupt<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Interrupt<T> {}

impl<T: Send + Sync + 'static> Interrupt<T> {
    /// Connects. The routine may run before this returns.
    ///
    /// `pdo` is the physical device object the interrupt belongs to.
    pub fn connect(
        tag: Tag,
        pdo: DeviceRef,
        source: Source,
        context: T,
        routine: Routine<T>,
        _irql: &Passive<'_>,
    ) -> Result<Self> {
        let block = PoolBox::try_new(tag, Block { routine, context })?;
        let mut connection: *mut c_void = core::ptr::null_mut();
        let mut parameters = parameters::<T>(
            pdo,
            source,
            PoolBox::as_non_null(&block).as_ptr().cast(),
            (&raw mut connection).cast(),
        );
        // SAFETY: the parameters name live objects; the context is the block the entry points
        // expect, which disconnect keeps alive. The token proves PASSIVE_LEVEL.
        let status = unsafe { ntddk::IoConnectInterruptEx(&raw mut parameters) };
        Status::from_raw(status).into_result()?;
        let connection = NonNull::new(connection).ok_or(Status::UNSUCCESSFUL)?;
        Ok(Self {
            block: ManuallyDrop::new(block),
            // The kernel writes CONNECT_LINE_BASED there when a device has no messages.
            version: parameters.Version,
            connection,
        })
    }

    /// Disconnects and returns the context. When this returns no call runs or will come.
    pub fn disconnect(mut self, _irql: &Passive<'_>) -> T {
        let mut parameters = IO_DISCONNECT_INTERRUPT_PARAMETERS {
            Version: self.version,
            ..IO_DISCONNECT_INTERRUPT_PARAMETERS::default()
        };
        parameters.ConnectionContext.Generic = self.connection.as_ptr();
        // SAFETY: the connection is live and ours; the token proves PASSIVE_LEVEL.
        unsafe { ntddk::IoDisconnectInterruptEx(&raw mut parameters) };
        // SAFETY: taken once; ManuallyDrop::new below keeps drop from running.
        let block = unsafe { ManuallyDrop::take(&mut self.block) };
        let _disconnected = ManuallyDrop::new(self);
        PoolBox::into_inner(block).context
    }
}

fn parameters<T>(
    pdo: DeviceRef,
    source: Source,
    context: *mut c_void,
    connection: *mut PKINTERRUPT,
) -> IO_CONNECT_INTERRUPT_PARAMETERS {
    let mut parameters = IO_CONNECT_INTERRUPT_PARAMETERS::default();
    match source {
        Source::Vector(vector) => {
            parameters.Version = wdk_sys::CONNECT_FULLY_SPECIFIED_GROUP;
            let to = &raw mut parameters.__bindgen_anon_1.FullySpecified;
            let specified = wdk_sys::IO_CONNECT_INTERRUPT_FULLY_SPECIFIED_PARAMETERS {
                PhysicalDeviceObject: pdo.as_ptr(),
                InterruptObject: connection,
                ServiceRoutine: Some(line_entry::<T>),
                ServiceContext: context,
                SpinLock: core::ptr::null_mut(),
                SynchronizeIrql: vector.irql,
                FloatingSave: 0,
                ShareVector: BOOLEAN::from(vector.shared),
                Vector: vector.vector,
                Irql: vector.irql,
                InterruptMode: match vector.mode {
                    Mode::LevelSensitive => wdk_sys::_KINTERRUPT_MODE::LevelSensitive,
                    Mode::Latched => wdk_sys::_KINTERRUPT_MODE::Latched,
                },
                ProcessorEnableMask: vector.affinity as KAFFINITY,
                Group: vector.group,
            };
            // SAFETY: a field of a live variable.
            unsafe { to.write(specified) };
        }
        Source::Line => {
            parameters.Version = wdk_sys::CONNECT_LINE_BASED;
            let to = &raw mut parameters.__bindgen_anon_1.LineBased;
            let line = wdk_sys::IO_CONNECT_INTERRUPT_LINE_BASED_PARAMETERS {
                PhysicalDeviceObject: pdo.as_ptr(),
                InterruptObject: connection,
                ServiceRoutine: Some(line_entry::<T>),
                ServiceContext: context,
                SpinLock: core::ptr::null_mut(),
                SynchronizeIrql: 0,
                FloatingSave: 0,
            };
            // SAFETY: a field of a live variable.
            unsafe { to.write(line) };
        }
        Source::Messages => {
            parameters.Version = wdk_sys::CONNECT_MESSAGE_BASED;
            let to = &raw mut parameters.__bindgen_anon_1.MessageBased;
            let mut messages = wdk_sys::IO_CONNECT_INTERRUPT_MESSAGE_BASED_PARAMETERS {
                PhysicalDeviceObject: pdo.as_ptr(),
                MessageServiceRoutine: Some(message_entry::<T>),
                ServiceContext: context,
                SpinLock: core::ptr::null_mut(),
                SynchronizeIrql: 0,
                FloatingSave: 0,
                FallBackServiceRoutine: Some(line_entry::<T>),
                ..Default::default()
            };
            messages.ConnectionContext.InterruptObject = connection;
            // SAFETY: a field of a live variable.
            unsafe { to.write(messages) };
        }
    }
    parameters
}

/// Runs the routine of a block.
///
/// # Safety
/// Called in a service routine, with a context that `connect` gave the kernel.
unsafe fn serve<T>(context: *mut c_void, message: ULONG) -> BOOLEAN {
    // SAFETY: the context is the block, which disconnect keeps alive while calls can come.
    let block = unsafe { &*context.cast::<Block<T>>() };
    // SAFETY: this is a service routine by the contract, and the token ends with this call.
    let irql = unsafe { Isr::assume() };
    BOOLEAN::from((block.routine)(&block.context, message, &irql) == Claim::Ours)
}

kernel_callback! {
    /// # Safety
    /// Called by the kernel with a context that `connect` gave it.
    unsafe fn line_entry<T>(_: *mut _KINTERRUPT, context: *mut c_void) -> BOOLEAN {
        // SAFETY: this is a service routine, with our context.
        unsafe { serve::<T>(context, 0) }
    }

    /// # Safety
    /// Called by the kernel with a context that `connect` gave it.
    unsafe fn message_entry<T>(
        _: *mut _KINTERRUPT,
        context: *mut c_void,
        message: ULONG,
    ) -> BOOLEAN {
        // SAFETY: this is a service routine, with our context.
        unsafe { serve::<T>(context, message) }
    }
}

impl<T: Send + Sync + 'static> Deref for Interrupt<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.block.context
    }
}

impl<T: Send + Sync + 'static> Drop for Interrupt<T> {
    fn drop(&mut self) {
        bugcheck::dropped_open("Interrupt");
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for Interrupt<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interrupt")
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}
