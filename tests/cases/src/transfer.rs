//! Transfers with a check of their content, by a little protocol over TCP.
//!
//! | port | the client sends | the server answers |
//! |---|---|---|
//! | [`UPLOAD`] | 8 bytes, a little-endian length; that many bytes | the SHA-256 of those bytes |
//! | [`DOWNLOAD`] | 8 bytes, a little-endian length | that many bytes, and their SHA-256 |

use alloc::vec::Vec;

use sha2::{Digest, Sha256};
use smoltcp::socket::tcp;

use crate::content::Content;

/// Port of uploads.
pub const UPLOAD: u16 = 5001;
/// Port of downloads.
pub const DOWNLOAD: u16 = 5002;
/// Bytes made per turn.
const CHUNK: usize = 16 * 1024;
const HASH: usize = 32;
const HEADER: usize = 8;

/// Who does what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    UploadClient,
    DownloadClient,
    UploadServer,
    DownloadServer,
}

/// One end of a transfer.
#[derive(Debug)]
pub(crate) struct Transfer {
    side: Side,
    content: Content,
    /// Bytes of content in all; unknown to a server before the header has come.
    total: Option<u64>,
    /// Bytes of content made or taken.
    pub(crate) moved: u64,
    pub(crate) hash: Sha256,
    /// Bytes to send before anything else.
    out: Vec<u8>,
    /// Bytes of header or hash that have come.
    input: Vec<u8>,
    hash_sent: bool,
    /// Whether the content arrived as it was sent, once that is known; a server has only sent its hash.
    pub(crate) intact: Option<bool>,
}

impl Transfer {
    pub(crate) fn client(side: Side, total: u64, seed: u64) -> Self {
        let mut new = Self::server(side, seed);
        new.total = Some(total);
        new.out.extend_from_slice(&total.to_le_bytes());
        new
    }

    pub(crate) fn server(side: Side, seed: u64) -> Self {
        Self {
            side,
            content: Content::new(seed),
            total: None,
            moved: 0,
            hash: Sha256::new(),
            out: Vec::new(),
            input: Vec::new(),
            hash_sent: false,
            intact: None,
        }
    }

    const fn sends_content(&self) -> bool {
        matches!(self.side, Side::UploadClient | Side::DownloadServer)
    }

    const fn is_server(&self) -> bool {
        matches!(self.side, Side::UploadServer | Side::DownloadServer)
    }

    /// Everything is sent and received.
    pub(crate) fn is_done(&self) -> bool {
        self.intact.is_some()
    }

    /// Moves some bytes; whether any moved.
    pub(crate) fn step(&mut self, socket: &mut tcp::Socket<'_>) -> bool {
        let before = (self.moved, self.out.len(), self.input.len(), self.intact);
        self.send(socket);
        self.receive(socket);
        before != (self.moved, self.out.len(), self.input.len(), self.intact)
    }

    fn left(&self) -> usize {
        let left = self.total.map_or(0, |total| total - self.moved);
        usize::try_from(left).unwrap_or(usize::MAX)
    }

    fn send(&mut self, socket: &mut tcp::Socket<'_>) {
        if !socket.can_send() {
            return;
        }
        if self.out.is_empty() && self.sends_content() && self.left() > 0 {
            self.out.resize(self.left().min(CHUNK), 0);
            self.content.fill(&mut self.out);
            self.hash.update(&self.out);
            self.moved += self.out.len() as u64;
        }
        let complete = self.total == Some(self.moved);
        if self.out.is_empty() && self.is_server() && complete && !self.hash_sent {
            self.out.extend_from_slice(&self.hash.clone().finalize());
            self.hash_sent = true;
        }
        let sent = socket.send_slice(&self.out).unwrap_or(0);
        self.out.drain(..sent);
        if self.is_server() && self.hash_sent && self.out.is_empty() {
            self.intact = Some(true);
        }
    }

    fn receive(&mut self, socket: &mut tcp::Socket<'_>) {
        if !socket.can_recv() {
            return;
        }
        if self.total.is_none() {
            self.collect(socket, HEADER);
            if let Some(header) = self.input.first_chunk() {
                self.total = Some(u64::from_le_bytes(*header));
                self.input.clear();
            }
        } else if !self.sends_content() && self.left() > 0 {
            let (left, hash) = (self.left(), &mut self.hash);
            let taken = socket.recv(|bytes| {
                let len = bytes.len().min(left);
                hash.update(&bytes[..len]);
                (len, len)
            });
            self.moved += taken.unwrap_or(0) as u64;
        } else if !self.is_server() {
            self.collect(socket, HASH);
            if self.input.len() == HASH {
                let own = self.hash.clone().finalize();
                self.intact = Some(own[..] == self.input[..]);
            }
        }
    }

    fn collect(&mut self, socket: &mut tcp::Socket<'_>, len: usize) {
        let want = len - self.input.len().min(len);
        let input = &mut self.input;
        let _ = socket.recv(|bytes| {
            let len = bytes.len().min(want);
            input.extend_from_slice(&bytes[..len]);
            (len, ())
        });
    }
}
