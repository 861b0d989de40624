//! The bytes of a frame to send, read in order.
#![allow(
    unsafe_code,
    reason = "walks NDIS's frames and maps their MDLs; each block says why it may"
)]

use core::marker::PhantomData;
use core::ptr::{self, NonNull};

use ndis::chain::Nbl;
use ndis_sys::NET_BUFFER;
use netfront_core::tx::CopyFailed;
use nt::irql::AtMostDispatch;
use nt::mdl::MdlRef;

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
    reader: Reader<'f>,
}

impl FrameBytes<'_> {
    /// Bytes on the wire.
    pub(crate) fn wire_length(&self) -> u32 {
        self.length.max(MIN_WIRE_FRAME)
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
        let given = self.length.saturating_sub(from).min(len);
        if given > 0 {
            // SAFETY: the caller's promise, for no more bytes.
            unsafe { self.reader.read(from, to, given, irql) }?;
        }
        let padding = len.saturating_sub(given) as usize;
        // SAFETY: `given` is at most `len`.
        let end = unsafe { to.add(given as usize) };
        // SAFETY: the rest of the caller's `len` bytes.
        unsafe { ptr::write_bytes(end, 0, padding) };
        Ok(())
    }
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
