//! Guest memory: frames, the kernel address space, and checked access to what drivers point at.

pub(crate) mod guest;
pub(crate) mod ranges;
pub(crate) mod space;
