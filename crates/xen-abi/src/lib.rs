//! Xen's public ABI as the drivers need it: types and numbers, no behaviour.
#![no_std]
#![forbid(unsafe_code)]
