//! A TAP device in a network namespace: the Linux host behind a backend.
#![allow(
    unsafe_code,
    reason = "one ioctl makes the device, and no library that only does this is worth its dependencies"
)]

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;
use std::sync::{Arc, Mutex};

use netback_model::{FrameMeta, Wire, complete_checksum, segment};

use crate::machine::lock;
use crate::network::Network;

/// Frames read from the device in one poll; the rest waits in the kernel.
const FRAMES_PER_POLL: usize = 64;
/// Longest frame, with room for a tag.
const FRAME_MAX: usize = 9018;
/// Start of the names of our namespaces; the process's number follows.
const PREFIX: &str = "netfront-tap-";

/// A network namespace of our own; it ends, with all devices in it, when this does.
#[derive(Debug)]
pub struct Namespace(String);

impl Namespace {
    /// Makes one, with loopback up. Those of processes that are no more are removed first.
    ///
    /// # Errors
    /// Not root, or no `ip`.
    pub fn new() -> io::Result<Self> {
        for name in Self::list()? {
            let owner = name.strip_prefix(PREFIX);
            if owner.is_some_and(|pid| !std::path::Path::new("/proc").join(pid).exists()) {
                let _ = ip(&["netns", "del", &name]);
            }
        }
        let space = Self(format!("{PREFIX}{}", std::process::id()));
        ip(&["netns", "add", &space.0])?;
        ip(&["-n", &space.0, "link", "set", "lo", "up"])?;
        Ok(space)
    }

    fn list() -> io::Result<Vec<String>> {
        let output = Command::new("ip").args(["netns", "list"]).output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let first = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
        Ok(text.lines().map(first).collect())
    }

    /// A command that runs inside.
    #[must_use]
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0]).arg(program);
        command
    }

    /// Makes a TAP device inside, up, with this address (`10.0.0.1/24`).
    ///
    /// # Errors
    /// No `/dev/net/tun`, or the system refuses.
    pub fn tap(&self, address: &str, mtu: u16) -> io::Result<TapDevice> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open("/dev/net/tun")?;
        // Made outside under a name of our own, then moved: the open file stays its other end.
        let name = format!("nf{}", std::process::id());
        make_tap(&file, &name)?;
        let inside = ["-n", &self.0];
        ip(&["link", "set", &name, "netns", &self.0])?;
        let run = |args: &[&str]| ip(&[&inside[..], args].concat());
        run(&["address", "add", address, "dev", &name])?;
        run(&["link", "set", &name, "mtu", &mtu.to_string(), "up"])?;
        Ok(TapDevice(Arc::new(Mutex::new(Inside {
            file,
            waiting: VecDeque::new(),
            counters: TapCounters::default(),
        }))))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = ip(&["netns", "del", &self.0]);
    }
}

/// Runs `ip`.
fn ip(args: &[&str]) -> io::Result<()> {
    let output = Command::new("ip").args(args).output()?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(io::Error::other(format!(
        "ip {}: {}",
        args.join(" "),
        text.trim()
    )))
}

/// Makes the TAP device whose other end is `file`.
fn make_tap(file: &File, name: &str) -> io::Result<()> {
    let mut request = [0_u8; 40];
    let Some(room) = request.get_mut(..name.len()).filter(|_| name.len() < 16) else {
        return Err(io::Error::other("a device's name has at most 15 bytes"));
    };
    room.copy_from_slice(name.as_bytes());
    let flags = u16::try_from(libc::IFF_TAP | libc::IFF_NO_PI).map_err(io::Error::other)?;
    request[16..18].copy_from_slice(&flags.to_ne_bytes());
    // SAFETY: the request is a `struct ifreq` (40 bytes: a name of 16, then flags), and outlives the call.
    let done = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, request.as_mut_ptr()) };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// What passed the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TapCounters {
    /// Frames from the guest.
    pub from_guest: u64,
    /// Frames to the guest.
    pub to_guest: u64,
    /// Frames from the guest that the system did not take, or whose checksum could not be completed.
    pub lost: u64,
}

#[derive(Debug)]
struct Inside {
    file: File,
    waiting: VecDeque<Vec<u8>>,
    counters: TapCounters,
}

/// A TAP device as the network of a backend. Clones are the same device.
#[derive(Clone, Debug)]
pub struct TapDevice(Arc<Mutex<Inside>>);

impl TapDevice {
    /// What passed so far.
    #[must_use]
    pub fn counters(&self) -> TapCounters {
        lock(&self.0).counters
    }
}

impl Inside {
    fn put(&mut self, frame: &[u8]) {
        self.counters.from_guest += 1;
        if self.file.write(frame).is_err() {
            self.counters.lost += 1;
        }
    }
}

impl Wire for TapDevice {
    fn from_guest(&mut self, frame: &[u8], meta: FrameMeta) {
        let inside = &mut *lock(&self.0);
        if let Some(gso) = meta.gso {
            match segment(frame, gso) {
                Some(pieces) => pieces.iter().for_each(|piece| inside.put(piece)),
                None => inside.counters.lost += 1,
            }
            return;
        }
        let mut frame = frame.to_vec();
        if meta.csum_blank && complete_checksum(&mut frame).is_err() {
            inside.counters.lost += 1;
            return;
        }
        inside.put(&frame);
    }

    fn to_guest(&mut self) -> Option<(Vec<u8>, FrameMeta)> {
        let inside = &mut *lock(&self.0);
        let frame = inside.waiting.pop_front()?;
        inside.counters.to_guest += 1;
        Some((frame, FrameMeta::default()))
    }
}

impl Network for TapDevice {
    fn poll(&mut self, _now: u64) -> bool {
        let inside = &mut *lock(&self.0);
        let before = inside.waiting.len();
        let mut buffer = [0; FRAME_MAX];
        while inside.waiting.len() < FRAMES_PER_POLL {
            match inside.file.read(&mut buffer) {
                Ok(count) if count > 0 => inside
                    .waiting
                    .extend(buffer.get(..count).map(<[u8]>::to_vec)),
                _ => break,
            }
        }
        inside.waiting.len() > before
    }
}
