//! Drivers that each break one rule in `DriverEntry` (or leave something behind). `--cfg` chooses which.
#![no_std]
#![allow(unused_imports, unused_variables, unused_unsafe, unexpected_cfgs)]

#[path = "../nt.rs"]
mod nt;
use nt::*;

unsafe extern "system" fn unload(_driver: Ptr) {}

unsafe extern "system" fn nothing(_a: Ptr, _b: Ptr, _c: usize, _d: usize) {}

unsafe fn block(size: usize) -> Ptr {
    unsafe { ExAllocatePoolWithTag(NON_PAGED_NX, size, TAG) }
}

#[cfg(deep_stack)]
#[inline(never)]
fn deep(level: u32) -> u32 {
    let mut page = [level as u8; 3000];
    core::hint::black_box(&mut page);
    if level == 0 {
        unsafe { KeGetCurrentIrql() };
        return 0;
    }
    deep(level - 1) + u32::from(page[0])
}

#[cfg(endless_stack)]
#[inline(never)]
fn endless(level: u32) -> u32 {
    let mut page = core::mem::MaybeUninit::<[u8; 3000]>::uninit();
    core::hint::black_box(&mut page);
    if level == 0 { 0 } else { endless(level - 1) + core::hint::black_box(1) }
}

#[unsafe(no_mangle)]
unsafe extern "system" fn DriverEntry(driver: Ptr, _path: Ptr) -> i32 {
    unsafe {
        at::<usize>(driver, 104).write(unload as *const () as usize);
        let mut lock = 0_u64;
        let lock = (&raw mut lock).cast::<u8>();
        #[cfg(endless_loop)]
        while lock.read_volatile() == 0 {
            core::hint::spin_loop();
        }
        #[cfg(double_free)]
        {
            let b = block(40);
            ExFreePoolWithTag(b, TAG);
            ExFreePoolWithTag(b, TAG);
        }
        #[cfg(wrong_tag)]
        ExFreePoolWithTag(block(40), TAG + 1);
        #[cfg(overrun)]
        {
            let b = block(41);
            b.add(41).write_volatile(0);
            ExFreePoolWithTag(b, TAG);
        }
        #[cfg(far_overrun)]
        block(48).add(48).write_volatile(0);
        #[cfg(use_after_free)]
        {
            let b = block(40);
            ExFreePoolWithTag(b, TAG);
            b.write_volatile(1);
        }
        #[cfg(export_use_after_free)]
        {
            let b = block(40);
            ExFreePoolWithTag(b, TAG);
            KeSetEvent(b, 0, 0);
        }
        #[cfg(null_write)]
        core::ptr::without_provenance_mut::<u8>(8).write_volatile(1);
        #[cfg(null_call)]
        core::arch::asm!("xor eax, eax", "call rax", options(noreturn));
        #[cfg(write_to_code)]
        (unload as *const () as *mut u8).write_volatile(0xC3);
        #[cfg(leak)]
        block(100);
        #[cfg(leak_timer)]
        {
            static mut TIMER: [u64; 8] = [0; 8];
            KeInitializeTimerEx((&raw mut TIMER).cast(), 0);
            KeSetTimerEx((&raw mut TIMER).cast(), -1_000_000_000, 0, core::ptr::null_mut());
        }
        #[cfg(lock_kept)]
        KeAcquireSpinLockRaiseToDpc(lock);
        #[cfg(lock_twice)]
        {
            KeAcquireSpinLockRaiseToDpc(lock);
            KeAcquireSpinLockRaiseToDpc(lock);
        }
        #[cfg(lock_not_held)]
        KeReleaseSpinLock(lock, 0);
        #[cfg(lock_order)]
        {
            let mut second = 0_u64;
            let second = (&raw mut second).cast::<u8>();
            for (first, second) in [(lock, second), (second, lock)] {
                let outer = KeAcquireSpinLockRaiseToDpc(first);
                let inner = KeAcquireSpinLockRaiseToDpc(second);
                KeReleaseSpinLock(second, inner);
                KeReleaseSpinLock(first, outer);
            }
        }
        #[cfg(irql_kept)]
        KfRaiseIrql(2);
        #[cfg(lower_up)]
        KeLowerIrql(2);
        #[cfg(wait_at_dispatch)]
        {
            let mut event = [0_u64; 3];
            let event = event.as_mut_ptr().cast::<u8>();
            KeInitializeEvent(event, 0, 0);
            KfRaiseIrql(2);
            KeWaitForSingleObject(event, 0, 0, 0, core::ptr::null());
        }
        #[cfg(passive_call_at_dispatch)]
        {
            let before = KfRaiseIrql(2);
            KeFlushQueuedDpcs();
            KeLowerIrql(before);
        }
        #[cfg(wait_forever)]
        {
            let mut event = [0_u64; 3];
            let event = event.as_mut_ptr().cast::<u8>();
            KeInitializeEvent(event, 0, 0);
            KeWaitForSingleObject(event, 0, 0, 0, core::ptr::null());
        }
        #[cfg(paged_at_dispatch)]
        {
            let before = KfRaiseIrql(2);
            let b = ExAllocatePoolWithTag(PAGED, 16, TAG);
            KeLowerIrql(before);
            ExFreePoolWithTag(b, TAG);
        }
        #[cfg(executable_pool)]
        ExFreePoolWithTag(ExAllocatePoolWithTag(0, 16, TAG), TAG);
        #[cfg(no_tag)]
        ExFreePoolWithTag(ExAllocatePoolWithTag(NON_PAGED_NX, 16, 0), 0);
        #[cfg(free_with_timer)]
        {
            let b = block(64);
            KeInitializeTimerEx(b, 0);
            KeSetTimerEx(b, -1_000_000_000, 0, core::ptr::null_mut());
            ExFreePoolWithTag(b, TAG);
        }
        #[cfg(free_with_dpc)]
        {
            let b = block(64);
            KeInitializeDpc(b, nothing as *const () as usize, core::ptr::null_mut());
            let before = KfRaiseIrql(2);
            KeInsertQueueDpc(b, 0, 0);
            ExFreePoolWithTag(b, TAG);
            KeRemoveQueueDpc(b);
            KeLowerIrql(before);
        }
        #[cfg(raw_dpc)]
        {
            let mut dpc = [0_u64; 8];
            KeInsertQueueDpc(dpc.as_mut_ptr().cast(), 0, 0);
        }
        #[cfg(unknown_msr)]
        core::arch::asm!("rdmsr", in("ecx") 0xDEAD, out("eax") _, out("edx") _);
        #[cfg(breakpoint)]
        core::arch::asm!("int3");
        #[cfg(fail_fast)]
        core::arch::asm!("int 0x29", in("rcx") 7);
        #[cfg(bug_check)]
        KeBugCheckEx(0xE2, 1, 2, 3, 4);
        #[cfg(deep_stack)]
        deep(9);
        #[cfg(endless_stack)]
        endless(100_000);
        #[cfg(bar_outside)]
        MmMapIoSpaceEx(0x1000, 4096, 4);
        #[cfg(executable_mapping)]
        MmMapIoSpaceEx(0x400_0000, 4096, 0x40);
        #[cfg(over_dereference)]
        ObfDereferenceObject(driver);
        #[cfg(bad_handle)]
        ZwClose(0x1234);
        #[cfg(leak_device)]
        {
            let mut device = core::ptr::null_mut();
            IoCreateDevice(driver, 0, core::ptr::null_mut(), 0x22, 0, 0, &mut device);
        }
        #[cfg(work_item_twice)]
        {
            let item = IoAllocateWorkItem(driver);
            IoQueueWorkItemEx(item, nothing as *const () as usize, 1, core::ptr::null_mut());
            IoQueueWorkItemEx(item, nothing as *const () as usize, 1, core::ptr::null_mut());
        }
        0
    }
}
