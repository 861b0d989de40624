//! `events.jsonl`: one line per event, in the shared folder, and a short form on the console.

use std::{
    fs::File,
    io::Write,
    path::Path,
    sync::{Mutex, PoisonError},
};

use anyhow::{Context, Result};
use dom0::event::{Event, Line};

/// The file, and the case the next events belong to.
#[derive(Debug)]
pub(crate) struct Journal {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: File,
    case: String,
}

impl Journal {
    /// Makes the file anew.
    ///
    /// # Errors
    /// The file cannot be made.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).with_context(|| path.display().to_string())?;
        Ok(Self {
            state: Mutex::new(State {
                file,
                case: String::new(),
            }),
        })
    }

    /// From now on events belong to this case.
    pub(crate) fn enter(&self, case: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        case.clone_into(&mut state.case);
    }

    /// Writes one event. What cannot be written is on the console at least.
    pub(crate) fn write(&self, event: Event) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let line = Line {
            at: uptime(),
            case: state.case.clone(),
            event,
        };
        let Ok(mut text) = serde_json::to_string(&line) else {
            return;
        };
        println!("dom0: {}", text.chars().take(300).collect::<String>());
        text.push('\n');
        if let Err(error) = state.file.write_all(text.as_bytes()) {
            println!("dom0: events.jsonl: {error}");
        }
    }
}

/// Seconds since dom0's kernel started.
fn uptime() -> f64 {
    std::fs::read_to_string("/proc/uptime")
        .ok()
        .and_then(|text| text.split_whitespace().next()?.parse().ok())
        .unwrap_or(0.0)
}
