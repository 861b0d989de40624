//! `OID_GEN_RECEIVE_SCALE_PARAMETERS` and `OID_GEN_RECEIVE_HASH`: raw bytes to checked settings, or
//! a refusal that changes nothing (reference/ndis-contract.md 2.2).

use core::mem::offset_of;

use ndis_sys as sys;
use sys::NDIS_RECEIVE_HASH_PARAMETERS as RawHash;
use sys::NDIS_RECEIVE_SCALE_PARAMETERS as Raw;

/// Longest indirection table, in entries.
pub const MAX_ENTRIES: usize = 128;
/// Bytes of a Toeplitz key.
pub const KEY_LEN: usize = 40;

/// A processor: group and number in the group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Processor {
    /// Group.
    pub group: u16,
    /// Number in the group.
    pub number: u8,
}

/// Settings in force; every field is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RssParameters {
    /// Hash types, `NDIS_HASH_*`, without the function; not 0.
    pub hash_types: u32,
    /// Toeplitz key.
    pub key: [u8; KEY_LEN],
    table: [Processor; MAX_ENTRIES],
    entries: usize,
    /// Processor of frames without a hash; `None` before revision 3.
    pub default_processor: Option<Processor>,
}

impl RssParameters {
    /// The indirection table; its length is a power of two.
    pub fn table(&self) -> &[Processor] {
        self.table.get(..self.entries).unwrap_or_default()
    }
}

/// What the adapter advertised.
#[derive(Clone, Copy, Debug)]
pub struct RssLimits {
    /// Hash types, `NDIS_HASH_*`.
    pub hash_types: u32,
    /// Entries of the table, a power of two, at most [`MAX_ENTRIES`].
    pub entries: usize,
}

/// Accepted outcome of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "no allocation; lives shortly on a PASSIVE stack"
)]
pub enum RssUpdate {
    /// RSS is off.
    Disable,
    /// RSS is on with these settings, which replace the old ones whole.
    Enable(RssParameters),
}

/// Why a set is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RssRejection {
    /// The buffer is shorter than the structure; the second value is the bytes needed.
    TooShort(usize),
    /// Header type, revision or size is wrong.
    Header,
    /// A function other than Toeplitz, or types that were not advertised, or none.
    Hash,
    /// The key is not 40 bytes or lies outside the buffer.
    Key,
    /// The table is empty, too long, no power of two or outside the buffer.
    Table,
    /// An entry or the default processor is not an active processor.
    Processor,
    /// Something is said to be unchanged that was never set.
    NothingToKeep,
}

impl RssRejection {
    /// The status for NDIS.
    pub fn status(self) -> crate::Status {
        match self {
            Self::TooShort(_) => crate::Status::INVALID_LENGTH,
            _ => crate::Status::INVALID_DATA,
        }
    }
}

/// Checks the buffer of a set. `previous` is what is in force; `active` says whether a processor
/// is running. The buffer may be unaligned. IRQL: any.
pub fn parse(
    buffer: &[u8],
    limits: &RssLimits,
    previous: Option<&RssParameters>,
    active: impl Fn(Processor) -> bool,
) -> Result<RssUpdate, RssRejection> {
    let revision = check_header(buffer)?;
    let flags = u32::from(read_u16(buffer, offset_of!(Raw, Flags))?);
    let unchanged = |flag: u32| flags & flag != 0;
    if unchanged(sys::NDIS_RSS_PARAM_FLAG_DISABLE_RSS) {
        return Ok(RssUpdate::Disable);
    }
    let keep = || previous.ok_or(RssRejection::NothingToKeep);

    let hash_types = if unchanged(sys::NDIS_RSS_PARAM_FLAG_HASH_INFO_UNCHANGED) {
        keep()?.hash_types
    } else {
        let info = read_u32(buffer, offset_of!(Raw, HashInformation))?;
        if info & sys::NDIS_HASH_FUNCTION_MASK == 0 {
            return Ok(RssUpdate::Disable);
        }
        check_hash(info, limits)?
    };
    let key = if unchanged(sys::NDIS_RSS_PARAM_FLAG_HASH_KEY_UNCHANGED) {
        keep()?.key
    } else {
        read_key(buffer)?
    };
    let (table, entries) = if unchanged(sys::NDIS_RSS_PARAM_FLAG_ITABLE_UNCHANGED) {
        let old = keep()?;
        (old.table, old.entries)
    } else {
        read_table(buffer, limits, &active)?
    };
    let default_processor = if revision < sys::NDIS_RECEIVE_SCALE_PARAMETERS_REVISION_3 {
        None
    } else if unchanged(sys::NDIS_RSS_PARAM_FLAG_DEFAULT_PROCESSOR_UNCHANGED) {
        previous.and_then(|p| p.default_processor)
    } else {
        let p = read_processor(buffer, offset_of!(Raw, DefaultProcessorNumber))?;
        Some(p)
            .filter(|p| active(*p))
            .ok_or(RssRejection::Processor)
            .map(Some)?
    };
    Ok(RssUpdate::Enable(RssParameters {
        hash_types,
        key,
        table,
        entries,
        default_processor,
    }))
}

/// Checks type, revision and size; gives the revision (2 or 3; later ones count as 3).
fn check_header(buffer: &[u8]) -> Result<u8, RssRejection> {
    let header = buffer.get(..4).ok_or(RssRejection::TooShort(
        sys::NDIS_SIZEOF_RECEIVE_SCALE_PARAMETERS_REVISION_2,
    ))?;
    let [kind, revision, s0, s1] = header.try_into().unwrap_or_default();
    if kind != sys::NDIS_OBJECT_TYPE_RSS_PARAMETERS
        || revision < sys::NDIS_RECEIVE_SCALE_PARAMETERS_REVISION_2
    {
        return Err(RssRejection::Header);
    }
    let needed = if revision == sys::NDIS_RECEIVE_SCALE_PARAMETERS_REVISION_2 {
        sys::NDIS_SIZEOF_RECEIVE_SCALE_PARAMETERS_REVISION_2
    } else {
        sys::NDIS_SIZEOF_RECEIVE_SCALE_PARAMETERS_REVISION_3
    };
    if buffer.len() < needed {
        return Err(RssRejection::TooShort(needed));
    }
    if usize::from(u16::from_le_bytes([s0, s1])) < needed {
        return Err(RssRejection::Header);
    }
    Ok(revision)
}

/// Hashing without scaling, as set by `OID_GEN_RECEIVE_HASH`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashParameters {
    /// Hash types, `NDIS_HASH_*`, without the function; not 0.
    pub hash_types: u32,
    /// Toeplitz key.
    pub key: [u8; KEY_LEN],
}

/// Checks the buffer of a set of `OID_GEN_RECEIVE_HASH`: the new settings, or none for no hashing. `previous` is what is
/// in force. The buffer may be unaligned. IRQL: any.
pub fn parse_hash(
    buffer: &[u8],
    limits: &RssLimits,
    previous: Option<&HashParameters>,
) -> Result<Option<HashParameters>, RssRejection> {
    const NEEDED: usize = sys::NDIS_SIZEOF_RECEIVE_HASH_PARAMETERS_REVISION_1;
    let short = RssRejection::TooShort(NEEDED);
    let [kind, revision, s0, s1] = read(buffer, 0).map_err(|_| short)?;
    if kind != sys::NDIS_OBJECT_TYPE_DEFAULT
        || revision < sys::NDIS_RECEIVE_HASH_PARAMETERS_REVISION_1
    {
        return Err(RssRejection::Header);
    }
    if buffer.len() < NEEDED {
        return Err(short);
    }
    if usize::from(u16::from_le_bytes([s0, s1])) < NEEDED {
        return Err(RssRejection::Header);
    }
    let flags = read_u32(buffer, offset_of!(RawHash, Flags))?;
    if flags & sys::NDIS_RECEIVE_HASH_FLAG_ENABLE_HASH == 0 {
        return Ok(None);
    }
    let keep = || previous.ok_or(RssRejection::NothingToKeep);
    let hash_types = if flags & sys::NDIS_RECEIVE_HASH_FLAG_HASH_INFO_UNCHANGED != 0 {
        keep()?.hash_types
    } else {
        let info = read_u32(buffer, offset_of!(RawHash, HashInformation))?;
        if info & sys::NDIS_HASH_FUNCTION_MASK == 0 {
            return Ok(None);
        }
        check_hash(info, limits)?
    };
    let key = if flags & sys::NDIS_RECEIVE_HASH_FLAG_HASH_KEY_UNCHANGED != 0 {
        keep()?.key
    } else {
        let size = read_u16(buffer, offset_of!(RawHash, HashSecretKeySize))?;
        let offset = read_u32(buffer, offset_of!(RawHash, HashSecretKeyOffset))?;
        key_at(buffer, size, offset)?
    };
    Ok(Some(HashParameters { hash_types, key }))
}

/// The answer to a query of `OID_GEN_RECEIVE_HASH`: the structure, then the key.
pub fn describe_hash(
    parameters: Option<&HashParameters>,
) -> [u8; sys::NDIS_SIZEOF_RECEIVE_HASH_PARAMETERS_REVISION_1 + KEY_LEN] {
    const HEAD: usize = sys::NDIS_SIZEOF_RECEIVE_HASH_PARAMETERS_REVISION_1;
    let mut answer = [0; HEAD + KEY_LEN];
    let mut put = |at: usize, bytes: &[u8]| {
        let places = answer.iter_mut().skip(at);
        for (place, byte) in places.zip(bytes) {
            *place = *byte;
        }
    };
    put(
        0,
        &[
            sys::NDIS_OBJECT_TYPE_DEFAULT,
            sys::NDIS_RECEIVE_HASH_PARAMETERS_REVISION_1,
        ],
    );
    #[expect(clippy::cast_possible_truncation, reason = "20 and 40")]
    let (head, key) = (HEAD as u16, KEY_LEN as u16);
    put(2, &head.to_le_bytes());
    if let Some(parameters) = parameters {
        let flags = sys::NDIS_RECEIVE_HASH_FLAG_ENABLE_HASH;
        put(offset_of!(RawHash, Flags), &flags.to_le_bytes());
        let info = parameters.hash_types | sys::NdisHashFunctionToeplitz;
        put(offset_of!(RawHash, HashInformation), &info.to_le_bytes());
        put(offset_of!(RawHash, HashSecretKeySize), &key.to_le_bytes());
        let offset = u32::from(head);
        put(
            offset_of!(RawHash, HashSecretKeyOffset),
            &offset.to_le_bytes(),
        );
        put(HEAD, &parameters.key);
    }
    answer
}

fn check_hash(info: u32, limits: &RssLimits) -> Result<u32, RssRejection> {
    let types = info & sys::NDIS_HASH_TYPE_MASK;
    let toeplitz = info & sys::NDIS_HASH_FUNCTION_MASK == sys::NdisHashFunctionToeplitz;
    let rest = info & !(sys::NDIS_HASH_TYPE_MASK | sys::NDIS_HASH_FUNCTION_MASK);
    if !toeplitz || rest != 0 || types == 0 || types & !limits.hash_types != 0 {
        return Err(RssRejection::Hash);
    }
    Ok(types)
}

fn read_key(buffer: &[u8]) -> Result<[u8; KEY_LEN], RssRejection> {
    let size = read_u16(buffer, offset_of!(Raw, HashSecretKeySize))?;
    let offset = read_u32(buffer, offset_of!(Raw, HashSecretKeyOffset))?;
    key_at(buffer, size, offset)
}

fn key_at(buffer: &[u8], size: u16, offset: u32) -> Result<[u8; KEY_LEN], RssRejection> {
    let bytes = array_at(buffer, offset, size.into()).ok_or(RssRejection::Key)?;
    bytes.try_into().map_err(|_| RssRejection::Key)
}

fn read_table(
    buffer: &[u8],
    limits: &RssLimits,
    active: &impl Fn(Processor) -> bool,
) -> Result<([Processor; MAX_ENTRIES], usize), RssRejection> {
    let size = read_u16(buffer, offset_of!(Raw, IndirectionTableSize))?;
    let offset = read_u32(buffer, offset_of!(Raw, IndirectionTableOffset))?;
    let bytes = array_at(buffer, offset, size.into()).ok_or(RssRejection::Table)?;
    let (elements, rest) = bytes.as_chunks::<4>();
    let entries = elements.len();
    let limit = limits.entries.min(MAX_ENTRIES);
    if !rest.is_empty() || !entries.is_power_of_two() || entries > limit {
        return Err(RssRejection::Table);
    }
    let mut table = [Processor::default(); MAX_ENTRIES];
    for (slot, bytes) in table.iter_mut().zip(elements) {
        *slot = processor(*bytes);
        if !active(*slot) {
            return Err(RssRejection::Processor);
        }
    }
    Ok((table, entries))
}

/// A `PROCESSOR_NUMBER`; its reserved byte is ignored.
fn processor([g0, g1, number, _]: [u8; 4]) -> Processor {
    Processor {
        group: u16::from_le_bytes([g0, g1]),
        number,
    }
}

/// Bytes of an array behind the fixed part. An array that overlaps the fixed part is refused by
/// nobody else, and does no harm here: it is only read.
fn array_at(buffer: &[u8], offset: u32, len: usize) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    buffer.get(start..start.checked_add(len)?)
}

fn read<const N: usize>(buffer: &[u8], at: usize) -> Result<[u8; N], RssRejection> {
    let end = at.saturating_add(N);
    let bytes = buffer.get(at..end).ok_or(RssRejection::TooShort(end))?;
    bytes.try_into().map_err(|_| RssRejection::TooShort(end))
}

fn read_u16(buffer: &[u8], at: usize) -> Result<u16, RssRejection> {
    read(buffer, at).map(u16::from_le_bytes)
}

fn read_u32(buffer: &[u8], at: usize) -> Result<u32, RssRejection> {
    read(buffer, at).map(u32::from_le_bytes)
}

fn read_processor(buffer: &[u8], at: usize) -> Result<Processor, RssRejection> {
    read(buffer, at).map(processor)
}

#[cfg(test)]
#[path = "rss_tests.rs"]
mod tests;
