//! Counted strings, versions and other small run-time library functions.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use wdk_sys::{ANSI_STRING, UNICODE_STRING};

use crate::export::{Module, exports};
use crate::field;
use crate::host::context::kernel;
use crate::mem::guest::{Guest, read_bytes, write_bytes};

const STATUS_BUFFER_TOO_SMALL: i32 = 0xC000_0023_u32.cast_signed();

exports! { Module::Ntoskrnl;
    RtlInitUnicodeString = init_unicode, 0..=2;
    RtlInitAnsiString = init_ansi, 0..=2;
    RtlCopyUnicodeString = copy_unicode, 0..=2;
    RtlCompareUnicodeString = compare_unicode, 0..=0;
    RtlEqualUnicodeString = equal_unicode, 0..=0;
    RtlAppendUnicodeStringToString = append_unicode, 0..=0;
    RtlAppendUnicodeToString = append_text, 0..=0;
    RtlFreeUnicodeString = free_unicode, 0..=0;
    RtlGetVersion = version, 0..=0;
}

/// The text of a counted string.
pub(crate) fn read_unicode(string: *const UNICODE_STRING) -> String {
    String::from_utf16_lossy(&words(string))
}

fn words(string: *const UNICODE_STRING) -> Vec<u16> {
    let len = usize::from(field!(string, UNICODE_STRING, Length).load());
    let buffer = field!(string, UNICODE_STRING, Buffer).load() as usize;
    let mut bytes = vec![0; len];
    read_bytes(buffer, &mut bytes);
    bytes
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .collect()
}

/// Writes `text` as NUL-terminated UTF-16 to fresh guest memory of the system and points `string` at it.
pub(crate) fn store_unicode(string: *mut UNICODE_STRING, text: &str) {
    let bytes: Vec<u8> = text
        .encode_utf16()
        .chain([0])
        .flat_map(u16::to_le_bytes)
        .collect();
    let buffer = kernel().pool.allocate_own(bytes.len());
    write_bytes(buffer, &bytes);
    let len = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    field!(string, UNICODE_STRING, Length).store(len - 2);
    field!(string, UNICODE_STRING, MaximumLength).store(len);
    field!(string, UNICODE_STRING, Buffer).store(buffer as *mut u16);
}

extern "win64" fn init_unicode(string: *mut UNICODE_STRING, text: *const u16) {
    let mut len = 0_u16;
    if !text.is_null() {
        while len < 32_767 && Guest::from(text).index(usize::from(len)).load() != 0 {
            len += 1;
        }
    }
    field!(string, UNICODE_STRING, Length).store(len * 2);
    field!(string, UNICODE_STRING, MaximumLength).store(if text.is_null() {
        0
    } else {
        len * 2 + 2
    });
    field!(string, UNICODE_STRING, Buffer).store(text.cast_mut());
}

extern "win64" fn init_ansi(string: *mut ANSI_STRING, text: *const u8) {
    let mut len = 0_u16;
    if !text.is_null() {
        while len < 65_534 && Guest::from(text).index(usize::from(len)).load() != 0 {
            len += 1;
        }
    }
    field!(string, ANSI_STRING, Length).store(len);
    field!(string, ANSI_STRING, MaximumLength).store(if text.is_null() { 0 } else { len + 1 });
    field!(string, ANSI_STRING, Buffer)
        .cast::<usize>()
        .store(text as usize);
}

fn store_words(string: *mut UNICODE_STRING, at: u16, words: &[u16]) -> u16 {
    let buffer = field!(string, UNICODE_STRING, Buffer).load() as usize;
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    write_bytes(buffer + usize::from(at), &bytes);
    let end = at + u16::try_from(bytes.len()).unwrap_or(0);
    if end + 2 <= field!(string, UNICODE_STRING, MaximumLength).load() {
        Guest::<u16>::new(buffer + usize::from(end)).store(0);
    }
    field!(string, UNICODE_STRING, Length).store(end);
    end
}

extern "win64" fn copy_unicode(to: *mut UNICODE_STRING, from: *const UNICODE_STRING) {
    let mut text = if from.is_null() {
        Vec::new()
    } else {
        words(from)
    };
    text.truncate(usize::from(
        field!(to, UNICODE_STRING, MaximumLength).load() / 2,
    ));
    store_words(to, 0, &text);
}

fn fold(words: Vec<u16>, insensitive: u8) -> Vec<u16> {
    if insensitive == 0 {
        return words;
    }
    String::from_utf16_lossy(&words)
        .to_uppercase()
        .encode_utf16()
        .collect()
}

extern "win64" fn compare_unicode(
    a: *const UNICODE_STRING,
    b: *const UNICODE_STRING,
    insensitive: u8,
) -> i32 {
    fold(words(a), insensitive).cmp(&fold(words(b), insensitive)) as i32
}

extern "win64" fn equal_unicode(
    a: *const UNICODE_STRING,
    b: *const UNICODE_STRING,
    insensitive: u8,
) -> u8 {
    u8::from(compare_unicode(a, b, insensitive) == 0)
}

fn append(to: *mut UNICODE_STRING, text: &[u16]) -> i32 {
    let at = field!(to, UNICODE_STRING, Length).load();
    let room = field!(to, UNICODE_STRING, MaximumLength).load() - at;
    if text.len() * 2 > usize::from(room) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    store_words(to, at, text);
    0
}

extern "win64" fn append_unicode(to: *mut UNICODE_STRING, from: *const UNICODE_STRING) -> i32 {
    append(to, &words(from))
}

extern "win64" fn append_text(to: *mut UNICODE_STRING, from: *const u16) -> i32 {
    let text: Vec<u16> = super::log::read_wide(from as usize, 32_767)
        .encode_utf16()
        .collect();
    append(to, &text)
}

extern "win64" fn free_unicode(string: *mut UNICODE_STRING) {
    let buffer = field!(string, UNICODE_STRING, Buffer).load() as usize;
    if buffer != 0 {
        kernel().pool.free(buffer, None);
        field!(string, UNICODE_STRING, Buffer).store(core::ptr::null_mut());
    }
}

/// Windows 10 1809, the oldest system served: 10.0.17763. Fields of `RTL_OSVERSIONINFOW` after its size.
extern "win64" fn version(out: *mut u32) -> i32 {
    for (index, value) in [10_u32, 0, 17_763, 2].into_iter().enumerate() {
        Guest::from(out).index(index + 1).store(value);
    }
    0
}
