#![doc = "x"]
mod memory;
mod store;
