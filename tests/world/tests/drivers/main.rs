//! The shipped drivers on the simulated Xen, connected to the model backend. One program: the harness's generic code would
//! be compiled and linked again for each module that were one of its own.

mod around;
mod backends;
mod bus;
mod capture;
mod changes;
mod emulated;
mod held;
mod hlk;
mod hostile;
mod interfaces;
mod keyword_effects;
mod keywords;
mod lasting;
mod mtu;
mod network;
mod offload;
mod offload_changes;
mod offload_sections;
mod parallel;
mod platform;
mod proof;
mod receive_pages;
mod rss;
mod tap;
mod tracing;
