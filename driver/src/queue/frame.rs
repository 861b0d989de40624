//! The bytes of a frame to send, read in order.
#![allow(
    unsafe_code,
    reason = "walks NDIS's frames and maps their MDLs; each block says why it may"
)]

use core::marker::PhantomData;
use core::ptr::{self, NonNull};

use ndis::chain::Nbl;
use ndis_sys::NET_BUFFER;
use netfront_core::tx::{CopyFailed, Fragment};
use nt::irql::AtMostDispatch;
use nt::mdl::MdlRef;

use crate::shared_page::{PAGE_BYTES, PAGE_SHIFT};
use crate::vlan::{TAG_BYTES, TAG_PLACE, TAG_TYPE};

/// Shortest frame on the wire, without checksum: shorter ones are padded with zeroes.
pub(crate) const MIN_WIRE_FRAME: u32 = 60;

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
            tag: None,
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

/// A frame's bytes.
#[derive(Clone, Debug)]
pub(crate) struct FrameBytes<'f> {
    /// Bytes that the sender gave.
    pub(crate) length: u32,
    /// Tag control information to insert.
    pub(crate) tag: Option<u16>,
    reader: Reader<'f>,
}

impl FrameBytes<'_> {
    /// Bytes on the wire.
    pub(crate) fn wire_length(&self) -> u32 {
        self.tagged_length().max(MIN_WIRE_FRAME)
    }

    /// Bytes with the tag, before padding.
    fn tagged_length(&self) -> u32 {
        let tag = if self.tag.is_some() { TAG_BYTES } else { 0 };
        self.length.saturating_add(tag)
    }

    /// Where its bytes are, in pages; nothing when there are too many parts, or bytes that are not
    /// the sender's.
    pub(crate) fn fragments<'p>(&self, parts: &'p mut [Fragment]) -> &'p [Fragment] {
        if self.wire_length() != self.length {
            return &[];
        }
        let count = self.reader.fragments(self.length, parts);
        count
            .and_then(|count| parts.get(..count))
            .unwrap_or_default()
    }

    /// Its destination address.
    pub(crate) fn destination(&self, irql: &AtMostDispatch<'_>) -> Result<[u8; 6], CopyFailed> {
        let mut address = [0; 6];
        // SAFETY: the target is a local of six bytes.
        unsafe { self.reader.clone().read(0, address.as_mut_ptr(), 6, irql) }?;
        Ok(address)
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
                Bytes::Tag(tag) => {
                    let [high, low] = tag.to_be_bytes();
                    let [first, second] = TAG_TYPE;
                    let tag = [first, second, high, low];
                    for (nth, byte) in (at.saturating_sub(TAG_PLACE)..).zip(0..part) {
                        let value = tag.get(nth as usize).copied().unwrap_or(0);
                        // SAFETY: as above, `byte` is below `part`.
                        let place = unsafe { target.add(byte as usize) };
                        // SAFETY: as above.
                        unsafe { place.write(value) };
                    }
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
        let given = |source, until| Span {
            kind: Bytes::Given(source),
            until,
        };
        let end = self.tagged_length();
        let behind = TAG_PLACE.saturating_add(TAG_BYTES);
        match self.tag {
            _ if at >= end => Span {
                kind: Bytes::Padding,
                until: u32::MAX,
            },
            None => given(at, end),
            Some(_) if at < TAG_PLACE => given(at, TAG_PLACE),
            Some(tag) if at < behind => Span {
                kind: Bytes::Tag(tag),
                until: behind,
            },
            Some(_) => given(at.saturating_sub(TAG_BYTES), end),
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
    /// The tag.
    Tag(u16),
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
    /// Writes where the next `length` bytes are; how many parts, none when there are too many or
    /// too few bytes.
    fn fragments(&self, length: u32, parts: &mut [Fragment]) -> Option<usize> {
        let mut mdl = self.mdl;
        let mut skip = self.skip;
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
