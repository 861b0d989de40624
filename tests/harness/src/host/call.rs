//! Calling into driver code, and single accesses to memory that driver code shares.

/// Calls the driver function at `at` with up to eight integer arguments.
///
/// A `win64` caller may pass more arguments than the callee reads, so one shape serves every callback.
pub(crate) fn call_win64(at: usize, args: [usize; 8]) -> usize {
    type Callback =
        unsafe extern "win64" fn(usize, usize, usize, usize, usize, usize, usize, usize) -> usize;
    // SAFETY: `at` is an address inside a loaded image or an export thunk (checked by the only caller,
    // `driver::invoke`), and every callback of NT takes integer or pointer arguments in this convention.
    let callback = unsafe { core::mem::transmute::<usize, Callback>(at) };

    // SAFETY: as above; a fault inside is caught by `host::trap`.
    unsafe {
        callback(
            args[0], args[1], args[2], args[3], args[4], args[5], args[6], args[7],
        )
    }
}

/// Reads a value that driver code may write at any time.
///
/// # Safety
/// `at` points to `size_of::<T>()` readable bytes and any bit pattern is a `T`.
pub(crate) unsafe fn load<T: Copy>(at: *const T) -> T {
    if at.is_aligned() {
        // SAFETY: readable by the contract above, and aligned.
        unsafe { at.read_volatile() }
    } else {
        // SAFETY: readable by the contract above.
        unsafe { at.read_unaligned() }
    }
}

/// Writes a value that driver code may read at any time.
///
/// # Safety
/// `at` points to `size_of::<T>()` writable bytes.
pub(crate) unsafe fn store<T: Copy>(at: *mut T, value: T) {
    if at.is_aligned() {
        // SAFETY: writable by the contract above, and aligned.
        unsafe { at.write_volatile(value) };
    } else {
        // SAFETY: writable by the contract above.
        unsafe { at.write_unaligned(value) };
    }
}
