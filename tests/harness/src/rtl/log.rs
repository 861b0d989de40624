//! `DbgPrint` and `DbgPrintEx`: formatted and kept; printed at once on bare metal, never by a process.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use spin::Mutex;

use crate::export::{Module, exports};
use crate::host::context::kernel;
use crate::mem::guest::{Guest, read_bytes};

exports! { Module::Ntoskrnl;
    DbgPrint = print, 0..=15;
    DbgPrintEx = print_ex, 0..=15;
    vDbgPrintEx = print_list, 0..=15;
}

/// One line of debug output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Virtual time, 100 ns units.
    pub time: u64,
    /// Text, without the line end.
    pub text: String,
}

/// Captured debug output.
#[derive(Debug, Default)]
pub(crate) struct Log(Mutex<Vec<LogLine>>);

impl Log {
    pub(crate) fn push(&self, time: u64, text: &str) {
        let mut lines = self.0.lock();
        for line in text.lines() {
            #[cfg(not(feature = "linux"))]
            crate::host::bare::host().print(line);
            lines.push(LogLine {
                time,
                text: line.to_owned(),
            });
        }
    }

    pub(crate) fn lines(&self) -> Vec<LogLine> {
        self.0.lock().clone()
    }
}

/// Reads a NUL-terminated byte string the driver points at.
pub(crate) fn read_ansi(address: usize, limit: usize) -> String {
    let mut bytes = Vec::new();
    for index in 0..limit {
        let byte = Guest::<u8>::new(address + index).load();
        if byte == 0 {
            break;
        }
        bytes.push(byte);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Reads a NUL-terminated UTF-16 string the driver points at.
pub(crate) fn read_wide(address: usize, limit: usize) -> String {
    let words: Vec<u16> = (0..limit)
        .map(|index| Guest::<u16>::new(address).index(index).load())
        .take_while(|word| *word != 0)
        .collect();
    String::from_utf16_lossy(&words)
}

/// One conversion of a format string.
#[expect(
    clippy::struct_excessive_bools,
    reason = "printf's flags are independent of each other"
)]
#[derive(Debug, Default)]
struct Conversion {
    left: bool,
    zero: bool,
    alternate: bool,
    width: usize,
    precision: Option<usize>,
    /// 0 for int, 8 for 64 bits; 'w' and 'h' for string width.
    wide: bool,
    word: bool,
}

fn number(chars: &mut core::iter::Peekable<core::str::Chars<'_>>) -> usize {
    let mut value = 0_usize;
    while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
        value = value * 10 + digit as usize;
        chars.next();
    }
    value
}

fn pad(conversion: &Conversion, text: &str) -> String {
    let width = conversion.width.min(512);
    match (conversion.left, conversion.zero) {
        (true, _) => format!("{text:<width$}"),
        (false, true) => format!("{text:0>width$}"),
        (false, false) => format!("{text:>width$}"),
    }
}

fn integer(conversion: &Conversion, kind: char, value: usize) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "an int argument is the low half of its slot"
    )]
    let narrow = value as u32;
    let wide = if conversion.word {
        value as u64
    } else {
        u64::from(narrow)
    };
    let text = match kind {
        'd' | 'i' if conversion.word => value.cast_signed().to_string(),
        'd' | 'i' => narrow.cast_signed().to_string(),
        'u' => wide.to_string(),
        'x' if conversion.alternate => format!("{wide:#x}"),
        'x' => format!("{wide:x}"),
        'X' => format!("{wide:X}"),
        'o' => format!("{wide:o}"),
        _ => format!("{value:016X}"),
    };
    pad(conversion, &text)
}

fn string(conversion: &Conversion, kind: char, value: usize) -> String {
    let limit = conversion.precision.unwrap_or(512).min(512);
    let wide = conversion.wide || kind == 'S';
    let text = match (kind, wide) {
        ('Z', wide) => {
            // UNICODE_STRING or ANSI_STRING: length, capacity, buffer.
            let len = usize::from(Guest::<u16>::new(value).load()).min(512);
            let buffer = Guest::<usize>::new(value + 8).load();
            let mut bytes = vec![0; len];
            read_bytes(buffer, &mut bytes);
            if wide {
                let words: Vec<u16> = bytes
                    .chunks_exact(2)
                    .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
                    .collect();
                String::from_utf16_lossy(&words)
            } else {
                String::from_utf8_lossy(&bytes).into_owned()
            }
        }
        (_, _) if value == 0 => "(null)".to_owned(),
        (_, true) => read_wide(value, limit),
        (_, false) => read_ansi(value, limit),
    };
    pad(conversion, &text)
}

/// Formats as the kernel's printf does. `next` gives the arguments, each one 64-bit slot.
pub(crate) fn format(text: &str, next: &mut dyn FnMut() -> usize) -> String {
    let mut out = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut conversion = Conversion::default();
        while let Some(flag) = chars.next_if(|c| "-0#+ ".contains(*c)) {
            conversion.left |= flag == '-';
            conversion.zero |= flag == '0';
            conversion.alternate |= flag == '#';
        }
        conversion.width = if chars.next_if_eq(&'*').is_some() {
            next()
        } else {
            number(&mut chars)
        };
        if chars.next_if_eq(&'.').is_some() {
            let star = chars.next_if_eq(&'*').is_some();
            conversion.precision = Some(if star { next() } else { number(&mut chars) });
        }
        loop {
            match chars.peek() {
                Some('l') => {
                    chars.next();
                    conversion.word |= chars.next_if_eq(&'l').is_some();
                    conversion.wide = true;
                }
                Some('w') => {
                    chars.next();
                    conversion.wide = true;
                }
                Some('h') => {
                    chars.next();
                }
                Some('z' | 'j') => {
                    chars.next();
                    conversion.word = true;
                }
                Some('I') => {
                    chars.next();
                    conversion.word = number(&mut chars) != 32;
                }
                _ => break,
            }
        }
        match chars.next() {
            Some('%') => out.push('%'),
            Some('c') => out.push(char::from(u8::try_from(next() & 0xFF).unwrap_or(b'?'))),
            Some(kind @ ('s' | 'S' | 'Z')) => out.push_str(&string(&conversion, kind, next())),
            Some(kind @ ('d' | 'i' | 'u' | 'x' | 'X' | 'o' | 'p')) => {
                out.push_str(&integer(&conversion, kind, next()));
            }
            other => out.extend(other),
        }
    }
    out
}

fn log(format_at: usize, next: &mut dyn FnMut() -> usize) {
    let text = format(&read_ansi(format_at, 1024), next);
    let kernel = kernel();
    kernel.log.push(kernel.sched.now(), &text);
}

// NT's functions are variadic. A win64 callee finds every argument in the place a fixed parameter would
// have, so parameters beyond those passed are harmless words of the caller's stack.
extern "win64" fn print(
    text: usize,
    slot0: usize,
    slot1: usize,
    slot2: usize,
    slot3: usize,
    slot4: usize,
    slot5: usize,
    slot6: usize,
    slot7: usize,
) -> i32 {
    let mut arguments = [slot0, slot1, slot2, slot3, slot4, slot5, slot6, slot7].into_iter();
    log(text, &mut || arguments.next().unwrap_or(0));
    0
}

extern "win64" fn print_ex(
    _component: u32,
    _level: u32,
    text: usize,
    slot0: usize,
    slot1: usize,
    slot2: usize,
    slot3: usize,
    slot4: usize,
    slot5: usize,
    slot6: usize,
    slot7: usize,
) -> i32 {
    let mut arguments = [slot0, slot1, slot2, slot3, slot4, slot5, slot6, slot7].into_iter();
    log(text, &mut || arguments.next().unwrap_or(0));
    0
}

extern "win64" fn print_list(_component: u32, _level: u32, text: usize, list: *const usize) -> i32 {
    let mut index = 0;
    log(text, &mut || {
        index += 1;
        Guest::from(list).index(index - 1).load()
    });
    0
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use super::format;

    fn with(text: &str, arguments: &[usize]) -> String {
        let mut arguments = arguments.iter().copied();
        format(text, &mut || arguments.next().unwrap_or(0))
    }

    #[test]
    fn integers_follow_width_and_size() {
        assert_eq!(with("%d %u", &[0xFFFF_FFFF, 7]), "-1 7");
        assert_eq!(with("%08x|%-4d|%4d", &[0xBEEF, 5, 6]), "0000beef|5   |   6");
        assert_eq!(
            with("%llx %I64u", &[0x1_0000_0000, 1 << 40]),
            "100000000 1099511627776"
        );
        assert_eq!(with("100%%", &[]), "100%");
    }
}
