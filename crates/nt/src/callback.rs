//! Functions the kernel calls.

/// Defines functions with the kernel's calling convention: `extern "C"` on Windows, where it is
/// that convention, and `extern "win64"` elsewhere, as the bindings of a host build say.
macro_rules! kernel_callback {
    ($(
        $(#[$meta:meta])*
        unsafe fn $name:ident $(<$t:ident>)? ($($arg:tt: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block
    )+) => {$(
        #[cfg(windows)]
        $(#[$meta])*
        unsafe extern "C" fn $name $(<$t>)? ($($arg: $ty),*) $(-> $ret)? $body

        #[cfg(not(windows))]
        $(#[$meta])*
        unsafe extern "win64" fn $name $(<$t>)? ($($arg: $ty),*) $(-> $ret)? $body
    )+};
}

pub(crate) use kernel_callback;
