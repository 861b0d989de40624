//! The function table, by which the kernel walks stacks.

use super::{Check, Findings};
use crate::image::Image;

pub(super) fn check(image: &Image<'_>, findings: &mut Findings) {
    let named = image
        .sections
        .iter()
        .any(|section| section.name == ".pdata");
    findings.require(named, Check::Unwind, || {
        "there is no .pdata section".to_owned()
    });
    let functions = image.functions();
    findings.require(!functions.is_empty(), Check::Unwind, || {
        "there is no function table".to_owned()
    });
    let mut last_end = 0;
    for (begin, end, unwind) in functions {
        let sound = begin < end && begin >= last_end && image.is_code(begin);
        findings.require(sound, Check::Unwind, || {
            format!("{begin:#x}..{end:#x} is out of order, empty or no code")
        });
        last_end = end;
        // Version 1 or 2 in the low three bits (x64 exception handling, UNWIND_INFO).
        let version = image.read(unwind, 4).map(|info| info[0] & 7);
        findings.require(matches!(version, Some(1 | 2)), Check::Unwind, || {
            format!("{begin:#x} has no unwind information at {unwind:#x}")
        });
    }
}
