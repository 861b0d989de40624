//! Miniport drivers that each break one rule of NDIS in `DriverEntry`, or leave something behind. `--cfg` chooses
//! which. Adapters are not needed for these; rules about adapters are proven in the harness's own tests.
#![no_std]
#![allow(unused_imports, unused_variables, unexpected_cfgs, dead_code)]

#[path = "../nt.rs"]
mod nt;
use nt::*;

#[link(name = "ndis.sys", kind = "raw-dylib", modifiers = "+verbatim")]
unsafe extern "system" {
    fn NdisMRegisterMiniportDriver(driver: Ptr, path: Ptr, context: Ptr, characteristics: Ptr, handle: *mut usize) -> i32;
    fn NdisMDeregisterMiniportDriver(handle: usize);
    fn NdisAllocateNetBufferListPool(handle: usize, parameters: Ptr) -> usize;
    fn NdisFreeNetBufferListPool(pool: usize);
    fn NdisAllocateNetBufferAndNetBufferList(pool: usize, context: u16, back_fill: u16, mdl: Ptr, offset: u32, length: usize) -> usize;
    fn NdisFreeNetBufferList(list: usize);
}

static mut HANDLE: usize = 0;

unsafe extern "system" fn nothing(_a: Ptr, _b: Ptr, _c: usize, _d: usize) -> i32 {
    0
}

unsafe extern "system" fn unload(_driver: Ptr) {
    #[cfg(not(kept_registration))]
    unsafe {
        NdisMDeregisterMiniportDriver(HANDLE);
        #[cfg(deregistered_twice)]
        NdisMDeregisterMiniportDriver(HANDLE);
    }
}

/// `NDIS_MINIPORT_DRIVER_CHARACTERISTICS` of NDIS 6.30: revision 2, 152 bytes, 17 handlers.
unsafe fn characteristics(at: Ptr) {
    unsafe {
        let size: u16 = if cfg!(short_header) { 100 } else { 152 };
        nt::at::<[u8; 2]>(at, 0).write([if cfg!(other_type) { 0x80 } else { 0x8A }, 2]);
        nt::at::<u16>(at, 2).write(size);
        nt::at::<[u8; 4]>(at, 4).write([6, 30, 1, 0]);
        nt::at::<u32>(at, 8).write(if cfg!(unknown_flags) { 0x8000 } else { 0 });
        // Handlers 1 to 9, 12, 13, 14 are required; 10 and 11, 15 and 16 come in pairs.
        for index in [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14] {
            nt::at::<usize>(at, 16 + 8 * index).write(nothing as *const () as usize);
        }
        nt::at::<usize>(at, 16 + 8 * 3).write(unload as *const () as usize);
        #[cfg(no_send_handler)]
        nt::at::<usize>(at, 16 + 8 * 7).write(0);
        #[cfg(half_a_pair)]
        nt::at::<usize>(at, 16 + 8 * 10).write(nothing as *const () as usize);
        #[cfg(handler_in_data)]
        nt::at::<usize>(at, 16 + 8 * 9).write((&raw const HANDLE) as usize);
    }
}

/// A pool of lists with frames.
unsafe fn pool() -> usize {
    unsafe {
        let mut parameters = [0_u32; 4];
        let at = (&raw mut parameters).cast::<u8>();
        nt::at::<[u8; 2]>(at, 0).write([0x80, 1]);
        nt::at::<u16>(at, 2).write(16);
        nt::at::<u8>(at, 5).write(1);
        nt::at::<u16>(at, 6).write(if cfg!(odd_context) { 8 } else { 0 });
        nt::at::<u32>(at, 8).write(if cfg!(pool_without_tag) { 0 } else { TAG });
        NdisAllocateNetBufferListPool(HANDLE, at)
    }
}

#[unsafe(no_mangle)]
unsafe extern "system" fn DriverEntry(driver: Ptr, path: Ptr) -> i32 {
    unsafe {
        let mut buffer = [0_u64; 20];
        let at = (&raw mut buffer).cast::<u8>();
        characteristics(at);
        let status = NdisMRegisterMiniportDriver(driver, path, core::ptr::null_mut(), at, &raw mut HANDLE);
        if status != 0 {
            return status;
        }
        #[cfg(registered_twice)]
        {
            let mut other = 0;
            NdisMRegisterMiniportDriver(driver, path, core::ptr::null_mut(), at, &raw mut other);
        }
        #[cfg(any(pool_without_tag, odd_context))]
        NdisFreeNetBufferListPool(pool());
        #[cfg(pool_left)]
        pool();
        #[cfg(list_left_in_pool)]
        {
            let pool = pool();
            NdisAllocateNetBufferAndNetBufferList(pool, 0, 0, core::ptr::null_mut(), 0, 0);
            NdisFreeNetBufferListPool(pool);
        }
        #[cfg(list_freed_twice)]
        {
            let pool = pool();
            let list = NdisAllocateNetBufferAndNetBufferList(pool, 0, 0, core::ptr::null_mut(), 0, 0);
            NdisFreeNetBufferList(list);
            NdisFreeNetBufferList(list);
            NdisFreeNetBufferListPool(pool);
        }
        0
    }
}
