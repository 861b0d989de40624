//! I/O request packets: passing on, waiting, completing, and sending plug-and-play requests of our own.
//!
//! The WDK does this with inline functions over the fields of the IRP; these are ours.

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::fmt;
use core::mem::{ManuallyDrop, offset_of};
use core::ptr::NonNull;

use wdk_sys::{DEVICE_OBJECT, GUID, INTERFACE, IO_STACK_LOCATION, IRP, KEVENT, NTSTATUS, ntddk};

use crate::bugcheck;
use crate::callback::kernel_callback;
use crate::device::DeviceRef;
use crate::event::{EventKind, initialize, signal, wait_for};
use crate::irql::{AtMostDispatch, Passive};
use crate::pool::{OutOfMemory, PoolBox, Tag};
use crate::status::{Result, Status};

/// `IO_NO_INCREMENT`: completion gives the requester no priority boost.
const NO_BOOST: i8 = 0;

/// Where an IRP keeps the address of its current stack location.
const CURRENT_STACK: usize = offset_of!(
    IRP,
    Tail.Overlay
        .__bindgen_anon_2
        .__bindgen_anon_1
        .CurrentStackLocation
);

/// Completion routines are called whatever the outcome.
const INVOKE_ALWAYS: u8 = low_byte(
    wdk_sys::SL_INVOKE_ON_SUCCESS | wdk_sys::SL_INVOKE_ON_ERROR | wdk_sys::SL_INVOKE_ON_CANCEL,
);

/// `SL_PENDING_RETURNED`.
const PENDING_RETURNED: u8 = low_byte(wdk_sys::SL_PENDING_RETURNED);

/// A constant of the headers in the byte its field has.
const fn low_byte(constant: u32) -> u8 {
    assert!(constant < 0x100, "the field is a byte");
    constant.to_le_bytes()[0]
}

/// Bytes of a stack location that go down with a request: all but the completion routine.
const COPIED: usize = offset_of!(IO_STACK_LOCATION, CompletionRoutine);

/// An IRP this driver must finish: complete it or pass it on, which both consume it.
///
/// Dropping one instead stops a checked build; a release build completes it as unsuccessful.
pub struct Irp {
    irp: NonNull<IRP>,
}

// SAFETY: an IRP belongs to one driver at a time, not to a thread.
unsafe impl Send for Irp {}

impl Irp {
    /// Takes the duty to finish `irp`; none for null.
    ///
    /// # Safety
    /// Not null, `irp` was handed to this driver, in a dispatch routine or by [`Irp::into_raw`],
    /// and is finished through the result only.
    pub unsafe fn from_raw(irp: *mut IRP) -> Option<Self> {
        Some(Self {
            irp: NonNull::new(irp)?,
        })
    }

    /// Gives up the duty.
    pub fn into_raw(self) -> NonNull<IRP> {
        ManuallyDrop::new(self).irp
    }

    /// This driver's stack location: what is asked.
    pub fn stack(&self) -> &IO_STACK_LOCATION {
        // SAFETY: an IRP handed to a driver has a current location, which is the driver's.
        unsafe { &*current(self.irp) }
    }

    /// The major function (`IRP_MJ_*`).
    pub fn major(&self) -> u8 {
        self.stack().MajorFunction
    }

    /// The minor function (`IRP_MN_*`).
    pub fn minor(&self) -> u8 {
        self.stack().MinorFunction
    }

    /// The status so far.
    pub fn status(&self) -> Status {
        status_of(self.irp)
    }

    /// Sets the status the request will have.
    pub fn set_status(&mut self, status: Status) {
        set_status(self.irp, status);
    }

    /// The information so far: a number of bytes, or a pointer, as the request defines.
    pub fn information(&self) -> usize {
        // SAFETY: the IRP is ours.
        let information = unsafe { (*self.irp.as_ptr()).IoStatus.Information };
        // ULONG_PTR is 64 bits, as usize is.
        usize::try_from(information).unwrap_or(0)
    }

    /// Sets the information the request will have.
    pub fn set_information(&mut self, information: usize) {
        // SAFETY: the IRP is ours.
        unsafe { (*self.irp.as_ptr()).IoStatus.Information = information as u64 };
    }

    /// Completes the request and returns its status, which the dispatch routine returns.
    pub fn complete(mut self, status: Status, irql: &AtMostDispatch<'_>) -> Status {
        self.set_status(status);
        self.complete_unchanged(irql)
    }

    /// Completes the request with the status it has: what a PDO does with what it does not handle.
    pub fn complete_unchanged(self, irql: &AtMostDispatch<'_>) -> Status {
        let _ = irql;
        let status = self.status();
        // SAFETY: the IRP is ours and given up; the token proves DISPATCH_LEVEL at most.
        unsafe { ntddk::IofCompleteRequest(self.into_raw().as_ptr(), NO_BOOST) };
        status
    }

    /// Passes the request on unchanged, and returns what the dispatch routine returns.
    pub fn forward(self, lower: DeviceRef, irql: &AtMostDispatch<'_>) -> Status {
        let irp = self.into_raw();
        skip(irp);
        call(lower, irp, irql)
    }

    /// Passes the request on and waits until the drivers below have finished it. Then it is ours to
    /// complete. Returns its status.
    pub fn forward_and_wait(&mut self, lower: DeviceRef, irql: &Passive<'_>) -> Status {
        copy_to_next(self.irp);
        send_and_wait(lower, self.irp, irql)
    }

    /// Passes the request on and lets `finish` finish it when the drivers below have. Returns
    /// [`Status::PENDING`], which the dispatch routine returns.
    ///
    /// Without memory the request is completed, and the error is what the routine returns.
    pub fn forward_then<C: Send + 'static>(
        mut self,
        lower: DeviceRef,
        tag: Tag,
        context: C,
        finish: fn(C, Self, &mut AtMostDispatch<'_>),
        irql: &AtMostDispatch<'_>,
    ) -> Status {
        let completion = Completion {
            context,
            finish,
            tag,
        };
        let completion = match PoolBox::try_new(tag, completion) {
            Ok(completion) => PoolBox::into_raw(completion),
            Err(OutOfMemory) => return self.complete(Status::INSUFFICIENT_RESOURCES, irql),
        };
        self.mark_pending();
        let irp = self.into_raw();
        copy_to_next(irp);
        set_completion(irp, Some(finish_entry::<C>), completion.as_ptr().cast());
        let _ = call(lower, irp, irql);
        Status::PENDING
    }

    /// Says that the dispatch routine returns [`Status::PENDING`].
    pub fn mark_pending(&mut self) {
        // SAFETY: the IRP is ours, and so is its current location.
        unsafe { (*current(self.irp)).Control |= PENDING_RETURNED };
    }
}

impl Drop for Irp {
    fn drop(&mut self) {
        bugcheck::dropped_open("Irp");
        set_status(self.irp, Status::UNSUCCESSFUL);
        // SAFETY: the IRP is ours and given up. IRPs are handled at DISPATCH_LEVEL or below.
        unsafe { ntddk::IofCompleteRequest(self.irp.as_ptr(), NO_BOOST) };
    }
}

impl fmt::Debug for Irp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Irp")
            .field("major", &self.major())
            .field("minor", &self.minor())
            .field("status", &self.status())
            .finish()
    }
}

/// A completed plug-and-play request of our own.
#[derive(Debug, Clone, Copy)]
pub struct PnpAnswer {
    /// The status the drivers of the stack gave.
    pub status: Status,
    /// The information, as the request defines.
    pub information: usize,
}

/// Sends a plug-and-play request to the stack `target` is in and waits for its end. `fill` writes what is
/// asked; the major function is set already.
///
/// # Safety
/// `target` is the top of its stack or the device below ours, and what `fill` writes is a valid
/// request: all pointers in it are live until this returns.
pub unsafe fn send_pnp(
    target: DeviceRef,
    fill: impl FnOnce(&mut IO_STACK_LOCATION),
    irql: &Passive<'_>,
) -> Result<PnpAnswer> {
    // SAFETY: no preconditions at PASSIVE_LEVEL.
    let irp = unsafe { ntddk::IoAllocateIrp(target.stack_size(), 0) };
    let irp = NonNull::new(irp).ok_or(Status::INSUFFICIENT_RESOURCES)?;
    // What a PnP request that nobody handles comes back with.
    set_status(irp, Status::NOT_SUPPORTED);
    {
        // SAFETY: a new IRP has no current location, so the next one is the target's; nobody else
        // knows it.
        let next = unsafe { &mut *next(irp) };
        next.MajorFunction = const { low_byte(wdk_sys::IRP_MJ_PNP) };
        fill(next);
    }
    let status = send_and_wait(target, irp, irql);
    // SAFETY: our completion routine kept the IRP, so it is ours again.
    let information = unsafe { (*irp.as_ptr()).IoStatus.Information };
    // SAFETY: allocated above, and no driver has it.
    unsafe { ntddk::IoFreeIrp(irp.as_ptr()) };
    Ok(PnpAnswer {
        status,
        information: usize::try_from(information).unwrap_or(0),
    })
}

/// Asks the drivers of the stack for a direct-call interface (`IRP_MN_QUERY_INTERFACE`).
///
/// # Safety
/// `target` as for [`send_pnp`]. `interface` points to `size` writable bytes, which begin with an
/// [`INTERFACE`] and are what `guid` and `version` mean.
pub unsafe fn query_interface(
    target: DeviceRef,
    guid: &GUID,
    version: u16,
    size: u16,
    interface: *mut INTERFACE,
    irql: &Passive<'_>,
) -> Result<()> {
    let fill = |stack: &mut IO_STACK_LOCATION| {
        stack.MinorFunction = const { low_byte(wdk_sys::IRP_MN_QUERY_INTERFACE) };
        stack.Parameters.QueryInterface.InterfaceType = guid;
        stack.Parameters.QueryInterface.Size = size;
        stack.Parameters.QueryInterface.Version = version;
        stack.Parameters.QueryInterface.Interface = interface;
        stack.Parameters.QueryInterface.InterfaceSpecificData = core::ptr::null_mut();
    };
    // SAFETY: by the contract; the GUID and the interface live until this returns.
    let answer = unsafe { send_pnp(target, fill, irql) }?;
    answer.status.into_result()
}

/// The current stack location.
fn current(irp: NonNull<IRP>) -> *mut IO_STACK_LOCATION {
    // SAFETY: the IRP is live wherever this is called, and the field is a pointer.
    unsafe { current_field(irp).read() }
}

/// The stack location of the driver below.
fn next(irp: NonNull<IRP>) -> *mut IO_STACK_LOCATION {
    // Stack locations are used from the last to the first.
    current(irp).wrapping_sub(1)
}

fn current_field(irp: NonNull<IRP>) -> *mut *mut IO_STACK_LOCATION {
    irp.as_ptr().wrapping_byte_add(CURRENT_STACK).cast()
}

/// Lets the driver below use our stack location (`IoSkipCurrentIrpStackLocation`).
fn skip(irp: NonNull<IRP>) {
    // SAFETY: the IRP is ours.
    let location = unsafe { &mut (*irp.as_ptr()).CurrentLocation };
    *location = location.wrapping_add(1);
    let above = current(irp).wrapping_add(1);
    // SAFETY: the IRP is ours, and the field is a pointer.
    unsafe { current_field(irp).write(above) };
}

/// Copies our stack location to the driver below
/// (`IoCopyCurrentIrpStackLocationToNext`).
fn copy_to_next(irp: NonNull<IRP>) {
    let next = next(irp);
    // SAFETY: an IRP passed on has a location for the driver below, apart from ours.
    unsafe {
        next.cast::<u8>()
            .copy_from_nonoverlapping(current(irp).cast(), COPIED);
    };
    // SAFETY: as above; the location is not used by the driver below yet.
    unsafe { (*next).Control = 0 };
}

/// Has `routine` called when the driver below has finished (`IoSetCompletionRoutine`).
fn set_completion(
    irp: NonNull<IRP>,
    routine: wdk_sys::PIO_COMPLETION_ROUTINE,
    context: *mut c_void,
) {
    // SAFETY: the IRP is ours, and the location is not used by the driver below yet.
    let next = unsafe { &mut *next(irp) };
    next.CompletionRoutine = routine;
    next.Context = context;
    next.Control = INVOKE_ALWAYS;
}

fn call(lower: DeviceRef, irp: NonNull<IRP>, irql: &AtMostDispatch<'_>) -> Status {
    let _ = irql;
    // SAFETY: the IRP is ours, its next location is set, and it is not touched again by callers
    // that have not set a completion routine. The token proves DISPATCH_LEVEL at most.
    Status::from_raw(unsafe { ntddk::IofCallDriver(lower.as_ptr(), irp.as_ptr()) })
}

/// Sends an IRP whose next location is set, waits, and has it back.
fn send_and_wait(lower: DeviceRef, irp: NonNull<IRP>, irql: &Passive<'_>) -> Status {
    let done = UnsafeCell::new(KEVENT::default());
    // SAFETY: on this stack, which stays until the wait below ends, and known to nobody yet.
    unsafe { initialize(done.get(), EventKind::Notification, false) };
    set_completion(irp, Some(signal_entry), done.get().cast());
    let _ = call(lower, irp, irql);
    // Always, not only when pending: the routine runs in each case, and the IRP is back only then.
    // SAFETY: initialized above and live.
    let _ = unsafe { wait_for(done.get().cast(), None, irql) };
    status_of(irp)
}

fn status_of(irp: NonNull<IRP>) -> Status {
    // SAFETY: the IRP is live wherever this is called; the status is the block's first field.
    let status = unsafe { status_field(irp).read() };
    Status::from_raw(status)
}

fn set_status(irp: NonNull<IRP>, status: Status) {
    // SAFETY: the IRP is ours wherever this is called; the status is the block's first field.
    unsafe { status_field(irp).write(status.into_raw()) };
}

fn status_field(irp: NonNull<IRP>) -> *mut NTSTATUS {
    irp.as_ptr()
        .wrapping_byte_add(offset_of!(IRP, IoStatus))
        .cast()
}

/// What [`Irp::forward_then`] keeps until the drivers below have finished.
struct Completion<C> {
    context: C,
    finish: fn(C, Irp, &mut AtMostDispatch<'_>),
    tag: Tag,
}

kernel_callback! {
    /// # Safety
    /// Called by the kernel with an event that `send_and_wait` waits for.
    unsafe fn signal_entry(
        _: *mut DEVICE_OBJECT,
        _: *mut IRP,
        event: *mut c_void,
    ) -> NTSTATUS {
        // SAFETY: initialized in send_and_wait, which waits for it; completion runs at
        // DISPATCH_LEVEL or below.
        unsafe { signal(event.cast()) };
        Status::MORE_PROCESSING_REQUIRED.into_raw()
    }

    /// # Safety
    /// Called by the kernel with a block that `forward_then` gave away.
    unsafe fn finish_entry<C>(
        _: *mut DEVICE_OBJECT,
        irp: *mut IRP,
        context: *mut c_void,
    ) -> NTSTATUS {
        if let Some(block) = NonNull::new(context.cast::<Completion<C>>()) {
            // SAFETY: forward_then gave the block away, so it is read here only.
            let tag = unsafe { block.as_ref() }.tag;
            // SAFETY: made by into_raw with this tag, and taken over once.
            let block = PoolBox::into_inner(unsafe { PoolBox::<Completion<C>>::from_raw(block, tag) });
            // SAFETY: the IRP is ours again, since this routine keeps it from the drivers above.
            if let Some(irp) = unsafe { Irp::from_raw(irp) } {
                // SAFETY: completion runs at DISPATCH_LEVEL or below; the token ends with the call.
                let mut irql = unsafe { AtMostDispatch::assume() };
                (block.finish)(block.context, irp, &mut irql);
            }
        }
        Status::MORE_PROCESSING_REQUIRED.into_raw()
    }
}

#[cfg(test)]
mod tests {
    use core::mem::ManuallyDrop;
    use core::ptr::NonNull;

    use wdk_sys::{IO_STACK_LOCATION, IRP};

    use super::{
        INVOKE_ALWAYS, Irp, PENDING_RETURNED, copy_to_next, current, current_field, next,
        set_completion, skip,
    };
    use crate::status::Status;

    /// An IRP with three stack locations, of which the driver under test has the middle one.
    fn with_irp(test: impl FnOnce(NonNull<IRP>, *mut IO_STACK_LOCATION)) {
        let mut stack = [IO_STACK_LOCATION::default(); 3];
        stack[1].MajorFunction = 27;
        stack[1].MinorFunction = 8;
        let base = (&raw mut stack).cast::<IO_STACK_LOCATION>();
        let mut irp = IRP {
            StackCount: 3,
            CurrentLocation: 2,
            ..IRP::default()
        };
        let irp = NonNull::from(&mut irp);
        // SAFETY: the IRP is live and the field is a pointer.
        unsafe { current_field(irp).write(base.wrapping_add(1)) };
        test(irp, base);
    }

    /// Location `index` as it is now.
    fn location(base: *mut IO_STACK_LOCATION, index: usize) -> IO_STACK_LOCATION {
        assert!(index < 3);
        // SAFETY: `base` is the three locations of with_irp, which are live.
        unsafe { base.wrapping_add(index).read() }
    }

    #[test]
    fn a_skipped_location_is_the_next_drivers() {
        with_irp(|irp, stack| {
            skip(irp);
            assert_eq!(next(irp), stack.wrapping_add(1));
            // SAFETY: live in with_irp.
            assert_eq!(unsafe { irp.as_ref() }.CurrentLocation, 3);
        });
    }

    #[test]
    fn a_copied_location_has_the_request_but_not_our_control() {
        with_irp(|irp, stack| {
            let mut ours = location(stack, 1);
            ours.Control = PENDING_RETURNED;
            ours.Context = NonNull::<u8>::dangling().as_ptr().cast();
            // SAFETY: live in with_irp.
            unsafe { stack.wrapping_add(1).write(ours) };
            copy_to_next(irp);
            set_completion(irp, None, core::ptr::null_mut());
            let below = location(stack, 0);
            assert_eq!((below.MajorFunction, below.MinorFunction), (27, 8));
            assert!(below.Context.is_null());
            assert_eq!(below.Control, INVOKE_ALWAYS);
            assert_eq!(location(stack, 1).Control, PENDING_RETURNED);
        });
    }

    #[test]
    fn status_information_and_pending_are_written_to_the_irp() {
        with_irp(|raw, stack| {
            // Never dropped: there is no kernel here to complete it.
            let mut irp = ManuallyDrop::new(Irp { irp: raw });
            assert_eq!((irp.major(), irp.minor()), (27, 8));
            irp.set_status(Status::NOT_SUPPORTED);
            irp.set_information(7);
            irp.mark_pending();
            assert_eq!(
                (irp.status(), irp.information()),
                (Status::NOT_SUPPORTED, 7)
            );
            assert_eq!(current(raw), stack.wrapping_add(1));
            assert_eq!(location(stack, 1).Control, PENDING_RETURNED);
        });
    }
}
