//! The end after a bug of the kernel.

use core::sync::atomic::{AtomicBool, Ordering};

use xen_abi::sched::ShutdownReason;

use super::{console, xen};

static PANICKED: AtomicBool = AtomicBool::new(false);

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    x86_64::instructions::interrupts::disable();
    if PANICKED.swap(true, Ordering::AcqRel) {
        // A second one, here or on another processor: the first tells the story.
        loop {
            x86_64::instructions::hlt();
        }
    }
    console::unlock();
    console::print!(
        "\nkernel panic on cpu {}: {info}\n",
        super::processor::index()
    );
    console::print!("@@ {{\"event\":\"end\",\"result\":\"failed\",\"detail\":\"kernel panic\"}}\n");
    xen::power_off(ShutdownReason::CRASH)
}
