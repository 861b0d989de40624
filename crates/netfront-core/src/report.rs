//! What the driver tells of its queues: the answer to a private OID, for tests and tools.
//!
//! Little-endian. A head of [`HEAD`] bytes, then [`ENTRY`] bytes for each queue; readers go by the sizes in the head, so
//! that fields can be added at the end of either.
//!
//! ```text
//!   0 version (1) | 4 queues | 8 bytes of the head | 12 bytes of an entry
//!  16 hash types wanted, NDIS's bits | 20 hash types of the backend that are in use
//!  24 hashes from the backend | 32 computed | 40 checked | 48 mismatches
//!  entry: 0 processor (system-wide index) | 4 0 | 8 frames sent | 16 frames received | 24 events
//! ```

/// Query: a report. Vendor-specific, in no list of supported OIDs: it is for those who know it.
pub const OID_QUEUE_REPORT: u32 = 0xFF58_4E01;
/// Bytes of the head.
pub const HEAD: usize = 56;
/// Bytes of a queue's entry.
pub const ENTRY: usize = 32;
/// Most queues in a report.
pub const QUEUES_MAX: usize = 32;
/// Bytes of the longest report.
pub const REPORT_MAX: usize = HEAD + QUEUES_MAX * ENTRY;

/// What concerns the whole vif.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HashReport {
    /// Hash types the system wants, `NDIS_HASH_*`; 0: none.
    pub wanted: u32,
    /// Those of them that the backend was told and has agreed to.
    pub negotiated: u32,
    /// Frames handed up with the backend's hash.
    pub from_backend: u64,
    /// Frames handed up with a hash computed in the driver.
    pub computed: u64,
    /// Hashes of the backend that were checked.
    pub checked: u64,
    /// Of those, the wrong ones.
    pub mismatches: u64,
}

/// One queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueReport {
    /// System-wide index of its processor.
    pub processor: u32,
    /// Frames sent.
    pub tx_frames: u64,
    /// Frames received.
    pub rx_frames: u64,
    /// Events that came.
    pub events: u64,
}

/// Writes a report of at most [`QUEUES_MAX`] queues; the bytes used.
pub fn write<'o>(
    out: &'o mut [u8; REPORT_MAX],
    hash: &HashReport,
    queues: impl ExactSizeIterator<Item = QueueReport>,
) -> &'o [u8] {
    let count = queues.len().min(QUEUES_MAX);
    let word = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    let mut at = 0_usize;
    let mut put = |bytes: &[u8]| {
        for (place, byte) in out.iter_mut().skip(at).zip(bytes) {
            *place = *byte;
        }
        at = at.saturating_add(bytes.len());
    };
    for value in [
        1,
        word(count),
        word(HEAD),
        word(ENTRY),
        hash.wanted,
        hash.negotiated,
    ] {
        put(&value.to_le_bytes());
    }
    for value in [
        hash.from_backend,
        hash.computed,
        hash.checked,
        hash.mismatches,
    ] {
        put(&value.to_le_bytes());
    }
    for queue in queues.take(QUEUES_MAX) {
        put(&queue.processor.to_le_bytes());
        put(&[0; 4]);
        for value in [queue.tx_frames, queue.rx_frames, queue.events] {
            put(&value.to_le_bytes());
        }
    }
    out.get(..at).unwrap_or_default()
}

/// Reads a report: what concerns the vif, and each queue through `add`. `None` if it is none.
pub fn read(report: &[u8], mut add: impl FnMut(QueueReport)) -> Option<HashReport> {
    let word = |at: usize| {
        let bytes = report.get(at..at.checked_add(4)?)?;
        bytes.try_into().ok().map(u32::from_le_bytes)
    };
    let long = |at: usize| {
        let bytes = report.get(at..at.checked_add(8)?)?;
        bytes.try_into().ok().map(u64::from_le_bytes)
    };
    let size = |at: usize| word(at).and_then(|value| usize::try_from(value).ok());
    let (head, entry) = (size(8)?, size(12)?);
    if word(0)? != 1 || head < HEAD || entry < ENTRY {
        return None;
    }
    let hash = HashReport {
        wanted: word(16)?,
        negotiated: word(20)?,
        from_backend: long(24)?,
        computed: long(32)?,
        checked: long(40)?,
        mismatches: long(48)?,
    };
    let mut at = head;
    for _ in 0..word(4)? {
        add(QueueReport {
            processor: word(at)?,
            tx_frames: long(at.checked_add(8)?)?,
            rx_frames: long(at.checked_add(16)?)?,
            events: long(at.checked_add(24)?)?,
        });
        at = at.checked_add(entry)?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn a_report_is_read_as_it_was_written() {
        let hash = HashReport {
            wanted: 0x700,
            negotiated: 0x300,
            from_backend: 1 << 40,
            computed: 2,
            checked: 3,
            mismatches: 4,
        };
        let queues: Vec<QueueReport> = (0..32)
            .map(|nth| QueueReport {
                processor: nth,
                tx_frames: u64::from(nth) << 33,
                rx_frames: 7,
                events: 9,
            })
            .collect();
        for count in [0, 1, 32] {
            let mut out = [0; REPORT_MAX];
            let bytes = write(&mut out, &hash, queues[..count].iter().copied());
            assert_eq!(bytes.len(), HEAD + ENTRY * count);
            let mut seen = Vec::new();
            assert_eq!(read(bytes, |queue| seen.push(queue)), Some(hash));
            assert_eq!(seen, queues[..count]);
            assert_eq!(read(&bytes[..bytes.len() - 1], |_| {}), None);
        }
    }
}
