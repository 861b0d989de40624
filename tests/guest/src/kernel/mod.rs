//! The kernel itself.
//!
//! | module | is |
//! |---|---|
//! | `boot`, `smp` | the first instructions of the first and of the other processors |
//! | `start_info` | what Xen says at the start |
//! | `paging`, `heap` | memory |
//! | `processor`, `traps`, `apic`, `time` | processors, interrupts, time |
//! | `platform` | the platform device of an HVM domain |
//! | `xen`, `console` | hypercalls of our own, and what is printed |
#![allow(
    unsafe_code,
    reason = "a kernel: page tables, descriptor tables, device registers and hypercalls"
)]
#![allow(
    clippy::cast_possible_truncation,
    reason = "addresses are 64 bits wide, and registers hold less than their width"
)]

mod apic;
mod boot;
mod console;
pub(crate) mod event;
mod heap;
mod host;
mod hotplug;
mod offloads;
mod paging;
mod panic;
mod platform;
mod processor;
mod run;
mod smp;
mod start_info;
mod time;
mod traffic;
mod traps;
mod xen;

use alloc::format;
use alloc::string::ToString;

use guest::command_line::{Case, Settings};
use serde_json::json;
use xen_abi::sched::ShutdownReason;

pub(crate) use console::print;

/// Entered by processor 0 in long mode, on the boot stack, with interrupts off.
extern "sysv64" fn start(start_info: u64) -> ! {
    xen::find();
    console::open();
    heap::set_up_first();
    let info = start_info::read(start_info);
    let mut memory = heap::set_up(&info);
    paging::set_up(&info);
    processor::set_up_first();
    platform::mask_old_controllers();
    apic::enable();
    time::set_up();
    let device = platform::find();
    if let Some(device) = &device {
        memory.hole = device.memory;
    }
    print!(
        "memory for drivers {:#x}..{:#x}, none at {:#x}, module of {} bytes\n",
        memory.drivers.start,
        memory.drivers.end,
        memory.hole.start,
        info.module().map_or(0, <[u8]>::len),
    );
    let settings = match Settings::parse(&info.command_line) {
        Ok(settings) => settings,
        Err(bad) => end(Err(&bad.to_string())),
    };
    smp::start_others(settings.cpus);
    event::tell(&json!({
        "event": "boot",
        "xen": xen::version().map(|(major, minor)| format!("{major}.{minor}")),
        "cpus": settings.cpus,
        "memory": info.ram_end() >> 20,
        "command_line": info.command_line,
    }));
    x86_64::instructions::interrupts::enable();
    if settings.case == Case::Kernel {
        end(self_test(settings.cpus, memory.drivers.start));
    }
    let drivers = info.module().unwrap_or_default();
    let result = run::run(&settings, memory, drivers, device.as_ref());
    match result {
        Ok(()) => end(Ok(())),
        Err(error) => end(Err(&error)),
    }
}

/// Tells the result and powers off.
fn end(result: Result<(), &str>) -> ! {
    event::tell(&match result {
        Ok(()) => json!({"event": "end", "result": "ok"}),
        Err(detail) => json!({"event": "end", "result": "failed", "detail": detail}),
    });
    xen::power_off(ShutdownReason::POWEROFF)
}

/// Interrupts between the processors, time and page tables work: the base of everything else.
fn self_test(cpus: u32, frame: u64) -> Result<(), &'static str> {
    for cpu in 0..cpus {
        apic::kick(cpu);
    }
    let kicked = || (0..cpus).all(|cpu| traps::count(cpu, apic::KICK) == 1);
    wait(kicked, "a processor was not interrupted")?;
    time::alarm_at(time::now() + 100_000);
    wait(
        || traps::count(0, apic::TIMER) == 1,
        "the timer did not come",
    )?;
    test_window(frame)
}

fn test_window(frame: u64) -> Result<(), &'static str> {
    use x86_64::structures::paging::PageTableFlags as Flags;
    let at = paging::WINDOW + 4096;
    let place = core::ptr::with_exposed_provenance_mut::<u64>(at as usize);
    let other = core::ptr::with_exposed_provenance::<u64>(frame as usize);
    let writable = Flags::PRESENT | Flags::NO_EXECUTE | Flags::WRITABLE;
    paging::map(at, frame, writable).ok_or("no memory for page tables")?;
    // SAFETY: just mapped, to a frame that nobody uses yet.
    unsafe { place.write_volatile(0x5AFE) };
    // SAFETY: the same frame at its own address.
    let seen = unsafe { other.read_volatile() };
    paging::protect(at, Flags::PRESENT | Flags::NO_EXECUTE);
    let read_only = paging::allows_now(at, false, false) && !paging::allows_now(at, true, false);
    paging::unmap(at);
    let gone = !paging::allows_now(at, false, false);
    if seen == 0x5AFE && read_only && gone {
        Ok(())
    } else {
        Err("the window does not show what it should")
    }
}

/// Waits up to 5 s.
fn wait(done: impl Fn() -> bool, otherwise: &'static str) -> Result<(), &'static str> {
    let end = time::now() + 50_000_000;
    while time::now() < end {
        if done() {
            return Ok(());
        }
        core::hint::spin_loop();
    }
    Err(otherwise)
}
