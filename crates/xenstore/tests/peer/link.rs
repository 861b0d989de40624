//! A client, its ring and the page, joined to a peer.

use xen_abi::xs_wire::XenstoreDomainInterface as Page;
use xenstore::client::{
    Client, Incoming, RequestError, RequestHandle, Storage, WatchId, WatchSlot,
};
use xenstore::path::Path;
use xenstore::pump;
use xenstore::ring::Ring;
use xenstore::wire::MESSAGE_MAX;

use super::Peer;

pub(crate) type TestClient = Client<Vec<u8>, Vec<WatchSlot>>;

/// [`Incoming`] without the borrow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Got {
    Reply(RequestHandle, Result<Vec<u8>, RequestError>),
    Watch(WatchId, String),
    Lost(WatchId),
}

pub(crate) struct Link {
    pub(crate) page: Box<Page>,
    pub(crate) ring: Ring,
    pub(crate) client: TestClient,
    pub(crate) peer: Peer,
}

pub(crate) fn client(first_id: u32) -> TestClient {
    let storage = Storage {
        outbox: vec![0; 2 * MESSAGE_MAX],
        inbox: vec![0; MESSAGE_MAX],
        watches: vec![WatchSlot::EMPTY; 4],
    };
    Client::new(storage, first_id).unwrap()
}

pub(crate) fn path(text: &str) -> Path<'_> {
    Path::new(text).unwrap()
}

pub(crate) fn own(incoming: Incoming<'_>) -> Got {
    match incoming {
        Incoming::Reply { handle, result } => {
            Got::Reply(handle, result.map(|reply| reply.value().to_vec()))
        }
        Incoming::Watch { id, path } => Got::Watch(id, String::from_utf8_lossy(path).into_owned()),
        Incoming::WatchLost { id, .. } => Got::Lost(id),
    }
}

impl Link {
    pub(crate) fn new() -> Self {
        let page = super::page();
        let (ring, _) = Ring::attach(&page).unwrap();
        Self {
            page,
            ring,
            client: client(1),
            peer: Peer::new(),
        }
    }

    /// One round: bytes out, daemon, bytes in. `true` if anything moved.
    pub(crate) fn step(&mut self, each: &mut dyn FnMut(&Incoming<'_>)) -> bool {
        let _ = pump::transmit(&self.page, &mut self.ring, &mut self.client).unwrap();
        let mut moved = self.peer.pump(&self.page);
        loop {
            let received = pump::receive(&self.page, &mut self.ring, &mut self.client).unwrap();
            let Some(incoming) = self.client.take().unwrap() else {
                if received.message {
                    continue;
                }
                return moved;
            };
            moved = true;
            each(&incoming);
        }
    }

    /// Rounds until nothing moves; what came in.
    pub(crate) fn run(&mut self) -> Vec<Got> {
        let mut all = Vec::new();
        while self.step(&mut |incoming| all.push(own(*incoming))) {}
        all
    }
}
