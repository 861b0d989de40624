//! probe
#![no_std]
#![allow(unsafe_code)]
use driver_image as _;
use wdk_sys::{DRIVER_OBJECT, NTSTATUS, PCUNICODE_STRING};

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// entry
#[unsafe(export_name = "DriverEntry")]
pub unsafe extern "system" fn driver_entry(
    driver: &mut DRIVER_OBJECT,
    _path: PCUNICODE_STRING,
) -> NTSTATUS {
    driver.DriverUnload = Some(unload);
    driver.MajorFunction[3] = None;
    unsafe {
        wdk_sys::ntddk::DbgPrintEx(77, 3, c"hello".as_ptr());
    }
    0
}
unsafe extern "C" fn unload(d: *mut DRIVER_OBJECT) {
    let d = unsafe { &mut *d };
    if let Some(f) = d.DriverUnload {
        unsafe { f(core::ptr::null_mut()) }
    }
}
