//! The adapter's offloads: what the backend makes possible, what the system wants, what is in force.

use ::offload::settings::{Directions, Offloads};
use netif::features::Features;

use crate::queue::able;

/// Possibilities and wishes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OffloadState {
    /// What can be done with this backend.
    possible: Offloads,
    /// Keywords, as changed by `OID_TCP_OFFLOAD_PARAMETERS`.
    wishes: Offloads,
    /// Whether `OID_OFFLOAD_ENCAPSULATION` was set: IPv4, IPv6. Before, nothing is told of
    /// received checksums.
    encapsulated: [bool; 2],
}

/// What is possible with a backend. Checksums always are: where the backend does not complete
/// them, the driver does. Units come from backends that send any. Large sends are cut here only
/// when they come before the system knows that the backend has changed.
pub(crate) fn possible(backend: Features) -> Offloads {
    let [lso4, lso6] = able(backend).gso;
    Offloads {
        lso4,
        lso6,
        ..Offloads::ALL
    }
}

impl OffloadState {
    /// With a backend that offers this, and keywords that say that.
    pub(crate) fn new(backend: Features, wishes: Offloads) -> Self {
        Self {
            possible: possible(backend),
            wishes,
            encapsulated: [false; 2],
        }
    }

    /// What can be done.
    pub(crate) fn possible(&self) -> &Offloads {
        &self.possible
    }

    /// What the system wants.
    pub(crate) fn wishes(&self) -> &Offloads {
        &self.wishes
    }

    /// Another backend; whether that changes anything.
    pub(crate) fn set_backend(&mut self, backend: Features) -> bool {
        let possible = possible(backend);
        let changed = possible != self.possible;
        self.possible = possible;
        changed
    }

    /// Other wishes.
    pub(crate) fn set_wishes(&mut self, wishes: Offloads) {
        self.wishes = wishes;
    }

    /// Frames are encapsulated so that offloads apply, or not any more.
    pub(crate) fn set_encapsulated(&mut self, which: [Option<bool>; 2]) {
        for (place, new) in self.encapsulated.iter_mut().zip(which) {
            *place = new.unwrap_or(*place);
        }
    }

    /// What is in force, as NDIS is told.
    pub(crate) fn in_force(&self) -> Offloads {
        self.wishes.and(self.possible).consistent()
    }

    /// What is in force for frames.
    pub(crate) fn applied(&self) -> Offloads {
        let mut applied = self.in_force();
        let receive = |of: Directions, on| Directions {
            rx: of.rx && on,
            ..of
        };
        let [v4, v6] = self.encapsulated;
        applied.ipv4 = receive(applied.ipv4, v4);
        applied.tcp4 = receive(applied.tcp4, v4);
        applied.udp4 = receive(applied.udp4, v4);
        applied.tcp6 = receive(applied.tcp6, v6);
        applied.udp6 = receive(applied.udp6, v6);
        applied.consistent()
    }
}
