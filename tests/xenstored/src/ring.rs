//! The guest's connection: messages on the ring page (`xs_wire.h`).

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use xen_sim::Page;

use crate::quota;
use crate::store::Store;
use crate::transaction::Change;
use crate::tree::{Path, Perm, Refusal};

/// Message types.
const CONTROL: u32 = 0;
const DIRECTORY: u32 = 1;
const READ: u32 = 2;
const GET_PERMS: u32 = 3;
const WATCH: u32 = 4;
const UNWATCH: u32 = 5;
const TRANSACTION_START: u32 = 6;
const TRANSACTION_END: u32 = 7;
const GET_DOMAIN_PATH: u32 = 10;
const WRITE: u32 = 11;
const MKDIR: u32 = 12;
const RM: u32 = 13;
const SET_PERMS: u32 = 14;
pub(crate) const WATCH_EVENT: u32 = 15;
const ERROR: u32 = 16;
const RESET_WATCHES: u32 = 21;
const DIRECTORY_PART: u32 = 22;

const HEADER: usize = 16;
const PAYLOAD_MAX: usize = 4096;
const RING: u32 = 1024;
/// Offsets in the page: rings, then indices.
const REQUESTS: usize = 0;
const RESPONSES: usize = 1024;
const REQ_CONS: usize = 2048;
const REQ_PROD: usize = 2052;
const RSP_CONS: usize = 2056;
const RSP_PROD: usize = 2060;
/// Requests answered in one poll: the ring of a guest that never stops is left for others in between.
const REQUESTS_PER_POLL: usize = 8;

/// The guest's connection.
#[derive(Debug, Default)]
pub(crate) struct Connection {
    incoming: Vec<u8>,
    outgoing: VecDeque<u8>,
    /// Bytes ever put on the ring.
    sent: u64,
    /// Where, in bytes ever sent, each answer ends that is not on the ring yet.
    answers: VecDeque<u64>,
    malformed: bool,
}

impl Connection {
    pub(crate) const fn is_malformed(&self) -> bool {
        self.malformed
    }

    /// Moves bytes of one message off the request ring, no more: a guest that is not read finds its ring full.
    fn receive(&mut self, page: Page) -> bool {
        let mut moved = false;
        loop {
            let (cons, prod) = (page.read_u32(REQ_CONS), page.read_u32(REQ_PROD));
            let waiting = prod.wrapping_sub(cons);
            if waiting > RING {
                self.malformed = true;
                return false;
            }
            let wanted = self.wanted();
            let count = waiting.min(u32::try_from(wanted).unwrap_or(u32::MAX));
            if count == 0 || self.malformed {
                return moved;
            }
            for index in 0..count {
                let at = (cons.wrapping_add(index) % RING) as usize;
                self.incoming.push(page.read_u8(REQUESTS + at));
            }
            page.write_u32(REQ_CONS, cons.wrapping_add(count));
            moved = true;
        }
    }

    /// Bytes that the message under way still lacks: of its header, then of all of it.
    fn wanted(&mut self) -> usize {
        let have = self.incoming.len();
        if have < HEADER {
            return HEADER - have;
        }
        let len = self.word(12).unwrap_or(0) as usize;
        if len > PAYLOAD_MAX {
            self.malformed = true;
            return 0;
        }
        (HEADER + len).saturating_sub(have)
    }

    fn word(&self, at: usize) -> Option<u32> {
        let bytes = self.incoming.get(at..at + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    }

    /// Moves bytes onto the response ring.
    fn transmit(&mut self, page: Page) -> bool {
        let (cons, prod) = (page.read_u32(RSP_CONS), page.read_u32(RSP_PROD));
        let used = prod.wrapping_sub(cons);
        if used > RING {
            self.malformed = true;
            return false;
        }
        let mut count = 0;
        while count < RING - used
            && let Some(byte) = self.outgoing.pop_front()
        {
            let at = (prod.wrapping_add(count) % RING) as usize;
            page.write_u8(RESPONSES + at, byte);
            count += 1;
        }
        page.write_u32(RSP_PROD, prod.wrapping_add(count));
        self.sent += u64::from(count);
        while self.answers.front().is_some_and(|end| *end <= self.sent) {
            self.answers.pop_front();
        }
        count > 0
    }

    /// A whole message, if there is one.
    fn take_message(&mut self) -> Option<Message> {
        if self.incoming.len() < HEADER || self.wanted() != 0 || self.malformed {
            return None;
        }
        let (kind, id, transaction) = (self.word(0)?, self.word(4)?, self.word(8)?);
        let payload = self.incoming.split_off(HEADER);
        self.incoming.clear();
        Some(Message {
            kind,
            id,
            transaction,
            payload,
        })
    }

    /// Queues a message.
    pub(crate) fn send(&mut self, kind: u32, id: u32, transaction: u32, payload: &[u8]) {
        let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        for word in [kind, id, transaction, len] {
            self.outgoing.extend(word.to_le_bytes());
        }
        self.outgoing.extend(payload);
        if kind != WATCH_EVENT {
            self.answers
                .push_back(self.sent + self.outgoing.len() as u64);
        }
    }
}

impl Store {
    /// Takes requests from the ring and puts answers and events there. Whether anything moved, in which case
    /// the guest is to be notified.
    pub fn poll(&mut self, page: Page) -> bool {
        let mut moved = false;
        for _ in 0..REQUESTS_PER_POLL {
            if self.connection.malformed {
                return false;
            }
            if self.connection.answers.len() >= quota::OUTSTANDING {
                break;
            }
            moved |= self.connection.receive(page);
            let Some(message) = self.connection.take_message() else {
                break;
            };
            self.answer(&message);
            moved = true;
        }
        moved | self.connection.transmit(page)
    }

    fn answer(&mut self, message: &Message) {
        self.counters.requests += 1;
        let before = self.connection.outgoing.len();
        let (kind, payload) = match self.serve(message) {
            Ok(payload) => (message.kind, payload),
            Err(Refusal(name)) => (ERROR, [name.as_bytes(), b"\0"].concat()),
        };
        // The answer goes before the events that the request made.
        let events: Vec<u8> = self.connection.outgoing.drain(before..).collect();
        self.connection
            .send(kind, message.id, message.transaction, &payload);
        self.connection.outgoing.extend(events);
        if kind == WATCH {
            // A new watch fires once.
            self.counters.events += 1;
            self.connection.send(WATCH_EVENT, 0, 0, &message.payload);
        }
    }

    fn serve(&mut self, message: &Message) -> Result<Vec<u8>, Refusal> {
        let (transaction, payload) = (message.transaction, &message.payload[..]);
        let domid = self.domid;
        let ok = |()| b"OK\0".to_vec();
        if transaction != 0 && !self.knows_transaction(transaction) {
            return Err(Refusal("ENOENT"));
        }
        match message.kind {
            DIRECTORY => {
                let path = Path::parse(single(payload)?, domid)?;
                self.look(transaction, &path, |tree| {
                    tree.get(&path, domid, false)?;
                    let names = tree.children(&path);
                    Ok(names
                        .into_iter()
                        .flat_map(|name| [name.as_bytes(), b"\0"].concat())
                        .collect())
                })
            }
            DIRECTORY_PART => self.directory_part(transaction, payload),
            READ => {
                let path = Path::parse(single(payload)?, domid)?;
                self.look(transaction, &path, |tree| {
                    Ok(tree.get(&path, domid, false)?.value.clone())
                })
            }
            GET_PERMS => {
                let path = Path::parse(single(payload)?, domid)?;
                self.look(transaction, &path, |tree| {
                    let perms = &tree.get(&path, domid, false)?.perms;
                    Ok(perms
                        .iter()
                        .flat_map(|perm| format!("{}\0", perm.text()).into_bytes())
                        .collect())
                })
            }
            WATCH => {
                let [path, token] = pair(payload)?;
                self.watches.add(path, token, domid).map(ok)
            }
            UNWATCH => {
                let [path, token] = pair(payload)?;
                self.watches.remove(path, token).map(ok)
            }
            RESET_WATCHES => {
                self.reset_watches();
                Ok(ok(()))
            }
            TRANSACTION_START if transaction != 0 => Err(Refusal("EBUSY")),
            TRANSACTION_START => self.begin().map(|id| format!("{id}\0").into_bytes()),
            TRANSACTION_END => {
                let commit = match single(payload)? {
                    b"T" => true,
                    b"F" => false,
                    _ => return Err(Refusal("EINVAL")),
                };
                self.end(transaction, commit).map(ok)
            }
            GET_DOMAIN_PATH => {
                let number = String::from_utf8_lossy(single(payload)?).parse::<u16>();
                let number = number.map_err(|_| Refusal("EINVAL"))?;
                Ok(format!("/local/domain/{number}\0").into_bytes())
            }
            WRITE => {
                let end = payload
                    .iter()
                    .position(|b| *b == 0)
                    .ok_or(Refusal("EINVAL"))?;
                let path = Path::parse(&payload[..end], domid)?;
                let value = payload[end + 1..].to_vec();
                self.change(transaction, Change::Write(path, value)).map(ok)
            }
            MKDIR => {
                let path = Path::parse(single(payload)?, domid)?;
                self.change(transaction, Change::Make(path)).map(ok)
            }
            RM => {
                let path = Path::parse(single(payload)?, domid)?;
                self.change(transaction, Change::Remove(path)).map(ok)
            }
            SET_PERMS => {
                let mut parts = payload
                    .strip_suffix(b"\0")
                    .ok_or(Refusal("EINVAL"))?
                    .split(|b| *b == 0);
                let path = Path::parse(parts.next().unwrap_or_default(), domid)?;
                let perms: Result<Vec<Perm>, Refusal> = parts
                    .map(|part| Perm::parse(&String::from_utf8_lossy(part)))
                    .collect();
                self.change(transaction, Change::Perms(path, perms?))
                    .map(ok)
            }
            CONTROL => Err(Refusal("EACCES")),
            _ => Err(Refusal("ENOSYS")),
        }
    }

    /// A piece of a long list of children, from an offset on, with the node's generation before it.
    fn directory_part(&mut self, transaction: u32, payload: &[u8]) -> Result<Vec<u8>, Refusal> {
        let domid = self.domid;
        let [path, offset] = pair(payload)?;
        let path = Path::parse(path, domid)?;
        let offset: usize = String::from_utf8_lossy(offset)
            .parse()
            .map_err(|_| Refusal("EINVAL"))?;
        self.look(transaction, &path, |tree| {
            let generation = tree.get(&path, domid, false)?.generation;
            let names = tree.children(&path);
            let mut list: Vec<u8> = names
                .into_iter()
                .flat_map(|name| [name.as_bytes(), b"\0"].concat())
                .collect();
            list.push(0);
            let mut answer = format!("{generation}\0").into_bytes();
            let room = PAYLOAD_MAX - answer.len();
            let rest = list.get(offset..).ok_or(Refusal("EINVAL"))?;
            answer.extend(&rest[..rest.len().min(room)]);
            Ok(answer)
        })
    }
}

/// One message of the guest.
#[derive(Debug)]
struct Message {
    kind: u32,
    id: u32,
    transaction: u32,
    payload: Vec<u8>,
}

/// A payload of one string.
fn single(payload: &[u8]) -> Result<&[u8], Refusal> {
    let text = payload.strip_suffix(b"\0").ok_or(Refusal("EINVAL"))?;
    if text.contains(&0) {
        return Err(Refusal("EINVAL"));
    }
    Ok(text)
}

/// A payload of two strings.
fn pair(payload: &[u8]) -> Result<[&[u8]; 2], Refusal> {
    let text = payload.strip_suffix(b"\0").ok_or(Refusal("EINVAL"))?;
    let mut parts = text.split(|b| *b == 0);
    match (parts.next(), parts.next(), parts.next()) {
        (Some(first), Some(second), None) => Ok([first, second]),
        _ => Err(Refusal("EINVAL")),
    }
}
