//! Control Flow Guard: what the two pointers in an image's load configuration lead to.

use crate::export;
use crate::host::context::kernel;
use crate::host::gate;
use crate::rules;
use alloc::format;

pub(super) fn check_address() -> usize {
    gate::guard_check_gate as *const () as usize
}

pub(super) fn dispatch_address() -> usize {
    gate::guard_dispatch_gate as *const () as usize
}

/// An indirect call from driver code is about to reach `target`.
pub(crate) fn check(target: usize, caller: usize) {
    let kernel = kernel();
    if export::is_thunk(target) {
        return;
    }
    let allowed = kernel.image_at(target).is_some_and(|image| {
        let rva = u32::try_from(target - image.base).unwrap_or(0);
        image
            .targets
            .as_ref()
            .is_none_or(|targets| targets.contains(&rva))
    });
    if !allowed {
        rules::die(
            &rules::GUARD,
            format!(
                "{} calls {}, which is in no table of call targets",
                kernel.name_address(caller),
                kernel.name_address(target)
            ),
        );
    }
}
