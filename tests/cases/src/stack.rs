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

/// Frames a stack has made and nobody has taken: more wait in its sockets.
const FRAMES_WAITING: usize = 192;
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

/// Bytes that depend on a seed and on their position, and look like noise.
#[derive(Clone, Debug)]
struct Content(u64);

impl Content {
    const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn fill(&mut self, out: &mut [u8]) {
        for word in out.chunks_mut(8) {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            let bytes = self.0.to_le_bytes();
            let len = word.len();
            word.copy_from_slice(&bytes[..len]);
        }
    }
}

/// What one end of a connection does.
#[derive(Debug)]
enum Role {
    Source { content: Content, ready: Vec<u8> },
    Sink,
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
}

/// A TCP/IP stack with streams.
pub struct Stack {
    interface: Interface,
    sockets: SocketSet<'static>,
    frames: Frames,
    streams: Vec<Stream>,
    window: usize,
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
        let mut frames = Frames {
            mtu,
            received: VecDeque::new(),
            made: VecDeque::new(),
        };
        let mut config = Config::new(HardwareAddress::Ethernet(EthernetAddress(mac)));
        config.random_seed = seed;
        let mut interface = Interface::new(config, &mut frames, Instant::ZERO);
        interface.update_ip_addrs(|addresses| {
            let _ = addresses.push(IpCidr::new(IpAddress::Ipv4(address(host)), 24));
        });
        Self {
            interface,
            sockets: SocketSet::new(Vec::new()),
            frames,
            streams: Vec::new(),
            window,
        }
    }

    fn add(&mut self, end: End, total: u64) -> SocketHandle {
        let buffer = |size| tcp::SocketBuffer::new(vec![0; size]);
        let (receive, send) = match end {
            End::Source { .. } => (4096, self.window),
            End::Sink => (self.window, 4096),
        };
        let mut socket = tcp::Socket::new(buffer(receive), buffer(send));
        socket.set_nagle_enabled(false);
        let handle = self.sockets.add(socket);
        let role = match end {
            End::Source { seed } => Role::Source {
                content: Content::new(seed),
                ready: Vec::new(),
            },
            End::Sink => Role::Sink,
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

    /// Drops every stream, finished or not, with its connection.
    pub fn forget_streams(&mut self) {
        for stream in self.streams.drain(..) {
            self.sockets.remove(stream.handle);
        }
    }

    /// A frame has come.
    pub fn receive(&mut self, frame: Vec<u8>) {
        self.frames.received.push_back(frame);
    }

    /// The next frame to send.
    pub fn next_frame(&mut self) -> Option<Vec<u8>> {
        self.frames.made.pop_front()
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
            let done = match stream.role {
                Role::Source { .. } => stream.moved == stream.total && socket.send_queue() == 0,
                Role::Sink => stream.moved == stream.total,
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
            .map(|stream| Progress {
                moved: stream.moved,
                finished: stream.finished,
                hash: stream.hash.clone().finalize().into(),
            })
            .collect()
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
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{End, Stack};

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
