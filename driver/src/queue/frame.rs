//! The bytes of a frame to send, read in order.
#![allow(
    unsafe_code,
    reason = "walks NDIS's frames and maps their MDLs; each block says why it may"
)]

use core::marker::PhantomData;
use core::ptr::{self, NonNull};

use ndis::chain::Nbl;
use ndis_sys::NET_BUFFER;
use netfront_core::tx::{CopyFailed, Fragment, HEADER_BYTES};
use nt::irql::AtMostDispatch;
use nt::mdl::MdlRef;
use offload::sum::Sum;

use crate::shared_page::{PAGE_BYTES, PAGE_SHIFT};

/// Shortest frame on the wire, without checksum: shorter ones are padded with zeroes.
pub(crate) const MIN_WIRE_FRAME: u32 = 60;
/// Bytes that are summed at once.
const SUM_CHUNK: u32 = 256;

/// Where in a list the next frame to send is. Goes with the list it was made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrameCursor(Option<NonNull<NET_BUFFER>>);

// SAFETY: frames belong to whoever owns their list, on any processor.
unsafe impl Send for FrameCursor {}

impl FrameCursor {
    /// The first frame of a list.
    pub(crate) fn first(list: &Nbl) -> Self {
        Self(NonNull::new(list.raw().FirstNetBuffer))
    }

    /// The frame, for as long as its list is borrowed.
    pub(crate) fn frame<'l>(&self, _list: &'l Nbl) -> Option<FrameBytes<'l>> {
        let frame = self.0?;
        // SAFETY: the list is owned by the caller, and so are its frames.
        let frame: &'l NET_BUFFER = unsafe { frame.as_ref() };
        #[expect(
            clippy::cast_possible_truncation,
            reason = "DataLength is the low half"
        )]
        let length = frame.stDataLength as u32;
        // SAFETY: NDIS promises locked, described pages for frames that a miniport owns.
        let mdl = unsafe { MdlRef::from_raw(frame.CurrentMdl) };
        Some(FrameBytes {
            length,
            head: &[],
            from: 0,
            body: length,
            reader: Reader {
                mdl,
                skip: frame.CurrentMdlOffset,
                position: 0,
                frame: PhantomData,
            },
        })
    }

    /// Goes on to the next frame.
    pub(crate) fn advance(&mut self, _list: &Nbl) {
        if let Some(frame) = self.0 {
            // SAFETY: as in `frame`.
            self.0 = NonNull::new(unsafe { frame.as_ref() }.Next);
        }
    }
}

/// A frame's bytes on the wire: some of ours in front, then the sender's, then padding.
#[derive(Clone, Debug)]
pub(crate) struct FrameBytes<'f> {
    /// Bytes that the sender gave.
    pub(crate) length: u32,
    /// Bytes of ours.
    head: &'f [u8],
    /// The sender's first byte behind them.
    from: u32,
    /// Bytes of the sender's.
    body: u32,
    reader: Reader<'f>,
}

impl<'f> FrameBytes<'f> {
    /// A frame that is all ours.
    pub(crate) fn own(head: &'f [u8]) -> Self {
        Self {
            length: 0,
            head,
            from: 0,
            body: 0,
            reader: Reader {
                mdl: None,
                skip: 0,
                position: 0,
                frame: PhantomData,
            },
        }
    }

    /// The same frame with `head` in place of its bytes up to `from`, and `body` bytes from there
    /// on.
    pub(crate) fn with_head<'h>(&self, head: &'h [u8], from: u32, body: u32) -> FrameBytes<'h>
    where
        'f: 'h,
    {
        FrameBytes {
            length: self.length,
            head,
            from,
            body,
            reader: self.reader.clone(),
        }
    }

    /// Bytes of ours.
    fn head_length(&self) -> u32 {
        u32::try_from(self.head.len()).unwrap_or(u32::MAX)
    }

    /// Bytes on the wire before padding.
    fn unpadded_length(&self) -> u32 {
        self.head_length().saturating_add(self.body)
    }

    /// Bytes on the wire.
    pub(crate) fn wire_length(&self) -> u32 {
        self.unpadded_length().max(MIN_WIRE_FRAME)
    }

    /// Where its bytes are, in pages; nothing when there are too many parts, or when bytes that
    /// are not the sender's reach beyond what is copied anyway.
    pub(crate) fn fragments<'p>(&self, parts: &'p mut [Fragment]) -> &'p [Fragment] {
        if self.wire_length() != self.unpadded_length() || self.head_length() > HEADER_BYTES {
            return &[];
        }
        let ours = usize::from(!self.head.is_empty());
        let Some(theirs) = parts.get_mut(ours..) else {
            return &[];
        };
        let count = self.reader.fragments(self.from, self.body, theirs);
        let Some(count) = count.and_then(|count| count.checked_add(ours)) else {
            return &[];
        };
        // Stands for bytes that are always copied: no slot ever names its page.
        if ours > 0
            && let Some(first) = parts.first_mut()
        {
            *first = Fragment {
                pfn: 0,
                offset: 0,
                len: self.head_length(),
            };
        }
        parts.get(..count).unwrap_or_default()
    }

    /// Copies the sender's first bytes.
    pub(crate) fn first(
        &self,
        place: &mut [u8],
        irql: &AtMostDispatch<'_>,
    ) -> Result<(), CopyFailed> {
        let len = u32::try_from(place.len()).map_err(|_| CopyFailed)?;
        let mut reader = self.reader.clone();
        // SAFETY: the target is a slice of `len` bytes.
        unsafe { reader.read(0, place.as_mut_ptr(), len, irql) }
    }

    /// Sum over bytes `from..to` on the wire.
    pub(crate) fn sum(
        &self,
        from: usize,
        to: usize,
        irql: &AtMostDispatch<'_>,
    ) -> Result<Sum, CopyFailed> {
        let mut at = u32::try_from(from).map_err(|_| CopyFailed)?;
        let end = u32::try_from(to).map_err(|_| CopyFailed)?;
        let mut bytes = self.clone();
        let mut sum = Sum::default();
        // The memory is the sender's, who may write to it: what is summed is a copy.
        let mut chunk = [0_u8; SUM_CHUNK as usize];
        while at < end {
            let count = end.saturating_sub(at).min(SUM_CHUNK);
            // SAFETY: `count` is at most the chunk's length.
            unsafe { bytes.copy(at, chunk.as_mut_ptr(), count, irql) }?;
            sum.add(chunk.get(..count as usize).unwrap_or_default());
            at = at.saturating_add(count);
        }
        Ok(sum)
    }

    /// Copies `len` bytes from byte `from` on to `to`; zeroes where the frame has ended. Each
    /// call must begin where the last one ended, or later.
    ///
    /// # Safety
    /// `to` is valid for writes of `len` bytes, which Rust sees as atomics at most.
    pub(crate) unsafe fn copy(
        &mut self,
        from: u32,
        to: *mut u8,
        len: u32,
        irql: &AtMostDispatch<'_>,
    ) -> Result<(), CopyFailed> {
        let end = from.saturating_add(len);
        let mut at = from;
        while at < end {
            let Span { kind, until } = self.span(at);
            let part = until.min(end).saturating_sub(at);
            // SAFETY: `at - from` is below `len`.
            let target = unsafe { to.add(at.saturating_sub(from) as usize) };
            match kind {
                // SAFETY: the caller's promise: `part` bytes from `at` on are within `len`.
                Bytes::Given(source) => unsafe { self.reader.read(source, target, part, irql) }?,
                Bytes::Head => {
                    let part = part as usize;
                    let bytes = self.head.get(at as usize..).unwrap_or_default();
                    let bytes = bytes.get(..part).ok_or(CopyFailed)?;
                    // SAFETY: as above; the slice has `part` bytes.
                    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), target, part) }
                }
                // SAFETY: as above.
                Bytes::Padding => unsafe { ptr::write_bytes(target, 0, part as usize) },
            }
            at = at.saturating_add(part);
        }
        Ok(())
    }

    /// What byte `at` on the wire is, and how far the same goes on.
    fn span(&self, at: u32) -> Span {
        let head = self.head_length();
        let end = self.unpadded_length();
        if at < head {
            Span {
                kind: Bytes::Head,
                until: head,
            }
        } else if at < end {
            Span {
                kind: Bytes::Given(self.from.saturating_add(at.saturating_sub(head))),
                until: end,
            }
        } else {
            Span {
                kind: Bytes::Padding,
                until: u32::MAX,
            }
        }
    }
}

/// Bytes on the wire that come from one place.
struct Span {
    kind: Bytes,
    /// Where they end.
    until: u32,
}

/// Where bytes come from.
enum Bytes {
    /// From the sender's byte of this number on.
    Given(u32),
    /// From ours.
    Head,
    /// Zeroes.
    Padding,
}

/// A place in a chain of MDLs.
#[derive(Clone, Debug)]
struct Reader<'f> {
    mdl: Option<MdlRef<'f>>,
    /// Bytes of the present MDL that are behind.
    skip: u32,
    /// Bytes of the frame that are behind.
    position: u32,
    frame: PhantomData<&'f NET_BUFFER>,
}

impl Reader<'_> {
    /// Writes where the `length` bytes behind the next `from` are; how many parts, none when there
    /// are too many or too few bytes.
    fn fragments(&self, from: u32, length: u32, parts: &mut [Fragment]) -> Option<usize> {
        let mut mdl = self.mdl;
        let mut skip = self.skip.checked_add(from)?;
        let mut left = length;
        let mut count = 0_usize;
        while left > 0 {
            let piece = mdl?;
            let mut given = piece.byte_count().saturating_sub(skip).min(left);
            let mut start = u64::from(piece.byte_offset()).saturating_add(skip.into());
            skip = skip.saturating_sub(piece.byte_count());
            while given > 0 {
                let page = usize::try_from(start >> PAGE_SHIFT).ok()?;
                let offset = u32::try_from(start & u64::from(PAGE_BYTES.saturating_sub(1))).ok()?;
                let len = given.min(PAGE_BYTES.saturating_sub(offset));
                let pfn = *piece.pfns().get(page)?;
                *parts.get_mut(count)? = Fragment { pfn, offset, len };
                count = count.saturating_add(1);
                start = start.saturating_add(len.into());
                given = given.saturating_sub(len);
                left = left.saturating_sub(len);
            }
            mdl = piece.next();
        }
        Some(count)
    }

    /// # Safety
    /// As for [`FrameBytes::copy`].
    unsafe fn read(
        &mut self,
        from: u32,
        to: *mut u8,
        len: u32,
        irql: &AtMostDispatch<'_>,
    ) -> Result<(), CopyFailed> {
        let forward = from.checked_sub(self.position).ok_or(CopyFailed)?;
        self.skip = self.skip.checked_add(forward).ok_or(CopyFailed)?;
        self.position = from;
        let mut done = 0_u32;
        while done < len {
            let mdl = self.mdl.ok_or(CopyFailed)?;
            let left = mdl.byte_count().saturating_sub(self.skip);
            if left == 0 {
                self.skip = self.skip.saturating_sub(mdl.byte_count());
                self.mdl = mdl.next();
                continue;
            }
            let part = left.min(len.saturating_sub(done));
            let source = mdl.system_address(irql).map_err(|_| CopyFailed)?;
            // SAFETY: `skip + part` is at most the MDL's byte count.
            let source = unsafe { source.add(self.skip as usize) };
            // SAFETY: `done + part` is at most `len`.
            let target = unsafe { to.add(done as usize) };
            // SAFETY: both ranges are valid; the frame's memory and the driver's are apart.
            unsafe { ptr::copy_nonoverlapping(source.as_ptr(), target, part as usize) };
            done = done.saturating_add(part);
            self.skip = self.skip.saturating_add(part);
            self.position = self.position.saturating_add(part);
        }
        Ok(())
    }
}
