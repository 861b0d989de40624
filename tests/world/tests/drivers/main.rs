//! The shipped drivers on the simulated Xen, connected to the model backend: one program, as each would take as long to
//! build as all of them.

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
