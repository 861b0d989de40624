//! The debug directory: name of the program database, and reproducible time stamps.

use object::LittleEndian as LE;
use object::read::pe::ImageNtHeaders;

use super::{Check, Findings};
use crate::image::{Directory, Image};

/// Size of `IMAGE_DEBUG_DIRECTORY`.
const ENTRY_SIZE: usize = 28;
const TYPE_CODEVIEW: u32 = 2;
const TYPE_REPRO: u32 = 16;
/// Signature, GUID and age before the name in a `RSDS` record.
const NAME_OFFSET: usize = 4 + 16 + 4;

pub(super) fn check(image: &Image<'_>, findings: &mut Findings) {
    let entries = entries(image);
    let names: Vec<String> = entries
        .iter()
        .filter(|entry| entry.kind == TYPE_CODEVIEW)
        .filter_map(|entry| pdb_name(entry.data))
        .collect();
    findings.require(!names.is_empty(), Check::PdbName, || {
        "no CodeView record".to_owned()
    });
    for name in names {
        let plain = !name.contains(['/', '\\', ':']);
        let is_pdb = name
            .strip_suffix(".pdb")
            .is_some_and(|stem| !stem.is_empty());
        findings.require(plain && is_pdb, Check::PdbName, || format!("`{name}`"));
    }
    let stamp = image
        .file
        .nt_headers()
        .file_header()
        .time_date_stamp
        .get(LE);
    let repro = entries.iter().any(|entry| entry.kind == TYPE_REPRO);
    findings.require(repro || stamp == 0, Check::Timestamp, || {
        format!("time stamp {stamp:#x} without a Repro entry in the debug directory")
    });
}

struct Entry<'a> {
    kind: u32,
    data: &'a [u8],
}

fn entries<'a>(image: &Image<'a>) -> Vec<Entry<'a>> {
    let Some((rva, size)) = image.directory(Directory::Debug) else {
        return Vec::new();
    };
    let Some(bytes) = image.read(rva, size as usize) else {
        return Vec::new();
    };
    let entry = |bytes: &[u8; ENTRY_SIZE]| {
        let (words, _) = bytes.as_chunks::<4>();
        let word = |index: usize| words.get(index).map_or(0, |word| u32::from_le_bytes(*word));
        let (kind, length, rva) = (word(3), word(4), word(5));
        Entry {
            kind,
            data: image.read(rva, length as usize).unwrap_or_default(),
        }
    };
    let (entries, _) = bytes.as_chunks::<ENTRY_SIZE>();
    entries.iter().map(entry).collect()
}

fn pdb_name(record: &[u8]) -> Option<String> {
    let text = record.strip_prefix(b"RSDS")?.get(NAME_OFFSET - 4..)?;
    let end = text.iter().position(|byte| *byte == 0)?;
    Some(String::from_utf8_lossy(&text[..end]).into_owned())
}
