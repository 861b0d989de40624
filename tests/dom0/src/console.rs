//! What the guest prints: xenconsoled keeps it in a file, which is followed here.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use dom0::event::Event;
use serde_json::Value;

use crate::journal::Journal;

/// How often the file is looked at.
const PERIOD: Duration = Duration::from_millis(100);

/// Mark at the start of the guest's structured lines.
const MARK: &str = "@@ ";

/// Follows the console of one guest until dropped.
#[derive(Debug)]
pub(crate) struct Console {
    said: Arc<Mutex<Vec<Value>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Console {
    /// Starts to follow the file, which need not be there yet.
    pub(crate) fn follow(path: PathBuf, journal: &Arc<Journal>) -> Self {
        let said = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let thread = {
            let (said, stop, journal) = (said.clone(), stop.clone(), journal.clone());
            thread::spawn(move || read_lines(&path, &stop, &said, &journal))
        };
        Self {
            said,
            stop,
            thread: Some(thread),
        }
    }

    /// How many events of this name the guest has printed.
    pub(crate) fn count(&self, name: &str) -> usize {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.iter().filter(|value| value["event"] == name).count()
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been printed already.
            let _ = thread.join();
        }
    }
}

fn read_lines(path: &Path, stop: &AtomicBool, said: &Mutex<Vec<Value>>, journal: &Journal) {
    let mut rest = String::new();
    let mut offset = 0;
    loop {
        // Asked before the read, so that what was printed before the end is read.
        let last = stop.load(Ordering::Acquire);
        if let Ok(read) = read_from(path, offset) {
            offset += read.len() as u64;
            rest.push_str(&String::from_utf8_lossy(&read));
            while let Some(end) = rest.find('\n') {
                let line: String = rest.drain(..=end).collect();
                take_line(line.trim_end(), said, journal);
            }
        }
        if last {
            return;
        }
        thread::sleep(PERIOD);
    }
}

fn read_from(path: &Path, offset: u64) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn take_line(line: &str, said: &Mutex<Vec<Value>>, journal: &Journal) {
    let Some((_, text)) = line.split_once(MARK) else {
        println!("guest: {line}");
        return;
    };
    let value = serde_json::from_str(text).unwrap_or_else(
        |error| serde_json::json!({"event": "garbled", "line": text, "error": error.to_string()}),
    );
    journal.write(Event::Guest {
        said: value.clone(),
    });
    said.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(value);
}
