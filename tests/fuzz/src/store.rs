//! The `XenStore` client: a daemon that writes what it likes to the page.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicU8, AtomicU32};

use xen_abi::xs_wire::XenstoreDomainInterface;
use xenstore::client::{Client, Incoming, RequestHandle, Storage, WatchId, WatchSlot};
use xenstore::path::Path;
use xenstore::pump;
use xenstore::ring::Ring;
use xenstore::wire::MESSAGE_MAX;

use crate::acts::Acts;

fn page() -> Box<XenstoreDomainInterface> {
    Box::new(XenstoreDomainInterface {
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

/// The client, and what it owes us.
struct Guest {
    page: Box<XenstoreDomainInterface>,
    ring: Ring,
    client: Client<Vec<u8>, Vec<WatchSlot>>,
    waiting: Vec<RequestHandle>,
    watches: Vec<WatchId>,
}

impl Guest {
    fn new() -> Self {
        let storage = Storage {
            outbox: vec![0; 2 * MESSAGE_MAX],
            inbox: vec![0; MESSAGE_MAX],
            watches: vec![WatchSlot::EMPTY; 4],
        };
        let page = page();
        Self {
            ring: Ring::attach(&page).expect("a fresh page").0,
            page,
            client: Client::new(storage, 1).expect("storage of the right size"),
            waiting: Vec::new(),
            watches: Vec::new(),
        }
    }

    /// The daemon writes bytes, whether or not there is room.
    fn daemon_says(&self, bytes: &[u8]) {
        for byte in bytes {
            let at = self.page.rsp_prod.fetch_add(1, SeqCst);
            self.page.rsp[at as usize % 1024].store(*byte, SeqCst);
        }
    }

    /// Takes one message; whether there was one.
    fn take(&mut self) -> bool {
        match self.client.take() {
            Ok(Some(Incoming::Reply { handle, .. })) => {
                let before = self.waiting.len();
                self.waiting.retain(|other| *other != handle);
                assert_eq!(self.waiting.len() + 1, before, "a reply to nothing");
            }
            Ok(Some(Incoming::Watch { id, .. } | Incoming::WatchLost { id, .. })) => {
                assert!(self.watches.contains(&id), "a watch that is not ours");
            }
            Ok(None) | Err(_) => return false,
        }
        true
    }

    fn pump(&mut self) {
        let _ = pump::transmit(&self.page, &mut self.ring, &mut self.client);
        for _ in 0..20 {
            let received = pump::receive(&self.page, &mut self.ring, &mut self.client);
            if !self.take() && !received.is_ok_and(|received| received.message) {
                break;
            }
        }
    }

    fn ask(&mut self, act: u8) {
        let path = Path::new("a/b").expect("a path");
        match act & 3 {
            0 | 1 => self.waiting.extend(self.client.read(None, path)),
            2 => {
                if let Ok((id, handle)) = self.client.watch(path) {
                    self.watches.push(id);
                    self.waiting.push(handle);
                }
            }
            _ => {
                let nth = usize::from(act >> 2);
                if let Some(id) = self.watches.get(nth)
                    && let Ok(Some(handle)) = self.client.unwatch(*id)
                {
                    self.waiting.push(handle);
                }
            }
        }
    }
}

/// The target `store`.
pub(crate) fn run(bytes: &[u8]) {
    let mut acts = Acts::new(bytes);
    let mut guest = Guest::new();
    while let Some(act) = acts.next() {
        let argument = act >> 3;
        match act % 8 {
            0 => guest.daemon_says(acts.take(argument.into())),
            1 => {
                // A reply with a header that makes sense: type, request, transaction, length.
                let payload = acts.byte() % 64;
                for word in [argument, acts.byte() % 16, 0, payload] {
                    guest.daemon_says(&u32::from(word).to_le_bytes());
                }
                guest.daemon_says(acts.take(payload.into()));
            }
            2 => {
                let page = &guest.page;
                let words = [
                    &page.req_cons,
                    &page.req_prod,
                    &page.rsp_cons,
                    &page.rsp_prod,
                    &page.server_features,
                    &page.connection,
                    &page.error,
                ];
                words[usize::from(argument) % words.len()].store(acts.word(), SeqCst);
            }
            3 | 4 => guest.ask(argument),
            5 => {
                if let Some(handle) = guest.waiting.get(usize::from(argument)).copied()
                    && guest.client.abandon(handle)
                {
                    guest.waiting.retain(|other| *other != handle);
                }
            }
            6 => guest.pump(),
            _ => {
                if let Ok((fresh, _)) = Ring::attach(&guest.page) {
                    guest.ring = fresh;
                    guest.client.reset();
                }
            }
        }
    }
    guest.client.reset();
    while guest.take() {}
    assert_eq!(guest.waiting, [], "requests without an end");
}
