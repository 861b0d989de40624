// What the test drivers need of NT, written apart from the bindings that the shipped drivers use.
// Offsets are those of tests/data/facts/nt-layout.csv.
// These drivers are written as C drivers are, with raw pointers and no safe layer: what such code can do
// is what the harness must catch. They run in the harness only, so their unsafe blocks carry no reasons.
#![allow(dead_code, non_snake_case, unsafe_op_in_unsafe_fn, missing_docs)]

pub type Ptr = *mut u8;

#[link(name = "ntoskrnl.exe", kind = "raw-dylib", modifiers = "+verbatim")]
unsafe extern "system" {
    pub fn KeBugCheckEx(code: u32, a: usize, b: usize, c: usize, d: usize) -> !;
    pub fn KeGetCurrentIrql() -> u8;
    pub fn KfRaiseIrql(to: u8) -> u8;
    pub fn KeLowerIrql(to: u8);
    pub fn KeAcquireSpinLockRaiseToDpc(lock: Ptr) -> u8;
    pub fn KeReleaseSpinLock(lock: Ptr, irql: u8);
    pub fn KeInitializeEvent(event: Ptr, kind: i32, state: u8);
    pub fn KeSetEvent(event: Ptr, increment: i32, wait: u8) -> i32;
    pub fn KeWaitForSingleObject(object: Ptr, reason: i32, mode: i8, alertable: u8, limit: *const i64) -> i32;
    pub fn KeDelayExecutionThread(mode: i8, alertable: u8, interval: *const i64) -> i32;
    pub fn KeInitializeDpc(dpc: Ptr, routine: usize, context: Ptr);
    pub fn KeInsertQueueDpc(dpc: Ptr, a: usize, b: usize) -> u8;
    pub fn KeRemoveQueueDpc(dpc: Ptr) -> u8;
    pub fn KeFlushQueuedDpcs();
    pub fn KeInitializeTimerEx(timer: Ptr, kind: i32);
    pub fn KeSetTimerEx(timer: Ptr, due: i64, period: u32, dpc: Ptr) -> u8;
    pub fn KeCancelTimer(timer: Ptr) -> u8;
    pub fn ExAllocatePoolWithTag(kind: i32, size: usize, tag: u32) -> Ptr;
    pub fn ExFreePoolWithTag(block: Ptr, tag: u32);
    pub fn PsCreateSystemThread(
        handle: *mut usize, access: u32, attributes: usize, process: usize, client: usize, routine: usize,
        context: Ptr,
    ) -> i32;
    pub fn PsTerminateSystemThread(status: i32) -> i32;
    pub fn ObReferenceObjectByHandle(
        handle: usize, access: u32, kind: usize, mode: i8, out: *mut Ptr, information: usize,
    ) -> i32;
    pub fn ObfDereferenceObject(object: Ptr) -> isize;
    pub fn ObfReferenceObject(object: Ptr) -> isize;
    pub fn ZwClose(handle: usize) -> i32;
    pub fn IoCreateDevice(
        driver: Ptr, extension: u32, name: Ptr, kind: u32, characteristics: u32, exclusive: u8, out: *mut Ptr,
    ) -> i32;
    pub fn IoDeleteDevice(device: Ptr);
    pub fn IoAttachDeviceToDeviceStack(source: Ptr, target: Ptr) -> Ptr;
    pub fn IoDetachDevice(target: Ptr);
    pub fn IofCallDriver(device: Ptr, irp: Ptr) -> i32;
    pub fn IofCompleteRequest(irp: Ptr, boost: i8);
    pub fn IoConnectInterruptEx(parameters: Ptr) -> i32;
    pub fn IoDisconnectInterruptEx(parameters: Ptr);
    pub fn IoAllocateWorkItem(device: Ptr) -> Ptr;
    pub fn IoQueueWorkItemEx(item: Ptr, routine: usize, kind: i32, context: Ptr);
    pub fn IoFreeWorkItem(item: Ptr);
    pub fn PoRequestPowerIrp(
        device: Ptr, minor: u8, state: u32, routine: usize, context: Ptr, out: *mut Ptr,
    ) -> i32;
    pub fn MmMapIoSpaceEx(start: u64, len: usize, protect: u32) -> Ptr;
    pub fn MmUnmapIoSpace(address: Ptr, len: usize);
    pub fn MmGetPhysicalAddress(address: Ptr) -> u64;
    pub fn memset(to: Ptr, byte: i32, len: usize) -> Ptr;
    pub fn memcpy(to: Ptr, from: *const u8, len: usize) -> Ptr;
}

#[link(name = "ntoskrnl.exe", kind = "raw-dylib", modifiers = "+verbatim")]
unsafe extern "C" {
    pub fn DbgPrintEx(component: u32, level: u32, format: *const i8, ...) -> u32;
}

#[unsafe(no_mangle)]
pub static _fltused: i32 = 0;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    unsafe { KeBugCheckEx(0xBAD, 0, 0, 0, 0) }
}

pub const TAG: u32 = u32::from_le_bytes(*b"Test");
pub const NON_PAGED_NX: i32 = 512;
pub const PAGED: i32 = 1;
pub const PENDING: i32 = 0x103;

/// The `T` at `base + offset`.
pub unsafe fn at<T>(base: Ptr, offset: usize) -> *mut T {
    base.add(offset).cast()
}

/// `MajorFunction[index]` of a driver object.
pub unsafe fn major(driver: Ptr, index: usize) -> *mut usize {
    at::<usize>(driver, 112).add(index)
}

pub unsafe fn extension(device: Ptr) -> Ptr {
    at::<Ptr>(device, 64).read()
}

/// Current stack location of an IRP.
pub unsafe fn location(irp: Ptr) -> Ptr {
    at::<Ptr>(irp, 184).read()
}

pub unsafe fn status(irp: Ptr) -> *mut i32 {
    at(irp, 48)
}

pub unsafe fn information(irp: Ptr) -> *mut usize {
    at(irp, 56)
}

/// IoSkipCurrentIrpStackLocation.
pub unsafe fn skip(irp: Ptr) {
    let current = at::<i8>(irp, 67);
    current.write(current.read() + 1);
    at::<Ptr>(irp, 184).write(location(irp).add(72));
}

/// IoCopyCurrentIrpStackLocationToNext and IoSetCompletionRoutine for every outcome.
pub unsafe fn copy_with_completion(irp: Ptr, routine: usize, context: Ptr) {
    let current = location(irp);
    let next = current.sub(72);
    for index in 0..7 {
        at::<u64>(next, index * 8).write(at::<u64>(current, index * 8).read());
    }
    at::<u8>(next, 3).write(0xE0);
    at::<usize>(next, 56).write(routine);
    at::<Ptr>(next, 64).write(context);
}

/// IoMarkIrpPending.
pub unsafe fn mark_pending(irp: Ptr) {
    let control = location(irp).add(3);
    control.write(control.read() | 1);
}

pub unsafe fn complete(irp: Ptr, with: i32) -> i32 {
    status(irp).write(with);
    IofCompleteRequest(irp, 0);
    with
}

/// Sets the event it is given and takes the IRP back.
pub unsafe extern "system" fn signal_and_keep(_device: Ptr, _irp: Ptr, event: Ptr) -> i32 {
    KeSetEvent(event, 0, 0);
    0xC000_0016_u32 as i32
}

/// Sends the IRP to `lower` and waits until it comes back.
pub unsafe fn forward_and_wait(lower: Ptr, irp: Ptr) -> i32 {
    let mut event = [0_u64; 3];
    let event = event.as_mut_ptr().cast::<u8>();
    KeInitializeEvent(event, 0, 0);
    copy_with_completion(irp, signal_and_keep as *const () as usize, event);
    if IofCallDriver(lower, irp) == PENDING {
        KeWaitForSingleObject(event, 0, 0, 0, core::ptr::null());
    }
    status(irp).read()
}
