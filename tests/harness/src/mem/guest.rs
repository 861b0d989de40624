//! Typed addresses in the kernel address space.
//!
//! Exports get raw pointers from drivers. They are turned into [`Guest`], which checks with the
//! address space that the driver may touch the bytes before each access, and reports the driver
//! instead of faulting.
#![allow(
    unsafe_code,
    reason = "one read and one write of memory shared with driver code, checked by the page table first"
)]

use core::fmt;
use core::marker::PhantomData;

use crate::host::call;
use crate::host::context::kernel;

/// The address of a `T` that driver code sees.
pub struct Guest<T> {
    address: usize,
    kind: PhantomData<fn() -> T>,
}

impl<T> Clone for Guest<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Guest<T> {}

impl<T> fmt::Debug for Guest<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:#x}", self.address)
    }
}

impl<T> PartialEq for Guest<T> {
    fn eq(&self, other: &Self) -> bool {
        self.address == other.address
    }
}

impl<T> Eq for Guest<T> {}

impl<T> From<*mut T> for Guest<T> {
    fn from(pointer: *mut T) -> Self {
        Self::new(pointer as usize)
    }
}

impl<T> From<*const T> for Guest<T> {
    fn from(pointer: *const T) -> Self {
        Self::new(pointer as usize)
    }
}

impl<T> Guest<T> {
    /// The `T` at `address`; nothing is checked until it is accessed.
    #[must_use]
    pub const fn new(address: usize) -> Self {
        Self {
            address,
            kind: PhantomData,
        }
    }

    /// The address.
    #[must_use]
    pub const fn address(self) -> usize {
        self.address
    }

    /// The address as a pointer, for a field of a structure.
    #[must_use]
    pub const fn pointer(self) -> *mut T {
        self.address as *mut T
    }

    /// Whether the address is zero.
    #[must_use]
    pub const fn is_null(self) -> bool {
        self.address == 0
    }

    /// The same address as another type.
    #[must_use]
    pub const fn cast<U>(self) -> Guest<U> {
        Guest::new(self.address)
    }

    /// The address `bytes` further on.
    #[must_use]
    pub const fn offset<U>(self, bytes: usize) -> Guest<U> {
        Guest::new(self.address.wrapping_add(bytes))
    }

    /// Element `index` of an array.
    #[must_use]
    pub const fn index(self, index: usize) -> Self {
        Self::new(
            self.address
                .wrapping_add(index.wrapping_mul(size_of::<T>())),
        )
    }

    /// A field at `offset`; `_field` only tells its type. Use the [`field!`](crate::field) macro.
    #[must_use]
    pub const fn project<U>(self, offset: usize, _field: fn(&T) -> *const U) -> Guest<U> {
        Guest::new(self.address.wrapping_add(offset))
    }
}

impl<T: Copy> Guest<T> {
    /// Reads the value once.
    #[must_use]
    pub fn load(self) -> T {
        if !kernel().space.allows(self.address, size_of::<T>(), false) {
            crate::driver::bad_pointer(self.address, size_of::<T>(), false);
        }
        // SAFETY: the page table says the bytes are readable; `T` is plain data of NT's.
        unsafe { call::load(self.address as *const T) }
    }

    /// Writes the value once.
    pub fn store(self, value: T) {
        if !kernel().space.allows(self.address, size_of::<T>(), true) {
            crate::driver::bad_pointer(self.address, size_of::<T>(), true);
        }
        // SAFETY: the page table says the bytes are writable.
        unsafe { call::store(self.address as *mut T, value) };
    }
}

impl Guest<u64> {
    /// The word as an atomic one, for what processors share.
    pub(crate) fn atomic(self) -> &'static core::sync::atomic::AtomicU64 {
        if !kernel().space.allows(self.address, 8, true) || !self.address.is_multiple_of(8) {
            crate::driver::bad_pointer(self.address, 8, true);
        }
        // SAFETY: the page table says the aligned word is writable; callers use it at once and do not keep it.
        unsafe { core::sync::atomic::AtomicU64::from_ptr(self.address as *mut u64) }
    }
}

/// The address of a field of the structure at a [`Guest`]: `field!(event, KEVENT, Header.SignalState)`.
#[macro_export]
macro_rules! field {
    ($at:expr, $kind:ty, $first:ident $(. $rest:ident)*) => {
        // The whole offset at once, then the types one level at a time: no union field is ever read.
        $crate::Guest::<$kind>::from($at)
            .project(core::mem::offset_of!($kind, $first $(. $rest)*), |whole| &raw const whole.$first)
            $(.project(0, |part| &raw const part.$rest))*
    };
}

/// Copies `out.len()` bytes from `address`, which the driver must be allowed to read.
pub fn read_bytes(address: usize, out: &mut [u8]) {
    let space = &kernel().space;
    let done = out.is_empty()
        || (space.allows(address, out.len(), false) && space.read(address, out).is_some());
    if !done {
        crate::driver::bad_pointer(address, out.len(), false);
    }
}

/// Copies `data` to `address`, which the driver must be allowed to write.
pub fn write_bytes(address: usize, data: &[u8]) {
    let space = &kernel().space;
    let done = data.is_empty()
        || (space.allows(address, data.len(), true) && space.write(address, data).is_some());
    if !done {
        crate::driver::bad_pointer(address, data.len(), true);
    }
}
