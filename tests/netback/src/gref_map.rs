//! Grants that stay mapped (control messages 8 to 10; `docs/misc/netif-staging-grants`, `xen/io/netif.h`).

use xen_abi::netif::{CtrlStatus, CtrlType, XEN_NETIF_CTRLF_GREF_READONLY};

use crate::ctrl::Answer;
use crate::host::{Host, SharedPage};
use crate::vif::Netback;

/// Bytes of a list entry.
const ENTRY: usize = 8;
/// Entries of a list page.
const ENTRIES_MAX: u32 = 512;
const INVALID: Answer = (CtrlStatus::INVALID_PARAMETER, 0);

impl<P: SharedPage> Netback<P> {
    pub(crate) fn gref_request<H: Host<Page = P>>(
        &mut self,
        host: &mut H,
        kind: CtrlType,
        [queue, list, entries]: [u32; 3],
    ) -> Answer {
        let q = queue as usize;
        if q >= self.queues.len() {
            return INVALID;
        }
        if kind == CtrlType::GET_GREF_MAPPING_SIZE {
            return (CtrlStatus::SUCCESS, self.config.features.gref_mapping);
        }
        if entries > ENTRIES_MAX {
            return INVALID;
        }
        let mut bytes = vec![0; entries as usize * ENTRY];
        if host
            .copy_from(self.config.frontend, list, 0, &mut bytes)
            .is_err()
        {
            return INVALID;
        }
        if kind == CtrlType::ADD_GREF_MAPPING {
            self.add_grefs(host, q, &bytes)
        } else {
            self.remove_grefs(host, q, list, &mut bytes)
        }
    }

    /// All or none.
    fn add_grefs<H: Host<Page = P>>(&mut self, host: &mut H, q: usize, list: &[u8]) -> Answer {
        let room = self.config.features.gref_mapping as usize;
        let mut added = Vec::new();
        let mut good = self.queues[q].grefs.len() + list.len() / ENTRY <= room;
        for entry in list.chunks(ENTRY) {
            let gref = u32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]]);
            let flags = u16::from_le_bytes([entry[4], entry[5]]);
            let readonly = flags & XEN_NETIF_CTRLF_GREF_READONLY != 0;
            let known = self.queues[q].grefs.contains_key(&gref)
                || added.iter().any(|&(g, _, _)| g == gref);
            if !good || known {
                good = false;
                break;
            }
            match host.map(self.config.frontend, gref, readonly) {
                Ok(page) => added.push((gref, page, readonly)),
                Err(_) => good = false,
            }
        }
        if !good {
            for (_, page, _) in added {
                let _ = host.unmap(page);
            }
            return INVALID;
        }
        self.counters.grefs_mapped += added.len() as u64;
        let entries = added.into_iter().map(|(g, page, ro)| (g, (page, ro)));
        self.queues[q].grefs.extend(entries);
        (CtrlStatus::SUCCESS, 0)
    }

    /// What is known is unmapped; every entry gets its status.
    fn remove_grefs<H: Host<Page = P>>(
        &mut self,
        host: &mut H,
        q: usize,
        list: u32,
        bytes: &mut [u8],
    ) -> Answer {
        let mut removed = 0_u32;
        for entry in bytes.chunks_mut(ENTRY) {
            let gref = u32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]]);
            let status = if let Some((page, _)) = self.queues[q].grefs.remove(&gref) {
                let _ = host.unmap(page);
                removed += 1;
                CtrlStatus::SUCCESS
            } else {
                CtrlStatus::INVALID_PARAMETER
            };
            entry[6..8].copy_from_slice(&(status.0 as u16).to_le_bytes());
        }
        if host.copy_to(self.config.frontend, list, 0, bytes).is_err() {
            return INVALID;
        }
        self.counters.grefs_unmapped += u64::from(removed);
        (CtrlStatus::SUCCESS, removed)
    }
}
