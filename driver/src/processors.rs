//! Where queues live until a table of NDIS says otherwise.
#![allow(
    unsafe_code,
    reason = "asks NDIS under the adapter's handle; each block says why it may"
)]

use alloc::vec::Vec;

use ndis::processors;
use ndis_sys as sys;
use nt::pool::OutOfMemory;
use nt::processor::ProcessorNumber;
use rss::{Candidate, Spread};

use crate::adapter::NdisHandle;

/// Room for NDIS's answer, in words of 8 bytes.
const ANSWER_WORDS: usize = 1024;
/// Most processors that are taken from it.
const MAX_PROCESSORS: usize = 256;

/// The processors that queues live on at first, in their order: those NDIS lets RSS use, by the keywords that it reads
/// itself (`*RssBaseProcNumber`, `*NumaNodeId`, `*RSSProfile` and so on). If it does not say, all.
///
/// Of several processors a driver is to take those with the lower `PreferenceIndex` (`NDIS_RSS_PROCESSOR`), but for the
/// profiles that want all NUMA nodes to have a share (`NDIS_RSS_PROFILE`).
#[inline(never)]
pub(crate) fn for_queues(adapter: NdisHandle) -> Result<Vec<ProcessorNumber>, OutOfMemory> {
    let mut room = reserve(ANSWER_WORDS)?;
    room.resize(ANSWER_WORDS, 0_u64);
    let mut told: Vec<Candidate<ProcessorNumber>> = reserve(MAX_PROCESSORS)?;
    // SAFETY: the handle of an adapter that is being initialised.
    match unsafe { processors::query(adapter.get(), &mut room) } {
        Ok(len) => {
            let mut bytes = reserve(len)?;
            bytes.extend(room.iter().flat_map(|word| word.to_le_bytes()).take(len));
            let parsed = processors::parse(&bytes, |processor, distance| {
                let number = ProcessorNumber {
                    group: processor.group,
                    number: processor.number,
                };
                if told.len() < MAX_PROCESSORS && number.index().is_some() {
                    told.push(Candidate::new(number, distance));
                }
            });
            match parsed {
                Some(answer) => rss::order(&mut told, spread(answer.profile)),
                None => nt::log_warn!("NDIS's list of processors cannot be read"),
            }
        }
        Err(status) => nt::log_warn!("NDIS does not tell the processors for RSS: {status:?}"),
    }
    let mut all = reserve(MAX_PROCESSORS)?;
    all.extend(told.iter().map(|candidate| candidate.processor));
    if all.is_empty() {
        let indices = 0..nt::processor::active_count();
        let running = indices.filter_map(|index| ProcessorNumber::from_index(index).ok());
        all.extend(running.take(MAX_PROCESSORS));
    }
    Ok(all)
}

/// What a profile wants; unknown ones count as the default, `NdisRssProfileNumaStatic`.
fn spread(profile: Option<sys::NDIS_RSS_PROFILE>) -> Spread {
    match profile {
        Some(
            sys::NdisRssProfileClosest
            | sys::NdisRssProfileClosestStatic
            | sys::NdisRssProfileConservative,
        ) => Spread::Nearest,
        _ => Spread::AcrossNodes,
    }
}

fn reserve<T>(count: usize) -> Result<Vec<T>, OutOfMemory> {
    let mut all = Vec::new();
    all.try_reserve_exact(count).map_err(|_| OutOfMemory)?;
    Ok(all)
}
