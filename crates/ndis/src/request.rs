//! OID requests: the size rules of queries, sets and methods in one place
//! (reference/ndis-contract.md 1.8).

use core::ptr;
use core::slice;

use ndis_sys as sys;
use ndis_sys::{NDIS_OID, NDIS_OID_REQUEST};

use crate::object::NdisObject;
use crate::status::Status;

/// Kind of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Query, also of counters.
    Query,
    /// Set.
    Set,
    /// Method.
    Method,
    /// Any other request type: not supported.
    Other,
}

/// A request borrowed for one call of the handler. Buffers may be unaligned: all goes by copy.
pub struct OidRequest<'a> {
    raw: &'a mut NDIS_OID_REQUEST,
}

impl core::fmt::Debug for OidRequest<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let oid = format_args!("{:#010x}", self.oid());
        f.debug_struct("OidRequest")
            .field("kind", &self.kind())
            .field("oid", &oid)
            .finish()
    }
}

impl<'a> OidRequest<'a> {
    /// # Safety
    /// `raw` is the request that NDIS passed to the handler, not completed yet; its buffer is valid
    /// for the lengths it tells.
    pub unsafe fn from_raw(raw: &'a mut NDIS_OID_REQUEST) -> Self {
        Self { raw }
    }

    /// Kind of the request.
    pub fn kind(&self) -> Kind {
        match self.raw.RequestType {
            sys::NdisRequestQueryInformation | sys::NdisRequestQueryStatistics => Kind::Query,
            sys::NdisRequestSetInformation => Kind::Set,
            sys::NdisRequestMethod => Kind::Method,
            _ => Kind::Other,
        }
    }

    /// Object asked for or set.
    pub fn oid(&self) -> NDIS_OID {
        // SAFETY: every member of the union begins with the identifier.
        unsafe { self.raw.DATA.QUERY_INFORMATION.Oid }
    }

    /// Identifier for `MiniportCancelOidRequest`.
    pub fn id(&self) -> usize {
        self.raw.RequestId.addr()
    }

    /// Answers a query (or the output of a method) with `bytes`, all or nothing.
    pub fn answer(&mut self, bytes: &[u8]) -> Status {
        // SAFETY: the slice is valid for its length.
        unsafe { self.answer_raw(bytes.as_ptr(), bytes.len()) }
    }

    /// # Safety
    /// `source` is valid for reads of `len` bytes; they may be padding.
    unsafe fn answer_raw(&mut self, source: *const u8, len: usize) -> Status {
        let Ok(needed) = u32::try_from(len) else {
            return Status::FAILURE;
        };
        let (buffer, room) = self.output();
        if room < needed {
            self.set_written(0, needed);
            return Status::INVALID_LENGTH;
        }
        if needed != 0 && !buffer.is_null() {
            // SAFETY: `from_raw` was promised `room` bytes at `buffer`, which no reference covers;
            // the source is the caller's promise.
            unsafe { ptr::copy_nonoverlapping(source, buffer, len) };
        }
        self.set_written(needed, 0);
        Status::SUCCESS
    }

    /// Answers with a 32-bit number.
    pub fn answer_u32(&mut self, value: u32) -> Status {
        self.answer(&value.to_le_bytes())
    }

    /// Answers with a counter: 8 bytes if they fit, the low 4 if only they do. `BytesNeeded` is 8
    /// in every case, as NDIS tests want it.
    pub fn answer_counter(&mut self, value: u64) -> Status {
        let (_, room) = self.output();
        let bytes = value.to_le_bytes();
        let take = if room >= 8 { 8 } else { 4 };
        let status = self.answer(bytes.get(..take).unwrap_or_default());
        let written = if status.is_success() {
            u32::try_from(take).unwrap_or(0)
        } else {
            0
        };
        self.set_written(written, 8);
        status
    }

    /// Answers with a versioned structure, as many bytes of it as its header says.
    pub fn answer_object<T: NdisObject>(&mut self, object: &T) -> Status {
        // SAFETY: every `NdisObject` begins with a header.
        let header = unsafe {
            (&raw const *object)
                .cast::<sys::NDIS_OBJECT_HEADER>()
                .read()
        };
        let len = usize::from(header.Size).min(size_of::<T>());
        // SAFETY: `len` bytes of the object; padding is copied as it is, never looked at.
        unsafe { self.answer_raw((&raw const *object).cast(), len) }
    }

    /// The bytes of a set (or the input of a method). Marks all of them read.
    /// Fewer than `least`: `INVALID_LENGTH`, with `BytesNeeded` set.
    pub fn input(&mut self, least: u32) -> Result<&[u8], Status> {
        let method = self.kind() == Kind::Method;
        let data = &mut self.raw.DATA;
        // SAFETY: buffer and input length lie at the same place in both members.
        let (buffer, len) = unsafe {
            let set = data.SET_INFORMATION;
            (
                set.InformationBuffer.cast::<u8>().cast_const(),
                set.InformationBufferLength,
            )
        };
        let short = len < least || (len != 0 && buffer.is_null());
        let (read, needed) = if short { (0, least) } else { (len, 0) };
        if method {
            data.METHOD_INFORMATION.BytesRead = read;
            data.METHOD_INFORMATION.BytesNeeded = needed;
        } else {
            data.SET_INFORMATION.BytesRead = read;
            data.SET_INFORMATION.BytesNeeded = needed;
        }
        if short {
            return Err(Status::INVALID_LENGTH);
        }
        if len == 0 {
            return Ok(&[]);
        }
        // SAFETY: `from_raw` was promised `len` bytes; NDIS does not change them meanwhile.
        Ok(unsafe { slice::from_raw_parts(buffer, len as usize) })
    }

    /// A 32-bit number of a set.
    pub fn input_u32(&mut self) -> Result<u32, Status> {
        let bytes = self.input(4)?;
        bytes
            .first_chunk()
            .map(|b| u32::from_le_bytes(*b))
            .ok_or(Status::INVALID_LENGTH)
    }

    /// Tells the revision that a successful set of a versioned structure used.
    pub fn set_supported_revision(&mut self, revision: u8) {
        self.raw.SupportedRevision = revision;
    }

    /// Marks a set as refused: nothing read, `needed` bytes wanted.
    pub fn refuse_set(&mut self, needed: u32) {
        self.raw.DATA.SET_INFORMATION.BytesRead = 0;
        self.raw.DATA.SET_INFORMATION.BytesNeeded = needed;
    }

    /// Output buffer and its room.
    fn output(&self) -> (*mut u8, u32) {
        if self.kind() == Kind::Method {
            // SAFETY: the request type says that this member is in use.
            let m = unsafe { self.raw.DATA.METHOD_INFORMATION };
            (m.InformationBuffer.cast(), m.OutputBufferLength)
        } else {
            // SAFETY: as above, for queries.
            let q = unsafe { self.raw.DATA.QUERY_INFORMATION };
            (q.InformationBuffer.cast(), q.InformationBufferLength)
        }
    }

    fn set_written(&mut self, written: u32, needed: u32) {
        if self.kind() == Kind::Method {
            self.raw.DATA.METHOD_INFORMATION.BytesWritten = written;
            self.raw.DATA.METHOD_INFORMATION.BytesNeeded = needed;
        } else {
            self.raw.DATA.QUERY_INFORMATION.BytesWritten = written;
            self.raw.DATA.QUERY_INFORMATION.BytesNeeded = needed;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NdisVersion;

    fn raw(kind: sys::NDIS_REQUEST_TYPE, buffer: &mut [u8]) -> NDIS_OID_REQUEST {
        // SAFETY: a request of zeros is a valid value.
        let mut r: NDIS_OID_REQUEST = unsafe { core::mem::zeroed() };
        r.RequestType = kind;
        r.DATA.QUERY_INFORMATION.Oid = sys::OID_GEN_XMIT_OK;
        let empty = buffer.is_empty();
        r.DATA.QUERY_INFORMATION.InformationBuffer = if empty {
            ptr::null_mut()
        } else {
            buffer.as_mut_ptr().cast()
        };
        r.DATA.QUERY_INFORMATION.InformationBufferLength = u32::try_from(buffer.len()).unwrap();
        r
    }

    /// Asks with `room` bytes at an odd address; gives status, bytes, written, needed.
    fn query(
        room: usize,
        f: impl FnOnce(&mut OidRequest<'_>) -> Status,
    ) -> (Status, std::vec::Vec<u8>, u32, u32) {
        let mut store = std::vec![0u8; room + 1];
        let mut r = raw(sys::NdisRequestQueryInformation, &mut store[1..]);
        // SAFETY: the buffer outlives the request.
        let status = f(&mut unsafe { OidRequest::from_raw(&mut r) });
        // SAFETY: a query.
        let q = unsafe { r.DATA.QUERY_INFORMATION };
        (status, store[1..].to_vec(), q.BytesWritten, q.BytesNeeded)
    }

    #[test]
    fn a_short_query_tells_what_it_needs() {
        let (s, b, w, n) = query(3, |r| r.answer_u32(5));
        assert_eq!((s, w, n), (Status::INVALID_LENGTH, 0, 4));
        assert_eq!(b, [0; 3]);
        let (s, _, w, n) = query(0, |r| r.answer(&[1, 2, 3]));
        assert_eq!((s, w, n), (Status::INVALID_LENGTH, 0, 3));
        let (s, b, w, _) = query(6, |r| r.answer_u32(5));
        assert_eq!((s, w), (Status::SUCCESS, 4));
        assert_eq!(b, [5, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn counters_come_in_8_or_4_bytes() {
        let value = 0x0102_0304_0506_0708;
        for (room, status, written) in [
            (12, Status::SUCCESS, 8),
            (8, Status::SUCCESS, 8),
            (7, Status::SUCCESS, 4),
        ] {
            let (s, b, w, n) = query(room, |r| r.answer_counter(value));
            assert_eq!((s, w, n), (status, written, 8), "{room}");
            assert_eq!(b[..4], [8, 7, 6, 5]);
        }
        let (s, _, w, n) = query(3, |r| r.answer_counter(value));
        assert_eq!((s, w, n), (Status::INVALID_LENGTH, 0, 8));
    }

    #[test]
    fn structures_are_answered_by_the_size_in_their_header() {
        let info = sys::NDIS_RECEIVE_SCALE_CAPABILITIES::new(NdisVersion::V6_82);
        let (s, b, w, _) = query(20, |r| r.answer_object(&info));
        assert_eq!((s, w, b[0], b[2]), (Status::SUCCESS, 18, 0x88, 18));
    }

    #[test]
    fn structures_with_padding_are_copied_whole() {
        let mut info = sys::NDIS_RSC_STATISTICS_INFO::new(NdisVersion::V6_82);
        info.Aborts = 7;
        let (s, b, w, _) = query(40, |r| r.answer_object(&info));
        assert_eq!((s, w, b[32]), (Status::SUCCESS, 40, 7));
    }

    #[test]
    fn sets_tell_read_or_needed() {
        let mut bytes = [1u8, 0, 0, 0, 9];
        let mut r = raw(sys::NdisRequestSetInformation, &mut bytes);
        // SAFETY: the buffer outlives the request.
        let mut set = unsafe { OidRequest::from_raw(&mut r) };
        assert_eq!(set.input_u32(), Ok(1));
        assert_eq!(set.input(6), Err(Status::INVALID_LENGTH));
        // SAFETY: a set.
        let s = unsafe { r.DATA.SET_INFORMATION };
        assert_eq!((s.BytesRead, s.BytesNeeded), (0, 6));
    }

    #[test]
    fn an_empty_set_is_no_bytes() {
        let mut r = raw(sys::NdisRequestSetInformation, &mut []);
        // SAFETY: no buffer.
        let mut set = unsafe { OidRequest::from_raw(&mut r) };
        assert_eq!(set.input(0), Ok(&[][..]));
        assert_eq!(set.input_u32(), Err(Status::INVALID_LENGTH));
    }

    #[test]
    fn methods_have_lengths_of_their_own() {
        let mut bytes = [7u8; 8];
        let mut r = raw(sys::NdisRequestMethod, &mut bytes);
        r.DATA.METHOD_INFORMATION.OutputBufferLength = 2;
        // SAFETY: the buffer outlives the request.
        let mut m = unsafe { OidRequest::from_raw(&mut r) };
        assert_eq!(
            (m.kind(), m.input(8).map(<[u8]>::len)),
            (Kind::Method, Ok(8))
        );
        assert_eq!(m.answer(&[1, 2, 3]), Status::INVALID_LENGTH);
        assert_eq!(m.answer(&[1, 2]), Status::SUCCESS);
        // SAFETY: a method.
        let m = unsafe { r.DATA.METHOD_INFORMATION };
        assert_eq!(
            (m.BytesRead, m.BytesWritten, bytes[..3].to_vec()),
            (8, 2, std::vec![1, 2, 7])
        );
    }

    #[test]
    fn unknown_request_types_are_told_apart() {
        let mut r = raw(5, &mut []);
        // SAFETY: no buffer.
        assert_eq!(unsafe { OidRequest::from_raw(&mut r) }.kind(), Kind::Other);
    }
}
