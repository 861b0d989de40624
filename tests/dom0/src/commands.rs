//! The guest's command connection (TCP port 5003): the script tells the guest by it what to do next.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    sync::{Condvar, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

/// The newest connection, if there is one.
#[derive(Debug, Default)]
pub(crate) struct Commands {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Counts connections, so that an older one's end does not take a newer one away.
    number: u64,
    stream: Option<TcpStream>,
}

impl Commands {
    /// Keeps a new connection until the guest closes it; what it says is on its console as well.
    ///
    /// # Errors
    /// The connection breaks.
    pub(crate) fn serve(&self, stream: TcpStream) -> Result<()> {
        let reader = BufReader::new(stream.try_clone()?);
        let number = {
            let mut state = self.lock();
            state.number += 1;
            state.stream = Some(stream);
            self.changed.notify_all();
            state.number
        };
        let mut result = Ok(());
        for line in reader.lines() {
            if let Err(error) = line {
                result = Err(error).context("the command connection");
                break;
            }
        }
        let mut state = self.lock();
        if state.number == number {
            state.stream = None;
        }
        result
    }

    /// The connection is over, whatever TCP thinks: a new case begins, or the guest's interface is gone.
    pub(crate) fn forget(&self) {
        self.lock().stream = None;
    }

    /// Sends one line, when there is a connection.
    ///
    /// # Errors
    /// There is none in this time, or it breaks.
    pub(crate) fn send(&self, line: &str, within: Duration) -> Result<()> {
        let end = Instant::now() + within;
        let mut state = self.lock();
        loop {
            if let Some(stream) = &mut state.stream {
                return writeln!(stream, "{line}").context("the command connection");
            }
            let left = end
                .checked_duration_since(Instant::now())
                .context("the guest has no command connection")?;
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Whether there is a connection.
    pub(crate) fn connected(&self) -> bool {
        self.lock().stream.is_some()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
