//! A function and bus driver that keeps every rule: interrupt, DPC, timer, thread, device memory, one child.
//!
//! Each `--cfg` named in `tests/harness/tests/wrong_devices.rs` makes it break one.
#![no_std]
#![allow(unexpected_cfgs)]

#[path = "../nt.rs"]
mod nt;
use nt::*;

#[repr(C)]
struct Fdo {
    is_child: u32,
    pdo: Ptr,
    lower: Ptr,
    child: Ptr,
    memory: Ptr,
    interrupt: Ptr,
    messages: [Ptr; 4],
    thread: Ptr,
    interrupts: u32,
    dpcs: u32,
    ticks: u32,
    stop: u32,
    lock: u64,
    dpc: [u64; 8],
    timer: [u64; 8],
    timer_dpc: [u64; 8],
    wake: [u64; 3],
}

fn print(text: &core::ffi::CStr, value: usize) {
    unsafe { DbgPrintEx(77, 3, text.as_ptr().cast(), value) };
}

#[unsafe(no_mangle)]
unsafe extern "system" fn DriverEntry(driver: Ptr, path: Ptr) -> i32 {
    unsafe { DbgPrintEx(77, 3, c"hello from %wZ, %s %08x".as_ptr().cast(), path, c"text".as_ptr(), 0xBEEF_usize) };
    unsafe {
        at::<usize>(driver, 104).write(unload as *const () as usize);
        let extension = at::<Ptr>(driver, 48).read();
        at::<usize>(extension, 8).write(add_device as *const () as usize);
        major(driver, 0x1B).write(pnp as *const () as usize);
        major(driver, 0x16).write(power as *const () as usize);
    }
    0
}

unsafe extern "system" fn unload(_driver: Ptr) {
    print(c"unload %d", 0);
}

unsafe extern "system" fn add_device(driver: Ptr, pdo: Ptr) -> i32 {
    unsafe {
        let mut device = core::ptr::null_mut();
        let size = size_of::<Fdo>() as u32;
        let made = IoCreateDevice(driver, size, core::ptr::null_mut(), 0x2A, 0x100, 0, &mut device);
        if made < 0 {
            return made;
        }
        let lower = IoAttachDeviceToDeviceStack(device, pdo);
        if lower.is_null() {
            IoDeleteDevice(device);
            return 0xC000_000E_u32 as i32;
        }
        let fdo = extension(device).cast::<Fdo>();
        (*fdo).pdo = pdo;
        (*fdo).lower = lower;
        if !cfg!(initializing) {
            at::<u32>(device, 48).write(at::<u32>(device, 48).read() & !0x80);
        }
        0
    }
}

unsafe extern "system" fn isr(_interrupt: Ptr, context: Ptr) -> u8 {
    unsafe {
        let fdo = context.cast::<Fdo>();
        (*fdo).interrupts += 1;
        KeInsertQueueDpc((&raw mut (*fdo).dpc).cast(), 0, 0);
    }
    1
}

unsafe extern "system" fn on_dpc(_dpc: Ptr, context: Ptr, _a: usize, _b: usize) {
    unsafe {
        let fdo = context.cast::<Fdo>();
        let irql = KeAcquireSpinLockRaiseToDpc((&raw mut (*fdo).lock).cast());
        (*fdo).dpcs += 1;
        KeReleaseSpinLock((&raw mut (*fdo).lock).cast(), irql);
        KeSetEvent((&raw mut (*fdo).wake).cast(), 0, 0);
    }
}

unsafe extern "system" fn on_tick(_dpc: Ptr, context: Ptr, _a: usize, _b: usize) {
    unsafe { (*context.cast::<Fdo>()).ticks += 1 };
}

unsafe extern "system" fn worker(context: Ptr) {
    unsafe {
        let fdo = context.cast::<Fdo>();
        loop {
            KeWaitForSingleObject((&raw mut (*fdo).wake).cast(), 0, 0, 0, core::ptr::null());
            if (&raw const (*fdo).stop).read_volatile() != 0 {
                break;
            }
            let lock = (&raw mut (*fdo).lock).cast();
            let irql = KeAcquireSpinLockRaiseToDpc(lock);
            let dpcs = (*fdo).dpcs;
            KeReleaseSpinLock(lock, irql);
            print(c"worker sees %u DPCs", dpcs as usize);
        }
        PsTerminateSystemThread(0);
    }
}

fn cpuid(leaf: u32) -> [u32; 4] {
    let r = core::arch::x86_64::__cpuid(leaf);
    [r.eax, r.ebx, r.ecx, r.edx]
}

fn hypercall(number: u64, a: u64, b: u64) -> u64 {
    let result;
    unsafe {
        core::arch::asm!("vmcall", inlateout("rax") number => result, in("rdi") a, in("rsi") b, in("rdx") 3_u64,
            in("r10") 4_u64, in("r8") 5_u64);
    }
    result
}

/// Asks for two message interrupts, each bound to one processor, behind what the bus asks for.
#[cfg(messages)]
unsafe fn filter(irp: Ptr) -> i32 {
    unsafe {
        let old = at::<Ptr>(location(irp), 8).read();
        let size = at::<u32>(old, 0).read() as usize;
        let new = ExAllocatePoolWithTag(PAGED, size + 64, TAG);
        if new.is_null() {
            return 0xC000_009A_u32 as i32;
        }
        memset(new, 0, size + 64);
        memcpy(new, old, size);
        at::<u32>(new, 0).write(size as u32 + 64);
        let count = at::<u32>(new, 36);
        for index in 0..2 {
            let slot = new.add(size + index * 32);
            slot.add(1).write(2);
            slot.add(2).write(1);
            at::<u16>(slot, 4).write(3);
            at::<u32>(slot, 12).write(u32::MAX);
            at::<u32>(slot, 16).write(4);
            at::<u64>(slot, 24).write(1 << index);
        }
        count.write(count.read() + 2);
        ExFreePoolWithTag(old, 0);
        information(irp).write(new as usize);
        0
    }
}

unsafe fn connect(fdo: *mut Fdo, slot: *mut Ptr, level: u32, vector: u32, mask: u64) -> i32 {
    unsafe {
        let mut parameters = [0_u64; 10];
        let p = parameters.as_mut_ptr().cast::<u8>();
        at::<u32>(p, 0).write(1);
        at::<Ptr>(p, 8).write((*fdo).pdo);
        at::<*mut Ptr>(p, 16).write(slot);
        at::<usize>(p, 24).write(isr as *const () as usize);
        at::<Ptr>(p, 32).write(fdo.cast());
        at::<u8>(p, 48).write(level as u8);
        at::<u8>(p, 50).write(1);
        at::<u32>(p, 52).write(vector);
        at::<u8>(p, 56).write(level as u8);
        at::<u64>(p, 64).write(mask);
        IoConnectInterruptEx(p)
    }
}

unsafe fn start(fdo: *mut Fdo, irp: Ptr) -> i32 {
    unsafe {
        let context = fdo.cast::<u8>();
        KeInitializeEvent((&raw mut (*fdo).wake).cast(), 1, 0);
        KeInitializeDpc((&raw mut (*fdo).dpc).cast(), on_dpc as *const () as usize, context);
        let list = at::<Ptr>(location(irp), 16).read();
        let count = at::<u32>(list, 16).read() as usize;
        let (mut memory, mut line) = (None, None);
        for index in 0..count {
            let slot = list.add(20 + index * 20);
            match slot.read() {
                3 => memory = Some((at::<u64>(slot, 4).read_unaligned(), at::<u32>(slot, 12).read())),
                2 if at::<u16>(slot, 2).read() & 2 != 0 => {
                    let vector = at::<u32>(slot, 8).read();
                    let mask = at::<u64>(slot, 12).read_unaligned();
                    print(c"message vector %u", vector as usize);
                    let which = mask.trailing_zeros() as usize % 4;
                    let place = (&raw mut (*fdo).messages).cast::<Ptr>().add(which);
                    connect(fdo, place, at::<u32>(slot, 4).read(), vector, mask);
                }
                2 => line = Some((at::<u32>(slot, 4).read(), at::<u32>(slot, 8).read())),
                _ => {}
            }
        }
        let (Some((start, len)), Some((level, vector))) = (memory, line) else { return 0xC000_0001_u32 as i32 };
        (*fdo).memory = MmMapIoSpaceEx(start, 4096, 4);
        (*fdo).memory.cast::<u32>().write_volatile(0x1234_5678);
        print(c"memory of %u bytes", len as usize);
        let leaf = cpuid(0x4000_0000);
        print(c"hypervisor %08x", leaf[1] as usize);
        print(c"hypercall %d", hypercall(17, 1, 2) as usize);
        KeInitializeDpc((&raw mut (*fdo).timer_dpc).cast(), on_tick as *const () as usize, context);
        KeInitializeTimerEx((&raw mut (*fdo).timer).cast(), 0);
        KeSetTimerEx((&raw mut (*fdo).timer).cast(), -10_000_000, 1000, (&raw mut (*fdo).timer_dpc).cast());
        let connected = connect(fdo, &raw mut (*fdo).interrupt, level, vector, 1);
        if connected < 0 {
            return connected;
        }
        let mut handle = 0;
        PsCreateSystemThread(&mut handle, 0x1F_FFFF, 0, 0, 0, worker as *const () as usize, context);
        ObReferenceObjectByHandle(handle, 0, 0, 0, &raw mut (*fdo).thread, 0);
        ZwClose(handle);
        0
    }
}

unsafe fn stop(fdo: *mut Fdo) {
    unsafe {
        if (*fdo).memory.is_null() {
            return;
        }
        let mut parameters = [1_u64, (*fdo).interrupt as u64];
        if !cfg!(leak_interrupt) {
            IoDisconnectInterruptEx(parameters.as_mut_ptr().cast());
        }
        for index in 0..4 {
            let object = (*fdo).messages[index % 4];
            if !object.is_null() {
                let mut parameters = [1_u64, object as u64];
                IoDisconnectInterruptEx(parameters.as_mut_ptr().cast());
            }
        }
        KeCancelTimer((&raw mut (*fdo).timer).cast());
        KeRemoveQueueDpc((&raw mut (*fdo).dpc).cast());
        KeFlushQueuedDpcs();
        (&raw mut (*fdo).stop).write_volatile(1);
        KeSetEvent((&raw mut (*fdo).wake).cast(), 0, 0);
        KeWaitForSingleObject((*fdo).thread, 0, 0, 0, core::ptr::null());
        ObfDereferenceObject((*fdo).thread);
        MmUnmapIoSpace((*fdo).memory, 4096);
        (*fdo).memory = core::ptr::null_mut();
        print(c"ticks %u", (*fdo).ticks as usize);
    }
}

unsafe fn relations(fdo: *mut Fdo, device: Ptr, irp: Ptr) -> i32 {
    unsafe {
        if (*fdo).child.is_null() {
            let driver = at::<Ptr>(device, 8).read();
            let mut child = core::ptr::null_mut();
            let size = size_of::<Fdo>() as u32;
            let made = IoCreateDevice(driver, size, core::ptr::null_mut(), 0x2A, 0x80, 0, &mut child);
            if made < 0 {
                return made;
            }
            (*extension(child).cast::<Fdo>()).is_child = 1;
            (*extension(child).cast::<Fdo>()).lower = device;
            at::<u32>(child, 48).write(at::<u32>(child, 48).read() & !0x80);
            (*fdo).child = child;
        }
        let list = ExAllocatePoolWithTag(PAGED, 16, TAG);
        if list.is_null() {
            return 0xC000_009A_u32 as i32;
        }
        if !cfg!(unreferenced_child) {
            ObfReferenceObject((*fdo).child);
        }
        at::<u32>(list, 0).write(1);
        at::<Ptr>(list, 8).write((*fdo).child);
        information(irp).write(list as usize);
        0
    }
}

unsafe extern "system" fn pnp(device: Ptr, irp: Ptr) -> i32 {
    unsafe {
        let fdo = extension(device).cast::<Fdo>();
        let minor = location(irp).add(1).read();
        if (*fdo).is_child != 0 {
            return child_pnp(device, irp, minor);
        }
        match minor {
            0x00 => {
                let below = forward_and_wait((*fdo).lower, irp);
                let done = if below < 0 { below } else { start(fdo, irp) };
                complete(irp, done);
                if cfg!(complete_twice) {
                    IofCompleteRequest(irp, 0);
                }
                if cfg!(wrong_status) { 0x4000_0000 } else { done }
            }
            #[cfg(messages)]
            0x0D => {
                forward_and_wait((*fdo).lower, irp);
                let done = filter(irp);
                complete(irp, done)
            }
            0x14 if cfg!(swallow) => 0,
            0x07 if at::<u32>(location(irp), 8).read() == 0 => {
                let done = relations(fdo, device, irp);
                if done < 0 {
                    return complete(irp, done);
                }
                status(irp).write(0);
                skip(irp);
                IofCallDriver((*fdo).lower, irp)
            }
            0x01 | 0x03 | 0x04 | 0x05 | 0x06 | 0x17 => {
                if minor == 0x17 || minor == 0x04 {
                    stop(fdo);
                }
                status(irp).write(0);
                skip(irp);
                IofCallDriver((*fdo).lower, irp)
            }
            0x02 => {
                stop(fdo);
                status(irp).write(0);
                skip(irp);
                let lower = (*fdo).lower;
                let done = IofCallDriver(lower, irp);
                if cfg!(stays_attached) {
                    return done;
                }
                IoDetachDevice(lower);
                if !(*fdo).child.is_null() {
                    IoDeleteDevice((*fdo).child);
                }
                IoDeleteDevice(device);
                done
            }
            _ => {
                skip(irp);
                IofCallDriver((*fdo).lower, irp)
            }
        }
    }
}

unsafe fn answer(irp: Ptr, bytes: &[u8]) -> i32 {
    unsafe {
        let kind = if cfg!(nonpaged_answer) { NON_PAGED_NX } else { PAGED };
        let block = ExAllocatePoolWithTag(kind, bytes.len(), TAG);
        if block.is_null() {
            return complete(irp, 0xC000_009A_u32 as i32);
        }
        memcpy(block, bytes.as_ptr(), bytes.len());
        information(irp).write(block as usize);
        complete(irp, 0)
    }
}

unsafe fn text(irp: Ptr, ascii: &[u8]) -> i32 {
    let mut wide = [0_u8; 96];
    for (index, byte) in ascii.iter().enumerate().take(46) {
        wide[index * 2] = *byte;
    }
    unsafe { answer(irp, &wide[..(ascii.len().min(46) + 2) * 2]) }
}

unsafe fn child_pnp(device: Ptr, irp: Ptr, minor: u8) -> i32 {
    let _ = device;
    unsafe {
        let parameter = at::<u32>(location(irp), 8).read();
        match (minor, parameter) {
            (0x00..=0x06 | 0x17, _) => complete(irp, 0),
            (0x09, _) => {
                let capabilities = at::<Ptr>(location(irp), 8).read();
                for (index, state) in [0_u32, 1, 4, 4, 4, 4, 4].into_iter().enumerate() {
                    at::<u32>(capabilities, 16).add(index).write(state);
                }
                complete(irp, 0)
            }
            (0x13, 3) if cfg!(bad_instance) => text(irp, b"a,b"),
            (0x13, 0) if cfg!(bad_device_id) => text(irp, b"HELLO"),
            (0x13, 0) => text(irp, b"HELLO\\CHILD"),
            (0x13, 1) => text(irp, b"HELLO\\CHILD_REV1\0HELLO\\CHILD"),
            (0x13, 2) => text(irp, b"HELLO\\ANY"),
            (0x13, 3) => text(irp, b"0"),
            (0x15, _) => answer(irp, &[7, 7, 7, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 15, 0, 0, 0, 0, 0, 0, 0]),
            _ => complete(irp, status(irp).read()),
        }
    }
}

/// The device IRP that goes with a system IRP is done: so is the system IRP.
unsafe extern "system" fn device_power_done(_device: Ptr, _minor: u8, state: u32, irp: Ptr, block: Ptr) {
    print(c"device state %u", state as usize);
    unsafe { complete(irp, at::<i32>(block, 0).read()) };
}

unsafe extern "system" fn system_power_came_back(device: Ptr, irp: Ptr, _context: Ptr) -> i32 {
    unsafe {
        // S0 (1) is D0 (1); all others are D3 (4).
        let state = if at::<u32>(location(irp), 24).read() == 1 { 1 } else { 4 };
        let routine = device_power_done as *const () as usize;
        let sent = PoRequestPowerIrp(device, 2, state, routine, irp, core::ptr::null_mut());
        if sent == PENDING {
            return 0xC000_0016_u32 as i32;
        }
        status(irp).write(sent);
        0
    }
}

unsafe extern "system" fn power(device: Ptr, irp: Ptr) -> i32 {
    unsafe {
        let fdo = extension(device).cast::<Fdo>();
        if (*fdo).is_child != 0 {
            return complete(irp, 0);
        }
        let here = location(irp);
        let set = here.add(1).read() == 2;
        let system = at::<u32>(here, 16).read() == 0;
        if !(set && system) {
            skip(irp);
            return IofCallDriver((*fdo).lower, irp);
        }
        if !cfg!(unmarked_pending) {
            mark_pending(irp);
        }
        copy_with_completion(irp, system_power_came_back as *const () as usize, core::ptr::null_mut());
        IofCallDriver((*fdo).lower, irp);
        PENDING
    }
}
