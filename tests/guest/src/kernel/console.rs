//! The console: Xen's shared ring, served by xenconsoled; a serial port without Xen.

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering, fence};

use spin::Mutex;
use x86_64::instructions::port::Port;
use xen_abi::hvm::{HVM_PARAM_CONSOLE_EVTCHN, HVM_PARAM_CONSOLE_PFN};

use super::xen;

/// `struct xencons_interface` (`xen/io/console.h`).
#[repr(C)]
struct Ring {
    input: [AtomicU8; 1024],
    output: [AtomicU8; 2048],
    in_cons: AtomicU32,
    in_prod: AtomicU32,
    out_cons: AtomicU32,
    out_prod: AtomicU32,
}

/// Turns to wait for room in the ring before output is dropped: nobody reads it any more.
const PATIENCE: u32 = 200_000;

enum Output {
    None,
    Serial(Port<u8>),
    Ring(&'static Ring),
}

static OUTPUT: Mutex<Output> = Mutex::new(Output::None);
static DEAF: AtomicBool = AtomicBool::new(false);

/// Finds the console.
pub(crate) fn open() {
    let ring = xen::parameter(HVM_PARAM_CONSOLE_PFN).filter(|pfn| *pfn != 0);
    *OUTPUT.lock() = match ring {
        Some(pfn) => {
            let at = core::ptr::with_exposed_provenance::<Ring>((pfn as usize) << 12);
            // SAFETY: Xen has set this page aside for the console, it is mapped to itself, and both sides access it
            // by atomic accesses only.
            Output::Ring(unsafe { &*at })
        }
        None => Output::Serial(Port::new(0x3F8)),
    };
}

impl Ring {
    fn write(&self, bytes: &[u8]) {
        let mut left = bytes;
        let mut turns = 0;
        while !left.is_empty() && !DEAF.load(Ordering::Relaxed) {
            let producer = self.out_prod.load(Ordering::Relaxed);
            let consumer = self.out_cons.load(Ordering::Acquire);
            let used = producer.wrapping_sub(consumer) as usize;
            let room = self.output.len().saturating_sub(used).min(left.len());
            let (now, later) = left.split_at(room);
            for (offset, byte) in (0_u32..).zip(now) {
                let at = producer.wrapping_add(offset) as usize % self.output.len();
                self.output[at].store(*byte, Ordering::Relaxed);
            }
            left = later;
            let count = u32::try_from(room).unwrap_or(0);
            self.out_prod
                .store(producer.wrapping_add(count), Ordering::Release);
            if room == 0 {
                turns += 1;
                DEAF.store(turns > PATIENCE, Ordering::Relaxed);
                xen::yield_processor();
            }
            Self::tell();
        }
    }

    fn tell() {
        fence(Ordering::SeqCst);
        // Asked for anew: a reset of the event channels may have changed it.
        if let Some(port) = xen::parameter(HVM_PARAM_CONSOLE_EVTCHN) {
            xen::notify(u32::try_from(port).unwrap_or(0));
        }
    }
}

impl Write for Output {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        match self {
            Self::None => {}
            Self::Serial(port) => {
                for byte in text.bytes() {
                    // SAFETY: the first serial port; it takes any byte.
                    unsafe { port.write(byte) };
                }
            }
            Self::Ring(ring) => ring.write(text.as_bytes()),
        }
        Ok(())
    }
}

/// Prints; whole calls stay together.
pub(crate) fn write(arguments: fmt::Arguments<'_>) {
    struct Buffer<'a> {
        out: &'a mut Output,
        text: [u8; 512],
        used: usize,
    }
    impl Buffer<'_> {
        fn empty(&mut self) {
            if let Ok(text) = core::str::from_utf8(&self.text[..self.used]) {
                let _ = self.out.write_str(text);
            }
            self.used = 0;
        }
    }
    impl Write for Buffer<'_> {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            if self.used + text.len() > self.text.len() {
                self.empty();
            }
            if text.len() > self.text.len() {
                return self.out.write_str(text);
            }
            self.text[self.used..self.used + text.len()].copy_from_slice(text.as_bytes());
            self.used += text.len();
            Ok(())
        }
    }
    let mut out = OUTPUT.lock();
    let mut buffer = Buffer {
        out: &mut out,
        text: [0; 512],
        used: 0,
    };
    let _ = buffer.write_fmt(arguments);
    buffer.empty();
}

/// After a fault: the lock may be held by the code that faulted.
pub(crate) fn unlock() {
    // SAFETY: nothing of this processor continues after the fault; at worst lines of others are mixed in.
    unsafe { OUTPUT.force_unlock() };
}

/// Waits, within limits, until everything is read.
pub(crate) fn flush() {
    if let Output::Ring(ring) = &*OUTPUT.lock() {
        for _ in 0..PATIENCE {
            if ring.out_cons.load(Ordering::Acquire) == ring.out_prod.load(Ordering::Relaxed) {
                return;
            }
            xen::yield_processor();
        }
    }
}

/// Prints to the console.
macro_rules! print {
    ($($part:tt)*) => {
        $crate::kernel::console::write(format_args!($($part)*))
    };
}
pub(crate) use print;
