//! The connection's keys in XenStore.

use core::fmt::Display;

use netfront_core::connect::{KeysError, PublishError};
use netif::features::{BackendFeatures, Features};
use netif::publication::{Publication, removes};
use netif::vif::VifSettings;
use nt::irql::Passive;
use nt::pool::PoolSlice;
use xen_abi::domid::DomId;
use xen_abi::xenbus::XenbusState;

use crate::TAG;
use crate::bus::{Bus, StoreError};
use crate::text::{Path, Value};

/// What Linux offers of what matters for offloads.
const LINUX: Features = Features::SG
    .with(Features::GSO_TCPV4)
    .with(Features::GSO_TCPV6)
    .with(Features::IPV4_CSUM)
    .with(Features::IPV6_CSUM);

/// Bytes for the names in the frontend's folder: the longest reply of xenstored.
const NAMES: usize = 4096;

/// The backend as the frontend's folder names it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Backend {
    /// Its folder.
    pub(crate) path: Path,
    /// Its domain.
    pub(crate) domain: DomId,
}

/// What was read before connecting.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// The backend's side.
    pub(crate) backend: BackendFeatures,
    /// Whether the backend may see whole pages of the guest.
    pub(crate) trusted: bool,
}

/// Reads a key of a folder; none when there is no such key.
pub(crate) fn read(
    bus: &Bus,
    folder: &Path,
    key: &dyn Display,
    irql: &Passive<'_>,
) -> Result<Option<Value>, StoreError> {
    match bus.read(folder.join(key)?.as_bytes(), irql) {
        Ok(value) => Ok(Some(value)),
        Err(StoreError::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Who serves the vif.
pub(crate) fn backend(
    bus: &Bus,
    frontend: &Path,
    irql: &Passive<'_>,
) -> Result<Option<Backend>, StoreError> {
    let Some(path) = read(bus, frontend, &"backend", irql)? else {
        return Ok(None);
    };
    let Some(id) = read(bus, frontend, &"backend-id", irql)? else {
        return Ok(None);
    };
    match netif::vif::backend_id(id.as_bytes()) {
        Ok(domain) => Ok(Some(Backend {
            path,
            domain: DomId(domain),
        })),
        Err(error) => {
            nt::log_error!("backend-id {id:?}: {error:?}");
            Ok(None)
        }
    }
}

/// The backend's state; none when its folder is gone.
pub(crate) fn state(
    bus: &Bus,
    backend: &Path,
    irql: &Passive<'_>,
) -> Result<Option<XenbusState>, StoreError> {
    let value = read(bus, backend, &"state", irql)?;
    Ok(value.map(|value| {
        let number = netif::number::decimal_u32(value.as_bytes(), u32::MAX);
        XenbusState(number.unwrap_or(XenbusState::UNKNOWN.0))
    }))
}

/// Whether the operator pulled the cable.
pub(crate) fn is_cable_pulled(bus: &Bus, frontend: &Path, irql: &Passive<'_>) -> bool {
    let value = read(bus, frontend, &"disconnect", irql).ok().flatten();
    value.is_some_and(|value| netif::number::flag(value.as_bytes()).unwrap_or(false))
}

/// The toolstack's settings.
pub(crate) fn settings(
    bus: &Bus,
    frontend: &Path,
    irql: &Passive<'_>,
) -> Result<VifSettings, StoreError> {
    let mut failure = None;
    let settings = VifSettings::read(
        |key| {
            read(bus, frontend, &key, irql).unwrap_or_else(|error| {
                failure = Some(error);
                None
            })
        },
        |key, error| nt::log_warn!("{key}: {error:?}"),
    );
    failure.map_or(Ok(settings), Err)
}

/// Reads all that the connection depends on.
pub(crate) fn terms(
    bus: &Bus,
    frontend: &Path,
    backend: &Path,
    max_queues: u16,
    irql: &Passive<'_>,
) -> Result<Terms, KeysError> {
    let settings = settings(bus, frontend, irql).map_err(|_| KeysError::Failed)?;
    let mut failed = false;
    let features = BackendFeatures::read(
        max_queues,
        |key| {
            read(bus, backend, &key, irql).unwrap_or_else(|_| {
                failed = true;
                None
            })
        },
        |key, error| nt::log_warn!("{key}: {error:?}"),
    );
    if failed {
        Err(KeysError::Failed)
    } else if features.features.has(Features::RX_COPY) {
        Ok(Terms {
            backend: features,
            trusted: settings.trusted,
        })
    } else {
        Err(KeysError::Unsupported)
    }
}

/// What the backend offers now; when it cannot be asked, what Linux offers: the connection finds
/// out what is true.
pub(crate) fn offered(bus: &Bus, frontend: &Path, irql: &Passive<'_>) -> Features {
    let found = backend(bus, frontend, irql).ok().flatten();
    let read = found.and_then(|found| terms(bus, frontend, &found.path, 1, irql).ok());
    read.map_or(LINUX, |terms| terms.backend.features)
}

/// Asks the backend to filter groups, or not to; whether that could be written.
pub(crate) fn request_multicast_control(
    bus: &Bus,
    frontend: &Path,
    on: bool,
    irql: &Passive<'_>,
) -> bool {
    let value: &[u8] = if on { b"1" } else { b"0" };
    let written = frontend
        .join(&"request-multicast-control")
        .map_err(StoreError::from)
        .and_then(|path| bus.write(path.as_bytes(), value, irql));
    if let Err(error) = written {
        nt::log_warn!("multicast control cannot be asked for: {error:?}");
    }
    written.is_ok()
}

/// Whether the backend says that its side has no carrier.
pub(crate) fn is_carrier_off(bus: &Bus, backend: &Path, irql: &Passive<'_>) -> bool {
    let value = read(bus, backend, &"carrier", irql).ok().flatten();
    value.is_some_and(|value| netif::number::flag(value.as_bytes()) == Ok(false))
}

/// Whether the toolstack wants the backend to be.
pub(crate) fn is_online(bus: &Bus, backend: &Path, irql: &Passive<'_>) -> bool {
    let value = read(bus, backend, &"online", irql).ok().flatten();
    value.is_some_and(|value| netif::number::flag(value.as_bytes()) == Ok(true))
}

/// Writes the frontend's state.
pub(crate) fn write_state(bus: &Bus, frontend: &Path, state: XenbusState, irql: &Passive<'_>) {
    let written = frontend
        .join(&"state")
        .and_then(|path| Ok((path, Value::format(format_args!("{}", state.0))?)))
        .map_err(StoreError::from)
        .and_then(|(path, value)| bus.write(path.as_bytes(), value.as_bytes(), irql));
    if let Err(error) = written {
        // The machine finds out by its timeout.
        nt::log_warn!("state {} not written: {error:?}", state.0);
    }
}

/// Deletes what other drivers may have left, and writes our keys: one transaction.
pub(crate) fn publish(
    bus: &Bus,
    frontend: &Path,
    publication: &Publication<'_>,
    irql: &Passive<'_>,
) -> Result<(), PublishError> {
    let mut names =
        PoolSlice::try_from_fn(TAG, NAMES, |_| 0_u8).map_err(|_| PublishError::Failed)?;
    let done = bus.transaction(irql, |transaction| {
        let count = transaction.list(frontend.as_bytes(), &mut names)?;
        let names = names.get(..count).unwrap_or_default();
        for name in names.split(|byte| *byte == 0).filter(|name| removes(name)) {
            let path = frontend.join(&name.escape_ascii())?;
            transaction.remove(path.as_bytes())?;
        }
        for (key, value) in publication.writes() {
            let path = frontend.join(&key)?;
            let value = Value::format(format_args!("{value}"))?;
            transaction.write(path.as_bytes(), value.as_bytes())?;
        }
        Ok(())
    });
    match done {
        Ok(()) => Ok(()),
        Err(StoreError::Conflict) => Err(PublishError::Conflict),
        Err(error) => {
            nt::log_warn!("keys not written: {error:?}");
            Err(PublishError::Failed)
        }
    }
}
