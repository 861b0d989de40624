//! Lines for the test bed.

use serde_json::Value;

/// Prints an object as a line of its own.
pub(crate) fn tell(event: &Value) {
    super::console::print!("@@ {event}\n");
}
