//! Stopping the machine, for what cannot be survived.
//!
//! Faults of a peer or of the host never come here: they disconnect a queue or fail a device.

use core::panic::{Location, PanicInfo};

/// Bug check codes of the drivers, in the range Windows leaves to customers (bit 29 set).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Code {
    /// A Rust panic. Parameters: address and length of the file name, line, column.
    Panic = 0xe058_0001,
    /// A callback ran at another IRQL than its contract says (checked builds). Parameter: IRQL.
    WrongIrql = 0xe058_0002,
    /// An object the kernel still knows was dropped (checked builds). Parameters: address and
    /// length of its name.
    DroppedOpen = 0xe058_0003,
    /// The kernel broke its own contract. Parameters: address and length of the function's name,
    /// status.
    Kernel = 0xe058_0004,
    /// More owners of one shared value than memory could hold. Parameter: its address.
    TooManyOwners = 0xe058_0005,
}

/// Stops the machine.
pub fn stop(code: Code, parameters: [usize; 4]) -> ! {
    let [first, second, third, fourth] = parameters;
    bug_check(code as u32, [first, second, third, fourth])
}

/// Stops the machine for a Rust panic: what a driver's `#[panic_handler]` calls.
///
/// The panic's message is not formatted: the stack may have no room for it. The parameters name
/// the file (address and length of its UTF-8 bytes, in the image), the line and the column.
pub fn stop_on_panic(info: &PanicInfo<'_>) -> ! {
    stop(Code::Panic, location_parameters(info.location()))
}

fn location_parameters(location: Option<&Location<'_>>) -> [usize; 4] {
    location.map_or([0; 4], |at| {
        [
            at.file().as_ptr().addr(),
            at.file().len(),
            usize::try_from(at.line()).unwrap_or(0),
            usize::try_from(at.column()).unwrap_or(0),
        ]
    })
}

/// Reports in a checked build that an open `name` was dropped. A release build goes on: the caller
/// then leaks the object, since the kernel may still use it.
pub(crate) fn dropped_open(name: &'static str) {
    if cfg!(debug_assertions) {
        stop(Code::DroppedOpen, [name.as_ptr().addr(), name.len(), 0, 0]);
    }
}

/// Stops the machine because `function` returned what its contract excludes.
pub(crate) fn kernel_contract(function: &'static str, status: crate::status::Status) -> ! {
    let raw = usize::try_from(status.into_raw().cast_unsigned()).unwrap_or(0);
    stop(
        Code::Kernel,
        [function.as_ptr().addr(), function.len(), raw, 0],
    )
}

#[cfg(windows)]
fn bug_check(code: u32, [first, second, third, fourth]: [usize; 4]) -> ! {
    // ULONG_PTR is 64 bits, as usize is on the only target of a driver.
    let [first, second, third, fourth] = [first as u64, second as u64, third as u64, fourth as u64];
    // SAFETY: callable at any IRQL; the parameters are only recorded.
    unsafe { wdk_sys::ntddk::KeBugCheckEx(code, first, second, third, fourth) }
}

/// There is no machine to stop in a unit test.
#[cfg(not(windows))]
#[expect(clippy::panic, reason = "host builds are for tests only")]
fn bug_check(code: u32, parameters: [usize; 4]) -> ! {
    panic!("bug check {code:#x} {parameters:x?}")
}

/// Declares the items a driver binary must have exactly once: the pool as global allocator, with
/// `$tag` (a [`pool::Tag`](crate::pool::Tag)), and the panic handler.
#[macro_export]
macro_rules! driver_runtime {
    ($tag:expr) => {
        #[global_allocator]
        static ALLOCATOR: $crate::pool::PoolAllocator<{ $crate::pool::Tag::into_raw($tag) }> =
            $crate::pool::PoolAllocator::new();

        #[panic_handler]
        fn panic(info: &::core::panic::PanicInfo<'_>) -> ! {
            $crate::bugcheck::stop_on_panic(info)
        }
    };
}

#[cfg(test)]
mod tests {
    use core::panic::Location;

    #[test]
    fn a_panic_names_file_line_and_column() {
        let here = Location::caller();
        let [address, length, line, column] = super::location_parameters(Some(here));
        assert_eq!(address, here.file().as_ptr().addr());
        assert_eq!(length, here.file().len());
        assert_eq!(line, here.line() as usize);
        assert_eq!(column, here.column() as usize);
        assert_eq!(super::location_parameters(None), [0; 4]);
    }

    #[test]
    #[should_panic(expected = "bug check 0xe0580003")]
    fn a_dropped_open_object_stops_a_checked_build() {
        super::dropped_open("Dpc");
    }
}
