//! Lists an INF file as setupapi.dll reads it: one line for each line of each section, with its
//! fields between bars, the key first. A program for Windows or Wine; tests/wine.rs builds it.
#![no_std]
#![no_main]

use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::ptr;

#[link(name = "kernel32", kind = "raw-dylib")]
unsafe extern "system" {
    fn GetCommandLineA() -> *const u8;
    fn GetStdHandle(which: u32) -> *mut c_void;
    fn WriteFile(
        file: *mut c_void,
        from: *const u8,
        length: u32,
        written: *mut u32,
        overlapped: *mut c_void,
    ) -> i32;
    fn ExitProcess(code: u32) -> !;
}

/// `INFCONTEXT`.
#[repr(C)]
struct Line {
    inf: *mut c_void,
    current: *mut c_void,
    section: u32,
    line: u32,
}

#[link(name = "setupapi", kind = "raw-dylib")]
unsafe extern "system" {
    fn SetupOpenInfFileA(
        name: *const u8,
        class: *const u8,
        style: u32,
        error_line: *mut u32,
    ) -> *mut c_void;
    fn SetupEnumInfSectionsA(
        inf: *mut c_void,
        index: u32,
        name: *mut u8,
        size: u32,
        needed: *mut u32,
    ) -> i32;
    fn SetupFindFirstLineA(
        inf: *mut c_void,
        section: *const u8,
        key: *const u8,
        line: *mut Line,
    ) -> i32;
    fn SetupFindNextLine(from: *const Line, to: *mut Line) -> i32;
    fn SetupGetFieldCount(line: *const Line) -> u32;
    fn SetupGetStringFieldA(
        line: *const Line,
        field: u32,
        text: *mut u8,
        size: u32,
        needed: *mut u32,
    ) -> i32;
}

const STANDARD_OUTPUT: u32 = -11_i32 as u32;
/// `INF_STYLE_WIN4`: as drivers have it.
const STYLE: u32 = 2;

/// Room for a name or field, NUL included. Not cleared: there is no `memset` to do it.
type Text = MaybeUninit<[u8; SIZE as usize]>;
const SIZE: u32 = 1024;

/// Prints up to the NUL.
///
/// # Safety
/// There is one.
unsafe fn print(text: *const u8) {
    let mut length = 0;
    // SAFETY: not behind the NUL.
    while unsafe { *text.add(length as usize) } != 0 {
        length += 1;
    }
    let mut written = 0;
    // SAFETY: so many bytes are there.
    unsafe {
        WriteFile(
            GetStdHandle(STANDARD_OUTPUT),
            text,
            length,
            &mut written,
            ptr::null_mut(),
        );
    }
}

/// Prints one line of a section.
///
/// # Safety
/// The line is setupapi's; the name ends with NUL.
unsafe fn list(line: &Line, section: *const u8) {
    let mut text = Text::uninit();
    let text = text.as_mut_ptr().cast::<u8>();
    // SAFETY: all that is printed ends with NUL; room and its size belong together.
    unsafe {
        print(section);
        for field in 0..=SetupGetFieldCount(line) {
            print(c"|".as_ptr().cast());
            if SetupGetStringFieldA(line, field, text, SIZE, ptr::null_mut()) != 0 {
                print(text);
            }
        }
        print(c"\n".as_ptr().cast());
    }
}

/// The file's name: what follows the last space of the command line.
fn file_name() -> *const u8 {
    // SAFETY: the command line ends with NUL and is never freed.
    unsafe {
        let mut at = GetCommandLineA();
        let mut name = at;
        while *at != 0 {
            if *at == b' ' {
                name = at.add(1);
            }
            at = at.add(1);
        }
        name
    }
}

#[unsafe(no_mangle)]
extern "system" fn main() -> ! {
    let mut wrong = 0;
    let mut section = Text::uninit();
    let section = section.as_mut_ptr().cast::<u8>();
    let mut line = Line {
        inf: ptr::null_mut(),
        current: ptr::null_mut(),
        section: 0,
        line: 0,
    };
    // SAFETY: names end with NUL; rooms and their sizes belong together; one line may be both the
    // old and the next, as setupapi reads before it writes.
    unsafe {
        let inf = SetupOpenInfFileA(file_name(), ptr::null(), STYLE, &mut wrong);
        if inf as isize == -1 {
            ExitProcess(1)
        }
        let mut index = 0;
        while SetupEnumInfSectionsA(inf, index, section, SIZE, ptr::null_mut()) != 0 {
            let mut more = SetupFindFirstLineA(inf, section, ptr::null(), &mut line);
            while more != 0 {
                list(&line, section);
                let from = &raw const line;
                more = SetupFindNextLine(from, &raw mut line);
            }
            index += 1;
        }
        ExitProcess(0)
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: nothing is held.
    unsafe { ExitProcess(2) }
}
