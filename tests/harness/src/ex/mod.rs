//! Executive support (`Ex`): pools, interlocked lists, system time.

pub(crate) mod list;
pub(crate) mod pool;
