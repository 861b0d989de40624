//! Compares `xen-abi` with the C headers of Debian's `libxen-dev`.
#![forbid(unsafe_code)]
