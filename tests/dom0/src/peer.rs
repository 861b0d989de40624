//! Who the guest's TCP/IP stack talks to: three ports on every address of dom0 (see the README).

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use dom0::{
    event::{Event, Way},
    pattern::Pattern,
};
use sha2::{Digest, Sha256};

use crate::{commands::Commands, journal::Journal};

/// Takes bytes, answers their hash.
const SINK: u16 = 5001;

/// Sends bytes and their hash.
const SOURCE: u16 = 5002;

/// The guest waits here for commands.
const COMMANDS: u16 = 5003;

/// A connection on which nothing moves for so long is given up. Longer than any pause of a case.
const PATIENCE: Duration = Duration::from_mins(2);

const BUFFER: usize = 64 << 10;

/// Listens on all ports, with a thread per connection.
///
/// # Errors
/// A port cannot be listened on.
pub(crate) fn serve(journal: &Arc<Journal>, commands: &Arc<Commands>) -> Result<()> {
    for port in [SINK, SOURCE, COMMANDS] {
        let listener =
            TcpListener::bind(("::", port)).with_context(|| format!("TCP port {port}"))?;
        let (journal, commands) = (journal.clone(), commands.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (journal, commands) = (journal.clone(), commands.clone());
                thread::spawn(move || {
                    if let Err(error) = answer(port, stream, &journal, &commands) {
                        journal.write(Event::Broken {
                            error: format!("port {port}: {error:#}"),
                        });
                    }
                });
            }
        });
    }
    Ok(())
}

fn answer(port: u16, mut stream: TcpStream, journal: &Journal, commands: &Commands) -> Result<()> {
    if port == COMMANDS {
        // It may be silent for minutes.
        return commands.serve(stream);
    }
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut length = [0; 8];
    stream.read_exact(&mut length).context("the length")?;
    let bytes = u64::from_le_bytes(length);
    if port == SINK {
        sink(stream, bytes, journal)
    } else {
        source(stream, bytes, journal)
    }
}

/// Takes `bytes` bytes and answers their SHA-256.
fn sink(mut stream: TcpStream, bytes: u64, journal: &Journal) -> Result<()> {
    let start = Instant::now();
    let mut hash = Sha256::new();
    let mut buffer = vec![0; BUFFER];
    let mut left = bytes;
    while left > 0 {
        let want = buffer.len().min(usize::try_from(left).unwrap_or(BUFFER));
        let got = stream
            .read(&mut buffer[..want])
            .with_context(|| format!("{left} of {bytes} bytes missing"))?;
        anyhow::ensure!(got > 0, "closed with {left} of {bytes} bytes missing");
        hash.update(&buffer[..got]);
        left -= got as u64;
    }
    let hash = hash.finalize();
    journal.write(traffic(Way::Tx, bytes, &hash, start));
    stream.write_all(&hash).context("the hash")
}

/// Sends `bytes` bytes of the pattern, then their SHA-256.
fn source(mut stream: TcpStream, bytes: u64, journal: &Journal) -> Result<()> {
    let start = Instant::now();
    let mut hash = Sha256::new();
    let mut pattern = Pattern::default();
    let mut buffer = vec![0; BUFFER];
    let mut left = bytes;
    while left > 0 {
        let now = buffer.len().min(usize::try_from(left).unwrap_or(BUFFER));
        let chunk = &mut buffer[..now];
        pattern.fill(chunk);
        hash.update(&*chunk);
        stream
            .write_all(chunk)
            .with_context(|| format!("{left} of {bytes} bytes left to send"))?;
        left -= now as u64;
    }
    let hash = hash.finalize();
    stream.write_all(&hash).context("the hash")?;
    journal.write(traffic(Way::Rx, bytes, &hash, start));
    Ok(())
}

fn traffic(way: Way, bytes: u64, hash: &[u8], start: Instant) -> Event {
    Event::Traffic {
        way,
        bytes,
        sha256: hash.iter().map(|byte| format!("{byte:02x}")).collect(),
        seconds: start.elapsed().as_secs_f64(),
    }
}
