//! The interface the bus hands to its children: which version, and who still holds it.
//!
//! Rule of negotiation: a version number names one layout for ever. Later versions only append, so the bus hands
//! out any version from its oldest to its newest, filled to exactly that version's size. The child asks for the
//! newest it knows (`IRP_MN_QUERY_INTERFACE`, fields `Version` and `Size`); refused, it may ask again for an older
//! one. Nothing is guessed: a table that is larger or smaller than its version says is not filled.

use core::sync::atomic::{AtomicU32, Ordering};

/// A version the bus offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Its number.
    pub version: u16,
    /// Bytes of its table.
    pub size: u16,
}

/// Why the interface is not handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionError {
    /// No such version here.
    Unsupported {
        /// The newest there is.
        newest: u16,
    },
    /// The child's table is smaller than its version needs.
    TableTooSmall {
        /// Bytes needed.
        needed: u16,
    },
}

/// Finds what to hand out for a request. `offers` ascend in version and, because versions only append, in size.
pub fn negotiate(offers: &[Offer], version: u16, size: u16) -> Result<Offer, VersionError> {
    let newest = offers.iter().map(|offer| offer.version).max().unwrap_or(0);
    let offer = offers
        .iter()
        .find(|offer| offer.version == version)
        .ok_or(VersionError::Unsupported { newest })?;
    if size < offer.size {
        return Err(VersionError::TableTooSmall { needed: offer.size });
    }
    Ok(*offer)
}

/// Why a reference was not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcquireError {
    /// The device is being removed.
    Closed,
    /// More references than can be counted: a leak in the holder.
    TooMany,
}

/// What giving a reference back did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Released {
    /// Others hold it.
    Held,
    /// It was the last one: what waits for the removal may go on, if the count is closed.
    Last,
    /// There was none to give back: a defect of the holder's. Nothing was changed.
    Underflow,
}

const CLOSED: u32 = 1 << 31;
const COUNT: u32 = CLOSED - 1;

/// References to the interface. `InterfaceReference` and `InterfaceDereference` may come at any IRQL up to DISPATCH.
#[derive(Debug, Default)]
pub struct References(AtomicU32);

impl References {
    /// No references, open.
    pub const fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Takes a reference.
    pub fn acquire(&self) -> Result<(), AcquireError> {
        let more = |state: u32| {
            let room = state & CLOSED == 0 && state & COUNT < COUNT;
            if room { state.checked_add(1) } else { None }
        };
        match self
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, more)
        {
            Ok(_) => Ok(()),
            Err(state) if state & CLOSED != 0 => Err(AcquireError::Closed),
            Err(_) => Err(AcquireError::TooMany),
        }
    }

    /// Gives one back.
    pub fn release(&self) -> Released {
        let less = |state: u32| {
            if state & COUNT == 0 {
                None
            } else {
                state.checked_sub(1)
            }
        };
        match self
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, less)
        {
            Ok(before) if before & COUNT == 1 => Released::Last,
            Ok(_) => Released::Held,
            Err(_) => Released::Underflow,
        }
    }

    /// No more references from now on; `true` if none is held.
    pub fn close(&self) -> bool {
        self.0.fetch_or(CLOSED, Ordering::AcqRel) & COUNT == 0
    }

    /// Open again: the device was started anew after a stop or a removal that left it present.
    pub fn reopen(&self) {
        self.0.fetch_and(!CLOSED, Ordering::AcqRel);
    }

    /// References held.
    pub fn held(&self) -> u32 {
        self.0.load(Ordering::Acquire) & COUNT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFERS: [Offer; 2] = [
        Offer {
            version: 1,
            size: 64,
        },
        Offer {
            version: 2,
            size: 80,
        },
    ];

    #[test]
    fn a_known_version_is_filled_to_its_own_size() {
        assert_eq!(negotiate(&OFFERS, 1, 64), Ok(OFFERS[0]));
        assert_eq!(negotiate(&OFFERS, 1, 200), Ok(OFFERS[0]));
        assert_eq!(negotiate(&OFFERS, 2, 80), Ok(OFFERS[1]));
    }

    #[test]
    fn unknown_versions_and_small_tables_are_refused() {
        assert_eq!(
            negotiate(&OFFERS, 3, 200),
            Err(VersionError::Unsupported { newest: 2 })
        );
        assert_eq!(
            negotiate(&OFFERS, 0, 200),
            Err(VersionError::Unsupported { newest: 2 })
        );
        assert_eq!(
            negotiate(&[], 1, 200),
            Err(VersionError::Unsupported { newest: 0 })
        );
        assert_eq!(
            negotiate(&OFFERS, 2, 79),
            Err(VersionError::TableTooSmall { needed: 80 })
        );
    }

    #[test]
    fn the_last_reference_is_told_and_none_comes_after_closing() {
        let references = References::new();
        references.acquire().unwrap();
        references.acquire().unwrap();
        assert!(!references.close());
        assert_eq!(references.acquire(), Err(AcquireError::Closed));
        assert_eq!(references.release(), Released::Held);
        assert_eq!(references.release(), Released::Last);
        assert_eq!(references.release(), Released::Underflow);
        references.reopen();
        assert_eq!(references.acquire(), Ok(()));
        assert_eq!(references.held(), 1);
    }

    #[test]
    fn the_count_does_not_run_into_the_mark() {
        let references = References(AtomicU32::new(COUNT));
        assert_eq!(references.acquire(), Err(AcquireError::TooMany));
        assert_eq!(references.held(), COUNT);
    }
}
