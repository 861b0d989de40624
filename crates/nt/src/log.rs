//! Messages to the kernel debugger (`DbgPrintEx`), at any IRQL.
//!
//! A line is formatted into a buffer on the stack, so nothing is allocated. What a peer sends is
//! never the format. Which levels show is the debugger's filter for the [`Component`].

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicU32, Ordering};

use wdk_sys::ntddk;

/// Bytes of a line, with its terminator. `DbgPrintEx` itself cuts at 512.
const LINE: usize = 256;

/// How much a message matters (`DPFLTR_*_LEVEL`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Level {
    /// Something the driver cannot do; shown by default.
    Error = 0,
    /// Something odd that it goes on after.
    Warning = 1,
    /// Steps of normal work.
    Trace = 2,
    /// Changes of state.
    Info = 3,
}

/// Whose filter applies (`DPFLTR_TYPE`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Component {
    /// `DPFLTR_IHVDRIVER_ID`: any driver; the default.
    Driver = 77,
    /// `DPFLTR_IHVNETWORK_ID`: network drivers.
    Network = 80,
    /// `DPFLTR_IHVBUS_ID`: bus drivers.
    Bus = 82,
}

static COMPONENT: AtomicU32 = AtomicU32::new(Component::Driver as u32);

/// Chooses whose filter applies, once, in `DriverEntry`.
pub fn set_component(component: Component) {
    COMPONENT.store(component as u32, Ordering::Relaxed);
}

/// Prints one line; the macros call it.
pub fn write(level: Level, message: fmt::Arguments<'_>) {
    let mut line = Line::<LINE>::new();
    // A line that does not fit is cut, which is all that can be done.
    let _ = line.write_fmt(message);
    let text = line.terminated();
    let component = COMPONENT.load(Ordering::Relaxed);
    // SAFETY: the format takes one terminated string, which lives until the call returns. The text
    // is ASCII or UTF-8 bytes, which need no code page, so any IRQL will do.
    unsafe {
        ntddk::DbgPrintEx(component, level as u32, c"%s\n".as_ptr(), text.as_ptr());
    }
}

/// Logs at [`Level::Error`], as `format!` formats.
#[macro_export]
macro_rules! log_error {
    ($($message:tt)+) => { $crate::log_line!($crate::log::Level::Error, $($message)+) };
}

/// Logs at [`Level::Warning`], as `format!` formats.
#[macro_export]
macro_rules! log_warn {
    ($($message:tt)+) => { $crate::log_line!($crate::log::Level::Warning, $($message)+) };
}

/// Logs at [`Level::Info`], as `format!` formats.
#[macro_export]
macro_rules! log_info {
    ($($message:tt)+) => { $crate::log_line!($crate::log::Level::Info, $($message)+) };
}

/// Logs at [`Level::Trace`], as `format!` formats.
#[macro_export]
macro_rules! log_trace {
    ($($message:tt)+) => { $crate::log_line!($crate::log::Level::Trace, $($message)+) };
}

/// Logs at a level given first, with the module's path before the message.
#[doc(hidden)]
#[macro_export]
macro_rules! log_line {
    ($level:expr, $($message:tt)+) => {
        $crate::log::write(
            $level,
            ::core::format_args!("{}: {}", ::core::module_path!(), ::core::format_args!($($message)+)),
        )
    };
}

/// A line of at most `N - 1` bytes and a terminator.
struct Line<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Line<N> {
    const fn new() -> Self {
        const { assert!(N > 0, "no room for the terminator") };
        Self {
            bytes: [0; N],
            len: 0,
        }
    }

    /// The text and a NUL. Bytes after `len` were never written and are NUL.
    fn terminated(&self) -> &[u8] {
        self.bytes.get(..=self.len).unwrap_or(&[0])
    }
}

impl<const N: usize> Write for Line<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            let room = self.len.checked_add(1).is_some_and(|next| next < N);
            match self.bytes.get_mut(self.len) {
                // A NUL would end the line early, and a peer may send one.
                Some(place) if room => *place = if byte == 0 { b'?' } else { byte },
                _ => return Err(fmt::Error),
            }
            self.len = self.len.saturating_add(1);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use core::fmt::Write;

    use super::Line;

    #[test]
    fn a_line_is_terminated() {
        let mut line = Line::<16>::new();
        write!(line, "queue {}", 3).unwrap();
        assert_eq!(line.terminated(), b"queue 3\0");
    }

    #[test]
    fn a_long_line_is_cut_before_its_terminator() {
        let mut line = Line::<4>::new();
        assert!(write!(line, "abcdef").is_err());
        assert_eq!(line.terminated(), b"abc\0");
    }

    #[test]
    fn a_nul_in_the_text_does_not_end_it() {
        let mut line = Line::<8>::new();
        write!(line, "a\0b").unwrap();
        assert_eq!(line.terminated(), b"a?b\0");
    }
}
