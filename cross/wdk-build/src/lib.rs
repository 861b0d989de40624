//! Portable stand-in for the `wdk-build` crate (filled in the next commit).
