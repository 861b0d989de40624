//! A tiny `xenstored`, written from the protocol text and apart from the crate's own code: it works on the bytes
//! of the page. The guest is domain 3.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicU8, AtomicU32};

use xen_abi::xs_wire::XenstoreDomainInterface as Page;

pub(crate) fn page() -> Box<Page> {
    Box::new(Page {
        req: [const { AtomicU8::new(0) }; 1024],
        rsp: [const { AtomicU8::new(0) }; 1024],
        req_cons: AtomicU32::new(0),
        req_prod: AtomicU32::new(0),
        rsp_cons: AtomicU32::new(0),
        rsp_prod: AtomicU32::new(0),
        server_features: AtomicU32::new(0),
        connection: AtomicU32::new(0),
        error: AtomicU32::new(0),
    })
}

pub(crate) mod link;

type Tree = BTreeMap<String, Vec<u8>>;

#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) kind: u32,
    pub(crate) req_id: u32,
    pub(crate) tx_id: u32,
    pub(crate) payload: Vec<u8>,
}

impl Message {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for word in [
            self.kind,
            self.req_id,
            self.tx_id,
            u32::try_from(self.payload.len()).unwrap(),
        ] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(&self.payload);
        bytes
    }
}

#[derive(Default)]
pub(crate) struct Peer {
    pub(crate) tree: Tree,
    pub(crate) watches: Vec<(String, String)>,
    transactions: BTreeMap<u32, (u64, Tree)>,
    next_tx: u32,
    /// Counts changes; a commit that started before the last one meets EAGAIN.
    pub(crate) generation: u64,
    input: Vec<u8>,
    pub(crate) output: VecDeque<u8>,
    /// Requests seen, in order.
    pub(crate) seen: Vec<Message>,
    /// Replies are held back until `release`.
    pub(crate) hold: bool,
    pub(crate) held: Vec<Message>,
    /// Most bytes moved by one `pump`, per ring.
    pub(crate) chunk: usize,
    /// Longest DIRECTORY payload before E2BIG, and longest piece of `DIRECTORY_PART`.
    pub(crate) directory_max: usize,
}

impl Peer {
    pub(crate) fn new() -> Self {
        Self {
            chunk: 1024,
            directory_max: 4096,
            ..Self::default()
        }
    }

    pub(crate) fn set(&mut self, path: &str, value: &str) {
        self.tree.insert(absolute(path), value.as_bytes().to_vec());
        self.changed(&absolute(path));
    }

    pub(crate) fn get(&self, path: &str) -> Option<&str> {
        self.tree
            .get(&absolute(path))
            .map(|value| std::str::from_utf8(value).unwrap())
    }

    /// Moves up to `chunk` bytes each way; true if anything moved.
    pub(crate) fn pump(&mut self, page: &Page) -> bool {
        let mut moved = 0;
        let mut cons = page.req_cons.load(SeqCst);
        while cons != page.req_prod.load(SeqCst) && moved < self.chunk {
            self.input.push(page.req[cons as usize % 1024].load(SeqCst));
            cons = cons.wrapping_add(1);
            moved += 1;
        }
        page.req_cons.store(cons, SeqCst);
        self.digest();
        let mut prod = page.rsp_prod.load(SeqCst);
        let mut written = 0;
        while prod.wrapping_sub(page.rsp_cons.load(SeqCst)) < 1024 && written < self.chunk {
            let Some(byte) = self.output.pop_front() else {
                break;
            };
            page.rsp[prod as usize % 1024].store(byte, SeqCst);
            prod = prod.wrapping_add(1);
            written += 1;
        }
        page.rsp_prod.store(prod, SeqCst);
        moved + written != 0
    }

    fn digest(&mut self) {
        while self.input.len() >= 16 {
            let word = |at: usize| u32::from_le_bytes(self.input[at..at + 4].try_into().unwrap());
            let len = word(12) as usize;
            assert!(len <= 4096, "the client sent {len} bytes of payload");
            if self.input.len() < 16 + len {
                return;
            }
            let message = Message {
                kind: word(0),
                req_id: word(4),
                tx_id: word(8),
                payload: self.input[16..16 + len].to_vec(),
            };
            self.input.drain(..16 + len);
            self.seen.push(message.clone());
            let reply = match self.answer(&message) {
                Ok(payload) => Message { payload, ..message },
                Err(name) => Message {
                    kind: 16,
                    payload: format!("{name}\0").into_bytes(),
                    ..message
                },
            };
            if self.hold {
                self.held.push(reply);
            } else {
                self.send(&reply);
            }
        }
    }

    pub(crate) fn send(&mut self, message: &Message) {
        self.output.extend(message.bytes());
    }

    /// Sends what was held back, last first.
    pub(crate) fn release_reversed(&mut self) {
        for reply in std::mem::take(&mut self.held).into_iter().rev() {
            self.send(&reply);
        }
        self.hold = false;
    }

    fn event(&mut self, path: &str) {
        for (watched, token) in self.watches.clone() {
            let full = absolute(&watched);
            if path == full || path.starts_with(&format!("{full}/")) {
                let told = if watched.starts_with('/') {
                    path
                } else {
                    &path[HOME.len()..]
                };
                let payload = format!("{told}\0{token}\0").into_bytes();
                self.send(&Message {
                    kind: 15,
                    req_id: 0,
                    tx_id: 0,
                    payload,
                });
            }
        }
    }

    fn changed(&mut self, path: &str) {
        self.generation += 1;
        self.event(path);
    }

    fn answer(&mut self, message: &Message) -> Result<Vec<u8>, &'static str> {
        let ok = b"OK\0".to_vec();
        let strings: Vec<String> = message
            .payload
            .split(|byte| *byte == 0)
            .map(|text| String::from_utf8_lossy(text).into_owned())
            .collect();
        let path = absolute(&strings[0]);
        match message.kind {
            1 => {
                let names = self.names(&path)?;
                if names.len() > self.directory_max {
                    Err("E2BIG")
                } else {
                    Ok(names)
                }
            }
            2 => self
                .tree_of(message.tx_id)?
                .get(&path)
                .cloned()
                .ok_or("ENOENT"),
            3 => Ok(b"n3\0r0\0".to_vec()),
            4 => {
                self.watches.push((strings[0].clone(), strings[1].clone()));
                let event = format!("{}\0{}\0", strings[0], strings[1]).into_bytes();
                self.send(&Message {
                    kind: 15,
                    req_id: 0,
                    tx_id: 0,
                    payload: event,
                });
                Ok(ok)
            }
            5 => {
                let before = self.watches.len();
                self.watches
                    .retain(|(path, token)| (path, token) != (&strings[0], &strings[1]));
                if self.watches.len() == before {
                    Err("ENOENT")
                } else {
                    Ok(ok)
                }
            }
            6 => {
                self.next_tx += 1;
                self.transactions
                    .insert(self.next_tx, (self.generation, self.tree.clone()));
                Ok(format!("{}\0", self.next_tx).into_bytes())
            }
            7 => {
                let (generation, tree) =
                    self.transactions.remove(&message.tx_id).ok_or("ENOENT")?;
                if strings[0] == "T" {
                    if generation != self.generation {
                        return Err("EAGAIN");
                    }
                    self.tree = tree;
                    self.generation += 1;
                }
                Ok(ok)
            }
            11 => {
                let value = message.payload[strings[0].len() + 1..].to_vec();
                self.tree_of(message.tx_id)?.insert(path.clone(), value);
                if message.tx_id == 0 {
                    self.changed(&path);
                }
                Ok(ok)
            }
            12 => {
                self.tree_of(message.tx_id)?.entry(path).or_default();
                Ok(ok)
            }
            13 => {
                let tree = self.tree_of(message.tx_id)?;
                if !tree.keys().any(|key| key == &path) {
                    return Err("ENOENT");
                }
                tree.retain(|key, _| key != &path && !key.starts_with(&format!("{path}/")));
                Ok(ok)
            }
            14 | 21 => Ok(ok),
            22 => self.directory_part(&path, strings[1].parse().unwrap()),
            _ => Err("ENOSYS"),
        }
    }

    fn directory_part(&self, path: &str, offset: usize) -> Result<Vec<u8>, &'static str> {
        let names = self.names(path)?;
        let mut reply = format!("{}\0", self.generation).into_bytes();
        let rest = &names[offset.min(names.len())..];
        let mut len = 0;
        while len < rest.len() {
            let name = rest[len..].iter().position(|byte| *byte == 0).unwrap() + 1;
            if len + name > self.directory_max {
                break;
            }
            len += name;
        }
        reply.extend(&rest[..len]);
        if len == rest.len() {
            reply.push(0);
        }
        Ok(reply)
    }

    fn names(&self, path: &str) -> Result<Vec<u8>, &'static str> {
        let prefix = format!("{path}/");
        let mut names: Vec<&str> = self
            .tree
            .keys()
            .filter_map(|key| key.strip_prefix(&prefix))
            .map(|rest| rest.split('/').next().unwrap())
            .collect();
        names.dedup();
        if names.is_empty() && !self.tree.contains_key(path) {
            return Err("ENOENT");
        }
        Ok(names
            .into_iter()
            .flat_map(|name| [name.as_bytes(), b"\0"].concat())
            .collect())
    }

    fn tree_of(&mut self, tx: u32) -> Result<&mut Tree, &'static str> {
        match tx {
            0 => Ok(&mut self.tree),
            tx => self
                .transactions
                .get_mut(&tx)
                .map(|(_, tree)| tree)
                .ok_or("ENOENT"),
        }
    }
}

const HOME: &str = "/local/domain/3/";

fn absolute(path: &str) -> String {
    if path.starts_with('/') {
        path.into()
    } else {
        format!("{HOME}{path}")
    }
}
