//! Fuzz targets: what others send us, as bytes, against the pure cores. Each target panics when a promise is broken.
//!
//! | target | bytes are | promise |
//! |---|---|---|
//! | `transmit` | acts of a sender and of a backend on the ring | each frame comes back once, each grant is revoked or named as lost |
//! | `receive` | slots and indices of a backend | packets lie in their pages, no page is lost or comes twice |
//! | `control` | answers on the control ring, goals between them | the client comes to rest or gives up |
//! | `store` | the daemon's bytes and indices, our requests between them | each request ends once, only our watches fire |
//! | `hash` | a frame | types that are not enabled are not found, and what fewer types find, all find |
//! | `coalesced` | a received frame's head and what the backend says of it | what is to be completed or cut lies in the frame |
//! | `prepare` | a frame to send and what is asked for it | what is computed or cut lies in the frame |
//! | `resources` | lists of the plug-and-play manager | they are read and changed in place, within their bounds |
//!
//! `cargo xtask fuzz TARGET` looks for inputs that break one (libFuzzer); those it finds go to `inputs/TARGET`, and are
//! replayed by `cargo xtask test` for ever.
#![forbid(unsafe_code)]

mod acts;
mod control;
mod frames;
mod page;
mod receive;
mod resources;
mod store;
mod transmit;

/// What is fuzzed.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name: of the command's argument and of its folder in `inputs`.
    pub name: &'static str,
    /// Takes any bytes; panics when a promise is broken.
    pub run: fn(&[u8]),
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target {
        name: "transmit",
        run: transmit::run,
    },
    Target {
        name: "receive",
        run: receive::run,
    },
    Target {
        name: "control",
        run: control::run,
    },
    Target {
        name: "store",
        run: store::run,
    },
    Target {
        name: "hash",
        run: frames::hash,
    },
    Target {
        name: "coalesced",
        run: frames::coalesced,
    },
    Target {
        name: "prepare",
        run: frames::prepare,
    },
    Target {
        name: "resources",
        run: resources::run,
    },
];
