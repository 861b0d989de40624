//! Resource lists as the plug-and-play manager may hand them in.

use resource_lists::{assigned, required};

/// The target `resources`.
pub(crate) fn run(bytes: &[u8]) {
    let targets: Vec<required::Target> = (0..3)
        .map(|bit| required::Target {
            group: 0,
            affinity: 1 << bit,
        })
        .collect();
    let mut out = [0; 1024];
    let needed = required::len_with_messages(bytes, targets.len());
    let made = required::add_messages(bytes, &targets, &mut out);
    if let (Ok(needed), Ok(made)) = (needed, made) {
        assert!(made <= needed, "{made} bytes written, {needed} asked for");
    }
    let mut changed = bytes.to_vec();
    let count = assigned::resources(bytes).count();
    assigned::hide_messages(&mut changed);
    assert_eq!(assigned::resources(&changed).count(), count);
    assigned::show_messages(&mut changed, bytes);
    assert_eq!(changed, bytes, "hidden and shown again");
}
