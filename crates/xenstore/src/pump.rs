//! Moves bytes between a client and a ring. Each call is bounded by the size of the ring or of a message.

use xen_abi::xs_wire::XenstoreDomainInterface;

use crate::client::{Client, Corrupt, WatchSlot};
use crate::ring::{Kick, Ring, RingError};

/// The connection is unusable, on either layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiveError {
    /// The ring page broke its rules.
    Ring(RingError),
    /// The stream of messages did.
    Stream(Corrupt),
}

/// What [`receive`] left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// A whole message, or a failed request, waits for [`Client::take`].
    pub message: bool,
    /// Whether to notify the daemon.
    pub kick: Kick,
}

/// Puts as much of the client's output on the ring as fits.
pub fn transmit<B, W>(
    page: &XenstoreDomainInterface,
    ring: &mut Ring,
    client: &mut Client<B, W>,
) -> Result<Kick, RingError>
where
    B: AsRef<[u8]> + AsMut<[u8]>,
    W: AsRef<[WatchSlot]> + AsMut<[WatchSlot]>,
{
    // Twice is enough: once what waited, once the registrations that found room behind it.
    let first = ring.write(page, client.output())?;
    client.sent(first.bytes);
    let second = ring.write(page, client.output())?;
    client.sent(second.bytes);
    Ok(first.kick.or(second.kick))
}

/// Reads until one message is complete or the ring is empty.
///
/// Call it and [`Client::take`] in turn until `message` is `false`, or a budget of the caller's is used up: a
/// daemon that writes as fast as it is read could otherwise keep the caller for ever.
pub fn receive<B, W>(
    page: &XenstoreDomainInterface,
    ring: &mut Ring,
    client: &mut Client<B, W>,
) -> Result<Received, ReceiveError>
where
    B: AsRef<[u8]> + AsMut<[u8]>,
    W: AsRef<[WatchSlot]> + AsMut<[WatchSlot]>,
{
    let mut kick = Kick::Quiet;
    loop {
        let space = client.input();
        if space.is_empty() {
            break;
        }
        let moved = ring.read(page, space).map_err(ReceiveError::Ring)?;
        kick = kick.or(moved.kick);
        if moved.bytes == 0 {
            break;
        }
        client.filled(moved.bytes).map_err(ReceiveError::Stream)?;
    }
    Ok(Received {
        message: client.has_message(),
        kick,
    })
}
