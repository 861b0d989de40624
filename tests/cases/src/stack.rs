//! A TCP/IP stack with byte streams over it, for either side of the driver.

use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;

use sha2::{Digest, Sha256};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp;
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpAddress, IpCidr, Ipv4Address};

use crate::content::Content;
use crate::rss::Flow;
use crate::stamp;
use crate::transfer::{DOWNLOAD, Side, Transfer, UPLOAD};

/// Frames a stack has made and nobody has taken: more wait in its sockets.
const FRAMES_WAITING: usize = 192;
/// First of the ports to connect from: the upper half.
const FIRST_PORT: u16 = 32_768;
/// Bytes made or taken per turn of a stream.
const CHUNK: usize = 16 * 1024;

/// Frames in and out of a stack.
#[derive(Debug)]
struct Frames {
    mtu: usize,
    received: VecDeque<Vec<u8>>,
    made: VecDeque<Vec<u8>>,
}

#[derive(Debug)]
struct Take(Vec<u8>);

#[derive(Debug)]
struct Make<'a>(&'a mut VecDeque<Vec<u8>>);

impl RxToken for Take {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, body: F) -> R {
        body(&self.0)
    }
}

impl TxToken for Make<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, body: F) -> R {
        let mut frame = vec![0; len];
        let result = body(&mut frame);
        self.0.push_back(frame);
        result
    }
}

impl Device for Frames {
    type RxToken<'a> = Take;
    type TxToken<'a> = Make<'a>;

    fn receive(&mut self, _now: Instant) -> Option<(Take, Make<'_>)> {
        let frame = self.received.pop_front()?;
        Some((Take(frame), Make(&mut self.made)))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Make<'_>> {
        (self.made.len() < FRAMES_WAITING).then_some(Make(&mut self.made))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = self.mtu + 14;
        capabilities
    }
}

/// What one end of a connection does.
#[derive(Debug)]
enum Role {
    Source {
        content: Content,
        ready: Vec<u8>,
    },
    Sink,
    /// With the protocol of [`mod@crate::transfer`].
    Transfer(Transfer),
    /// Lines of text both ways.
    Lines {
        input: Vec<u8>,
        output: Vec<u8>,
    },
}

/// One end of a connection that carries bytes one way.
#[derive(Debug)]
struct Stream {
    handle: SocketHandle,
    role: Role,
    total: u64,
    moved: u64,
    hash: Sha256,
    finished: bool,
}

/// How a stream ended, or where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes given to TCP, or taken from it.
    pub moved: u64,
    /// All bytes of the stream are moved and, at the source, acknowledged.
    pub finished: bool,
    /// SHA-256 of the moved bytes.
    pub hash: [u8; 32],
    /// Whether the content arrived as it was sent, where the stream's protocol tells.
    pub intact: Option<bool>,
}

/// Which end of a stream a stack has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Sends `total` bytes made from `seed`.
    Source {
        /// Content.
        seed: u64,
    },
    /// Receives.
    Sink,
    /// Sends `total` bytes made from `seed` to a server of [`mod@crate::transfer`], and compares what it answers.
    Upload {
        /// Content.
        seed: u64,
    },
    /// Asks such a server for `total` bytes, and compares.
    Download,
    /// Is a server for one upload.
    UploadServer,
    /// Is a server for one download.
    DownloadServer {
        /// Content.
        seed: u64,
    },
    /// Lines of text: [`Stack::say`], [`Stack::heard`].
    Lines,
}

/// A TCP/IP stack with streams.
pub struct Stack {
    interface: Interface,
    sockets: SocketSet<'static>,
    frames: Frames,
    streams: Vec<Stream>,
    window: usize,
    /// The next port to connect from.
    next_port: u16,
    /// Connections carry timestamps.
    stamped: bool,
}

impl core::fmt::Debug for Stack {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.debug_struct("Stack")
            .field("streams", &self.streams)
            .finish_non_exhaustive()
    }
}

/// A time of the harness, 100 ns units, as the stack counts it.
fn instant(now: u64) -> Instant {
    Instant::from_micros(i64::try_from(now / 10).unwrap_or(i64::MAX))
}

/// Address of host `host` on the only network there is.
const fn address(host: u8) -> Ipv4Address {
    Ipv4Address::new(10, 0, 0, host)
}

impl Stack {
    /// A stack for host `host` (1 to 254) of 10.0.0.0/24, with TCP windows of `window` bytes.
    #[must_use]
    pub fn new(mac: [u8; 6], host: u8, mtu: usize, window: usize, seed: u64) -> Self {
        Self::at(mac, address(host), mtu, window, seed)
    }

    /// A stack with this address in a /24.
    #[must_use]
    pub fn at(mac: [u8; 6], ip: Ipv4Address, mtu: usize, window: usize, seed: u64) -> Self {
        let mut frames = Frames {
            mtu,
            received: VecDeque::new(),
            made: VecDeque::new(),
        };
        let mut config = Config::new(HardwareAddress::Ethernet(EthernetAddress(mac)));
        config.random_seed = seed;
        let mut interface = Interface::new(config, &mut frames, Instant::ZERO);
        interface.update_ip_addrs(|addresses| {
            let _ = addresses.push(IpCidr::new(IpAddress::Ipv4(ip), 24));
        });
        Self {
            interface,
            sockets: SocketSet::new(Vec::new()),
            frames,
            streams: Vec::new(),
            window,
            next_port: FIRST_PORT,
            stamped: false,
        }
    }

    /// Has all further connections carry timestamps that count moments: what peers send tells what they had seen
    /// ([`crate::TableChanges`]).
    pub const fn stamp(&mut self) {
        self.stamped = true;
    }

    fn add(&mut self, end: End, total: u64) -> SocketHandle {
        let buffer = |size| tcp::SocketBuffer::new(vec![0; size]);
        let (receive, send) = match end {
            End::Source { .. } | End::Upload { .. } | End::DownloadServer { .. } => {
                (4096, self.window)
            }
            End::Sink | End::Download | End::UploadServer => (self.window, 4096),
            End::Lines => (4096, 4096),
        };
        let mut socket = tcp::Socket::new(buffer(receive), buffer(send));
        socket.set_nagle_enabled(false);
        socket.set_tsval_generator(self.stamped.then_some(stamp::now));
        let handle = self.sockets.add(socket);
        let role = match end {
            End::Source { seed } => Role::Source {
                content: Content::new(seed),
                ready: Vec::new(),
            },
            End::Sink => Role::Sink,
            End::Upload { seed } => {
                Role::Transfer(Transfer::client(Side::UploadClient, total, seed))
            }
            End::Download => Role::Transfer(Transfer::client(Side::DownloadClient, total, 0)),
            End::UploadServer => Role::Transfer(Transfer::server(Side::UploadServer, 0)),
            End::DownloadServer { seed } => {
                Role::Transfer(Transfer::server(Side::DownloadServer, seed))
            }
            End::Lines => Role::Lines {
                input: Vec::new(),
                output: Vec::new(),
            },
        };
        self.streams.push(Stream {
            handle,
            role,
            total,
            moved: 0,
            hash: Sha256::new(),
            finished: false,
        });
        handle
    }

    /// Waits on `port` for the other end of a stream of `total` bytes.
    ///
    /// # Panics
    /// When the port is 0.
    pub fn listen(&mut self, port: u16, end: End, total: u64) {
        let handle = self.add(end, total);
        let socket = self.sockets.get_mut::<tcp::Socket<'_>>(handle);
        socket.listen(port).expect("a port that is not 0");
    }

    /// Connects to `port` of host `host`, from the port of the same number plus 20000.
    ///
    /// # Panics
    /// When a port is 0.
    pub fn connect(&mut self, host: u8, port: u16, end: End, total: u64) {
        let handle = self.add(end, total);
        let remote = (IpAddress::Ipv4(address(host)), port);
        let socket = self.sockets.get_mut::<tcp::Socket<'_>>(handle);
        let local = port.saturating_add(20_000);
        socket
            .connect(self.interface.context(), remote, local)
            .expect("ports that are not 0");
    }

    /// Connects to a server at `ip`, from a port of its own. Returns the stream's number.
    ///
    /// # Panics
    /// When the port is 0.
    pub fn call(&mut self, ip: Ipv4Address, port: u16, end: End, total: u64) -> usize {
        self.call_on(ip, port, end, total, |_| true)
    }

    /// As [`Stack::call`], from the next port with which frames from the server have a hash that `wanted` accepts.
    ///
    /// # Panics
    /// As of [`Stack::call`], and when there is no such port.
    pub fn call_on(
        &mut self,
        ip: Ipv4Address,
        port: u16,
        end: End,
        total: u64,
        wanted: impl Fn(u32) -> bool,
    ) -> usize {
        let handle = self.add(end, total);
        let own = self
            .interface
            .ipv4_addr()
            .map_or([0; 4], |own| own.octets());
        let local = (0..FIRST_PORT)
            .map(|turn| FIRST_PORT + (self.next_port - FIRST_PORT + turn) % FIRST_PORT)
            .find(|local| wanted(Flow::tcp((ip.octets(), port), (own, *local)).hash()))
            .expect("a port for every hash");
        self.next_port = local.checked_add(1).unwrap_or(FIRST_PORT);
        let socket = self.sockets.get_mut::<tcp::Socket<'_>>(handle);
        socket
            .connect(self.interface.context(), (IpAddress::Ipv4(ip), port), local)
            .expect("ports that are not 0");
        self.streams.len() - 1
    }

    /// Is a server of [`mod@crate::transfer`] for `count` transfers each way.
    pub fn serve(&mut self, count: u64, seed: u64) {
        for number in 0..count {
            self.listen(UPLOAD, End::UploadServer, 0);
            let seed = seed.wrapping_add(number);
            self.listen(DOWNLOAD, End::DownloadServer { seed }, 0);
        }
    }

    /// Sends a line on stream `stream`, which is one of lines.
    pub fn say(&mut self, stream: usize, line: &str) {
        if let Some(Role::Lines { output, .. }) = self.streams.get_mut(stream).map(|s| &mut s.role)
        {
            output.extend_from_slice(line.as_bytes());
            output.push(b'\n');
        }
    }

    /// The next whole line that came on stream `stream`.
    pub fn heard(&mut self, stream: usize) -> Option<alloc::string::String> {
        let Role::Lines { input, .. } = &mut self.streams.get_mut(stream)?.role else {
            return None;
        };
        let end = input.iter().position(|byte| *byte == b'\n')?;
        let line: Vec<u8> = input.drain(..=end).collect();
        Some(alloc::string::String::from_utf8_lossy(&line).trim().into())
    }

    /// Whether [`Stack::heard`] has a line.
    pub fn has_line(&self, stream: usize) -> bool {
        let role = self.streams.get(stream).map(|stream| &stream.role);
        matches!(role, Some(Role::Lines { input, .. }) if input.contains(&b'\n'))
    }

    /// Whether the connection of stream `stream` is over, or was never made.
    pub fn is_broken(&self, stream: usize) -> bool {
        self.streams.get(stream).is_none_or(|stream| {
            let socket = self.sockets.get::<tcp::Socket<'_>>(stream.handle);
            !stream.finished && !socket.is_active()
        })
    }

    /// Drops every stream, finished or not, with its connection.
    pub fn forget_streams(&mut self) {
        self.keep_streams(0);
    }

    /// Drops every stream but the first `count`, finished or not, with its connection.
    pub fn keep_streams(&mut self, count: usize) {
        for stream in self.streams.drain(count.min(self.streams.len())..) {
            self.sockets.remove(stream.handle);
        }
    }

    /// Ends every connection in order.
    pub fn close_streams(&mut self) {
        for stream in &self.streams {
            let socket = self.sockets.get_mut::<tcp::Socket<'_>>(stream.handle);
            socket.close();
        }
    }

    /// Has the next connection come from this port, and those after it from the following ones.
    pub const fn connect_from(&mut self, port: u16) {
        self.next_port = port;
    }

    /// A frame has come.
    pub fn receive(&mut self, frame: Vec<u8>) {
        self.frames.received.push_back(frame);
    }

    /// The next frame to send.
    pub fn next_frame(&mut self) -> Option<Vec<u8>> {
        self.frames.made.pop_front()
    }

    /// As [`Stack::next_frame`], with these offloads used.
    pub fn next_send(&mut self, wanted: large_frames::Use) -> Option<large_frames::Outgoing> {
        large_frames::outgoing(&mut self.frames.made, wanted)
    }

    /// Frames that wait to be sent.
    pub fn frames_waiting(&self) -> usize {
        self.frames.made.len()
    }

    /// Does what frames and time ask for. Whether anything moved.
    pub fn poll(&mut self, now: u64) -> bool {
        let mut worked = !self.frames.received.is_empty();
        let made = self.frames.made.len();
        self.interface
            .poll(instant(now), &mut self.frames, &mut self.sockets);
        if self.advance() {
            worked = true;
            self.interface
                .poll(instant(now), &mut self.frames, &mut self.sockets);
        }
        worked | (self.frames.made.len() != made)
    }

    /// When there is something to do without a frame, 100 ns units.
    pub fn next_deadline(&mut self, now: u64) -> Option<u64> {
        let at = self.interface.poll_at(instant(now), &self.sockets)?;
        Some(u64::try_from(at.total_micros()).unwrap_or(0) * 10)
    }

    /// Moves bytes between streams and sockets.
    fn advance(&mut self) -> bool {
        let mut worked = false;
        for stream in &mut self.streams {
            let socket = self.sockets.get_mut::<tcp::Socket<'_>>(stream.handle);
            while stream.step(socket) {
                worked = true;
            }
            let done = match &stream.role {
                Role::Source { .. } => stream.moved == stream.total && socket.send_queue() == 0,
                Role::Sink => stream.moved == stream.total,
                Role::Transfer(transfer) => {
                    stream.moved = transfer.moved;
                    transfer.is_done()
                }
                Role::Lines { .. } => false,
            };
            if done && !stream.finished {
                stream.finished = true;
                socket.close();
                worked = true;
            }
        }
        worked
    }

    /// Every stream, in the order they were made.
    pub fn progress(&self) -> Vec<Progress> {
        self.streams
            .iter()
            .map(|stream| {
                let (hash, intact) = match &stream.role {
                    Role::Transfer(transfer) => (&transfer.hash, transfer.intact),
                    _ => (&stream.hash, None),
                };
                Progress {
                    moved: stream.moved,
                    finished: stream.finished,
                    hash: hash.clone().finalize().into(),
                    intact,
                }
            })
            .collect()
    }

    /// Number of streams.
    pub const fn streams(&self) -> usize {
        self.streams.len()
    }

    /// Whether all transfers behind the first `count` streams arrived as they were sent; `None` before they are over.
    pub fn intact_after(&self, count: usize) -> Option<bool> {
        let mut intact = true;
        for stream in self.streams.get(count..).unwrap_or_default() {
            if !stream.finished {
                return None;
            }
            if let Role::Transfer(transfer) = &stream.role {
                intact &= transfer.intact == Some(true);
            }
        }
        Some(intact)
    }

    /// All streams are at their end.
    pub fn is_finished(&self) -> bool {
        self.streams.iter().all(|stream| stream.finished)
    }

    /// Bytes moved by all streams.
    pub fn moved(&self) -> u64 {
        self.streams.iter().map(|stream| stream.moved).sum()
    }
}

impl Stream {
    /// Moves some bytes; whether any moved.
    fn step(&mut self, socket: &mut tcp::Socket<'_>) -> bool {
        match &mut self.role {
            Role::Source { content, ready } => {
                if !socket.can_send() || self.moved == self.total {
                    return false;
                }
                if ready.is_empty() {
                    let left = usize::try_from(self.total - self.moved).unwrap_or(usize::MAX);
                    ready.resize(left.min(CHUNK), 0);
                    content.fill(ready);
                }
                let sent = socket.send_slice(ready).unwrap_or(0);
                self.hash.update(&ready[..sent]);
                ready.drain(..sent);
                self.moved += sent as u64;
                sent > 0
            }
            Role::Sink => {
                if !socket.can_recv() {
                    return false;
                }
                let hash = &mut self.hash;
                let taken = socket.recv(|bytes| {
                    hash.update(&*bytes);
                    (bytes.len(), bytes.len())
                });
                let taken = taken.unwrap_or(0);
                self.moved += taken as u64;
                taken > 0
            }
            Role::Transfer(transfer) => transfer.step(socket),
            Role::Lines { input, output } => {
                let before = (input.len(), output.len());
                if socket.can_send() {
                    let sent = socket.send_slice(output).unwrap_or(0);
                    output.drain(..sent);
                }
                if socket.can_recv() {
                    let _ = socket.recv(|bytes| {
                        input.extend_from_slice(bytes);
                        (bytes.len(), ())
                    });
                }
                before != (input.len(), output.len())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{End, Stack};

    #[test]
    fn transfers_compare_hashes_and_lines_pass() {
        let mut a = Stack::new([2, 0, 0, 0, 0, 1], 1, 1500, 65536, 1);
        let mut b = Stack::new([2, 0, 0, 0, 0, 2], 2, 1500, 65536, 2);
        let host = smoltcp::wire::Ipv4Address::new(10, 0, 0, 1);
        a.serve(2, 5);
        a.listen(5003, End::Lines, 0);
        for seed in 0..2 {
            b.call(host, super::UPLOAD, End::Upload { seed }, 100_000 + seed);
            b.call(host, super::DOWNLOAD, End::Download, 70_000 + seed);
        }
        let lines = b.call(host, 5003, End::Lines, 0);
        b.say(lines, "hello 0 4");
        let (mut now, mut heard) = (0, None);
        while heard.is_none() || b.progress()[..4].iter().any(|stream| !stream.finished) {
            let mut worked = a.poll(now) | b.poll(now);
            while let Some(frame) = b.next_frame() {
                a.receive(frame);
                worked = true;
            }
            while let Some(frame) = a.next_frame() {
                b.receive(frame);
                worked = true;
            }
            heard = heard.or_else(|| a.heard(4));
            now += if worked { 10 } else { 10_000 };
            assert!(now < 600_000_000, "{:?}", b.progress());
        }
        assert_eq!(heard.as_deref(), Some("hello 0 4"));
        let ends = b.progress();
        assert!(
            ends[..4].iter().all(|end| end.intact == Some(true)),
            "{ends:?}"
        );
        assert_eq!((ends[0].moved, ends[3].moved), (100_000, 70_001));
        assert!(!b.is_broken(lines) && b.is_broken(9));
    }

    #[test]
    fn two_stacks_move_streams_both_ways_and_lost_frames_are_sent_again() {
        let mut a = Stack::new([2, 0, 0, 0, 0, 1], 1, 1500, 65536, 1);
        let mut b = Stack::new([2, 0, 0, 0, 0, 2], 2, 1500, 65536, 2);
        a.listen(5001, End::Sink, 300_000);
        a.listen(5002, End::Source { seed: 9 }, 200_000);
        b.connect(1, 5001, End::Source { seed: 3 }, 300_000);
        b.connect(1, 5002, End::Sink, 200_000);
        let (mut now, mut count) = (0, 0);
        while !(a.is_finished() && b.is_finished()) {
            let mut worked = a.poll(now) | b.poll(now);
            for (from, to) in [(&mut a, &mut b)] {
                while let Some(frame) = from.next_frame() {
                    count += 1;
                    if count % 97 != 0 {
                        to.receive(frame);
                    }
                    worked = true;
                }
                while let Some(frame) = to.next_frame() {
                    from.receive(frame);
                    worked = true;
                }
            }
            if !worked {
                let next = [a.next_deadline(now), b.next_deadline(now)];
                now = next
                    .into_iter()
                    .flatten()
                    .min()
                    .expect("a timer")
                    .max(now + 10);
            }
        }
        let (a, b) = (a.progress(), b.progress());
        assert_eq!((a[0].hash, a[1].hash), (b[0].hash, b[1].hash));
        assert_ne!(a[0].hash, a[1].hash);
    }
}
