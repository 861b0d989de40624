//! The parts of the [guest](../README.md) that need no machine: what it is told, and what it brings along.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod archive;
pub mod command_line;
pub mod memory_map;
pub mod pci;
