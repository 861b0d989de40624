//! The bare-metal kernel that runs the shipped drivers on real Xen: see its README.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
extern crate alloc;

#[cfg(target_os = "none")]
mod kernel;

#[cfg(not(target_os = "none"))]
fn main() -> std::process::ExitCode {
    eprintln!("this is a kernel for Xen: cargo xtask demo --xen builds and boots it");
    std::process::ExitCode::FAILURE
}
