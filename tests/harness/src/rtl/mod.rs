//! Run-time library (`Rtl`), debug output, and the memory routines compilers call.

pub(crate) mod log;
pub(crate) mod memory;
pub(crate) mod string;
