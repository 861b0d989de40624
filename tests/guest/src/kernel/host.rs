//! What the harness takes from this kernel.

use alloc::boxed::Box;
use core::sync::atomic::{AtomicU64, Ordering};

use guest::memory_map::Span;
use harness::bare::{Access, AddressRange, FrameRange, Host, HostError};
use spin::Mutex;
use x86_64::instructions::interrupts;
use x86_64::structures::paging::PageTableFlags as Flags;

use super::heap::Memory;
use super::processor::MOST;
use super::{apic, console, paging, platform, processor, time, xen};

/// The kernel as the harness's host.
#[derive(Debug)]
pub(crate) struct Kernel {
    ram: [FrameRange; 1],
    hole: FrameRange,
    cpus: u32,
}

/// What a processor is to run.
type Body = Box<dyn FnOnce() + Send>;
static BODIES: [Mutex<Option<Body>>; MOST] = [const { Mutex::new(None) }; MOST];
/// First page of the window that holds code of the harness: the last of all, going down.
static CODE_END: AtomicU64 = AtomicU64::new(paging::WINDOW + paging::WINDOW_LEN);

fn frames(span: Span) -> FrameRange {
    FrameRange {
        first: u32::try_from(span.start >> 12).unwrap_or(0),
        count: u32::try_from(span.len() >> 12).unwrap_or(0),
    }
}

fn flags(access: Access) -> Flags {
    match access {
        Access::None => Flags::empty(),
        Access::Read => Flags::PRESENT | Flags::NO_EXECUTE,
        Access::ReadWrite => Flags::PRESENT | Flags::NO_EXECUTE | Flags::WRITABLE,
        Access::ReadExecute => Flags::PRESENT,
    }
}

impl Kernel {
    pub(crate) fn new(memory: Memory, cpus: u32) -> Self {
        Self {
            ram: [frames(memory.drivers)],
            hole: frames(memory.hole),
            cpus,
        }
    }
}

/// The pages from `at` on.
fn pages(at: usize, count: usize) -> impl Iterator<Item = u64> {
    (0..count as u64).map(move |page| at as u64 + page * 4096)
}

impl Host for Kernel {
    fn ram(&self) -> &[FrameRange] {
        &self.ram
    }

    fn hole(&self) -> FrameRange {
        self.hole
    }

    fn alias(&self) -> usize {
        0
    }

    fn window(&self) -> AddressRange {
        AddressRange {
            base: paging::WINDOW as usize,
            len: paging::DRIVERS_LEN as usize,
        }
    }

    fn map(&self, at: usize, first: u32, count: usize, access: Access) -> Result<(), HostError> {
        for (page, frame) in pages(at, count).zip(u64::from(first)..) {
            paging::map(page, frame << 12, flags(access)).ok_or(HostError::NoMemory)?;
        }
        Ok(())
    }

    fn protect(&self, at: usize, count: usize, access: Access) -> Result<(), HostError> {
        for page in pages(at, count) {
            paging::protect(page, flags(access));
        }
        paging::tell_others(self.cpus);
        Ok(())
    }

    fn unmap(&self, at: usize, count: usize) -> Result<(), HostError> {
        for page in pages(at, count) {
            paging::unmap(page);
        }
        Ok(())
    }

    fn install_code(&self, code: &[u8]) -> Result<usize, HostError> {
        let len = code.len().next_multiple_of(4096);
        let copy = Box::leak(alloc::vec![0xCC_u8; len + 4096].into_boxed_slice());
        let start = copy.as_ptr().addr().next_multiple_of(4096);
        let skip = start - copy.as_ptr().addr();
        copy[skip..skip + code.len()].copy_from_slice(code);
        // The heap is at its own address and never executable: the code shows in the window, which is.
        let at = CODE_END.fetch_sub(len as u64, Ordering::AcqRel) - len as u64;
        for (page, frame) in pages(at as usize, len / 4096).zip(pages(start, len / 4096)) {
            paging::map(page, frame, Flags::PRESENT).ok_or(HostError::NoMemory)?;
        }
        Ok(at as usize)
    }

    fn cpus(&self) -> u32 {
        self.cpus
    }

    fn cpu(&self) -> u32 {
        processor::local().index
    }

    fn start_cpu(&self, cpu: u32, body: Body) -> Result<(), HostError> {
        let place = BODIES.get(cpu as usize).ok_or(HostError::NoMemory)?;
        *place.lock() = Some(body);
        apic::kick(cpu);
        Ok(())
    }

    fn idle(&self, until: Option<u64>, ready: &dyn Fn() -> bool) {
        interrupts::disable();
        if !ready() && until.is_none_or(|until| time::now() < until) {
            if let Some(until) = until {
                time::alarm_at(until);
            }
            let idle = &processor::local().idle;
            idle.store(true, Ordering::Relaxed);
            interrupts::enable_and_hlt();
            idle.store(false, Ordering::Relaxed);
            // A tick wakes an idle processor no more than once.
            if until.is_some() || ready() {
                time::start_ticks();
            }
        }
        interrupts::enable();
        paging::catch_up();
    }

    fn wake(&self, cpu: u32) {
        apic::kick(cpu);
    }

    fn served(&self, vector: u32) {
        if vector == harness::LINE_VECTOR {
            platform::line_served();
        }
    }

    fn relax(&self) {
        xen::yield_processor();
    }

    fn now(&self) -> u64 {
        time::now()
    }

    fn print(&self, line: &str) {
        console::print!("{line}\n");
    }

    fn stop(&self, why: &str) -> ! {
        panic!("{why}");
    }
}

/// What a processor other than 0 does: what the harness starts on it.
pub(crate) fn run_other(cpu: u32) -> ! {
    interrupts::enable();
    loop {
        let body = BODIES[cpu as usize].lock().take();
        if let Some(body) = body {
            body();
        } else {
            interrupts::disable();
            if BODIES[cpu as usize].lock().is_none() {
                interrupts::enable_and_hlt();
            } else {
                interrupts::enable();
            }
        }
        paging::catch_up();
    }
}
