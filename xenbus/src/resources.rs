//! What the device was given in `START_DEVICE`, and what it asks for.
#![allow(
    unsafe_code,
    reason = "reads and changes the plug-and-play manager's lists; each block states its reason"
)]

use core::alloc::Layout;
use core::ptr::NonNull;

use nt::irp::Irp;
use nt::irql::Passive;
use nt::log_warn;
use nt::pool::{PoolSlice, paged};
use nt::processor::{self, ProcessorNumber};
use nt::status::{Result, Status};
use resource_lists::assigned::{self, Interrupt, Resource};
use resource_lists::required::{self, Target};

use crate::TAG;

/// Bytes before the first list of an `IO_RESOURCE_REQUIREMENTS_LIST`.
const REQUIREMENTS_HEADER: usize = 32;
/// More bytes than any list of requirements has.
const REQUIREMENTS_MAX: usize = 1 << 20;

/// Copies of the two lists of a `START_DEVICE` request.
#[derive(Debug)]
pub(crate) struct Resources {
    raw: PoolSlice<u8>,
    translated: PoolSlice<u8>,
}

impl Resources {
    /// Copies the lists of a `START_DEVICE` request.
    pub(crate) fn of_start(irp: &mut Irp) -> Result<Self> {
        let [raw, translated] = start_lists(irp);
        let copy = |list: Option<&mut [u8]>| {
            let list = list.ok_or(Status::DEVICE_CONFIGURATION_ERROR)?;
            let item = |index: usize| list.get(index).copied().unwrap_or(0);
            Ok::<_, Status>(PoolSlice::try_from_fn(TAG, list.len(), item)?)
        };
        Ok(Self {
            raw: copy(raw)?,
            translated: copy(translated)?,
        })
    }

    /// Hides the message interrupts from the drivers below, who would want to program hardware for
    /// them.
    pub(crate) fn hide_messages(irp: &mut Irp) {
        for list in start_lists(irp).into_iter().flatten() {
            assigned::hide_messages(list);
        }
    }

    /// Makes the request what it was before [`Resources::hide_messages`].
    pub(crate) fn show_messages(&self, irp: &mut Irp) {
        let originals = [&self.raw, &self.translated];
        for (list, original) in start_lists(irp).into_iter().zip(originals) {
            if let Some(list) = list {
                assigned::show_messages(list, original);
            }
        }
    }

    /// The memory range: base and length.
    pub(crate) fn memory(&self) -> Option<(u64, u64)> {
        assigned::resources(&self.translated).find_map(|resource| match resource {
            Resource::Memory { start, length } => Some((start, length)),
            _ => None,
        })
    }

    /// The message interrupts, translated.
    pub(crate) fn messages(&self) -> impl Iterator<Item = Interrupt> + '_ {
        assigned::resources(&self.translated).filter_map(|resource| match resource {
            Resource::Message(message) => Some(message),
            _ => None,
        })
    }

    /// The interrupt line, raw and translated.
    pub(crate) fn line(&self) -> Option<(Interrupt, Interrupt)> {
        let line = |list| {
            assigned::resources(list).find_map(|resource| match resource {
                Resource::Line(line) => Some(line),
                _ => None,
            })
        };
        Some((line(&self.raw)?, line(&self.translated)?))
    }
}

/// The lists of a `START_DEVICE` request, raw and translated, as bytes.
fn start_lists(irp: &mut Irp) -> [Option<&mut [u8]>; 2] {
    // SAFETY: the parameters of the only request this is called for.
    let start = unsafe { irp.stack().Parameters.StartDevice };
    let lists = [start.AllocatedResources, start.AllocatedResourcesTranslated];
    lists.map(|list| {
        let list = NonNull::new(list.cast::<u8>())?;
        // SAFETY: the request's own list, which nobody else uses while we have the request.
        unsafe { list_bytes(list) }
    })
}

/// The bytes of the first list of a `CM_RESOURCE_LIST`.
///
/// # Safety
/// `list` is one, and nobody else uses it during `'a`.
unsafe fn list_bytes<'a>(list: NonNull<u8>) -> Option<&'a mut [u8]> {
    // SAFETY: the list begins with its number of lists.
    let lists = unsafe { list.cast::<u32>().read_unaligned() };
    if lists == 0 {
        return None;
    }
    // SAFETY: a first list has a number of descriptors here.
    let count = unsafe { list.add(assigned::COUNT_OFFSET) };
    // SAFETY: as above.
    let count = unsafe { count.cast::<u32>().read_unaligned() };
    let bytes = NonNull::slice_from_raw_parts(list, assigned::len(lists, count)?);
    // SAFETY: as long as its counts say, and not shared, by the contract.
    Some(unsafe { &mut *bytes.as_ptr() })
}

/// `FILTER_RESOURCE_REQUIREMENTS`, after the drivers below: asks for an interrupt on each processor.
///
/// When that cannot be done the requirements stay as they are, and the line will do.
///
/// Whether they changed.
pub(crate) fn ask_for_messages(irp: &mut Irp, irql: &Passive<'_>) -> bool {
    match try_ask(irp, irql) {
        Ok(()) => true,
        Err(status) => {
            log_warn!("no interrupts per processor: {status}");
            false
        }
    }
}

fn try_ask(irp: &mut Irp, irql: &Passive<'_>) -> Result<()> {
    // What a driver below has answered, else what came with the request.
    let answered = irp.information();
    let list = if answered == 0 {
        // SAFETY: the parameters of this request.
        let parameters = unsafe { irp.stack().Parameters.FilterResourceRequirements };
        parameters.IoResourceRequirementList.cast::<u8>()
    } else {
        core::ptr::with_exposed_provenance_mut(answered)
    };
    let list = NonNull::new(list).ok_or(Status::DEVICE_CONFIGURATION_ERROR)?;
    // SAFETY: a list of requirements begins with its size.
    let size = unsafe { list.cast::<u32>().read_unaligned() };
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    if !(REQUIREMENTS_HEADER..=REQUIREMENTS_MAX).contains(&size) {
        return Err(Status::DEVICE_CONFIGURATION_ERROR);
    }
    let old = NonNull::slice_from_raw_parts(list, size);
    // SAFETY: as long as it says; nobody changes it while we have the request.
    let old = unsafe { old.as_ref() };
    let targets = targets()?;
    let malformed = |_| Status::DEVICE_CONFIGURATION_ERROR;
    let len = required::len_with_messages(old, targets.len()).map_err(malformed)?;
    let layout = Layout::from_size_align(len, 8).map_err(|_| Status::INSUFFICIENT_RESOURCES)?;
    let new = paged::zeroed(layout, TAG, irql)?;
    let out = NonNull::slice_from_raw_parts(new, len);
    // SAFETY: just allocated with this length, and ours.
    let written = required::add_messages(old, &targets, unsafe { &mut *out.as_ptr() });
    if let Err(error) = written {
        // SAFETY: allocated above with this tag and not handed over.
        unsafe { paged::free(new, TAG, irql) };
        return Err(malformed(error));
    }
    irp.set_information(new.as_ptr().expose_provenance());
    if answered != 0 {
        // SAFETY: an answer of a driver below, which is replaced and so ours to free.
        unsafe { paged::free_foreign(list, irql) };
    }
    Ok(())
}

/// Each processor in use.
fn targets() -> Result<PoolSlice<Target>> {
    let count = usize::try_from(processor::active_count()).unwrap_or(1);
    Ok(PoolSlice::try_from_fn(TAG, count, |index| {
        let number = u32::try_from(index).map(ProcessorNumber::from_index);
        let affinity = number.ok().and_then(|number| number.ok()?.affinity());
        affinity.map_or(
            Target {
                group: 0,
                affinity: 1,
            },
            |affinity| Target {
                group: affinity.Group,
                affinity: affinity.Mask,
            },
        )
    })?)
}
