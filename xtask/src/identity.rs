//! Gives an image and its PDB an identity that depends on the code alone.
//!
//! The linker names a build by a hash of the PDB, which holds the paths of this machine and a random
//! folder name of this run. That name (the GUID in the debug directory, and the time stamps that
//! `/BREPRO` sets to a hash) is replaced by a hash of the image without it, in the image and in the
//! PDB, so that a debugger still finds one by the other.
//!
//! Layouts: PE format (optional header, debug directory); PDB: MSF 7.00 and its info stream, as
//! LLVM's "The MSF File Format" and "The PDB Info Stream" describe them.

use std::{fs, ops::Range, path::Path};

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};

/// Offset in the image of the PE header's own offset.
const PE_OFFSET: usize = 0x3c;
/// Offsets from the PE signature.
const TIME_STAMP: usize = 8;
const SECTION_COUNT: usize = 6;
const OPTIONAL_SIZE: usize = 20;
const OPTIONAL: usize = 24;
const CHECKSUM: usize = OPTIONAL + 64;
/// Data directory 6 of a PE32+ image: the debug directory.
const DEBUG_DIRECTORY: usize = OPTIONAL + 112 + 6 * 8;
const SECTION_SIZE: usize = 40;
const DEBUG_ENTRY_SIZE: usize = 28;
const CODE_VIEW: u32 = 2;

/// First bytes of a PDB.
const MSF_MAGIC: &[u8] = b"Microsoft C/C++ MSF 7.00\r\n\x1aDS\0\0\0";

/// Rewrites the identity of `image` and of `pdb`, in place.
///
/// # Errors
/// A file is not what the linker writes.
pub(crate) fn rewrite(image: &Path, pdb: &Path) -> Result<()> {
    let mut bytes = fs::read(image)?;
    let places = Places::of(&bytes).with_context(|| format!("{}", image.display()))?;
    let identity = places.identify(&mut bytes)?;
    fs::write(image, &bytes)?;

    let mut symbols = fs::read(pdb)?;
    identity
        .put_into_pdb(&mut symbols)
        .with_context(|| format!("{}", pdb.display()))?;
    fs::write(pdb, &symbols)?;
    Ok(())
}

/// What names a build.
struct Identity {
    time_stamp: [u8; 4],
    guid: [u8; 16],
}

/// Where an image holds its identity: file offsets.
struct Places {
    time_stamps: Vec<usize>,
    guid: usize,
    checksum: usize,
}

impl Places {
    fn of(image: &[u8]) -> Result<Self> {
        let pe = number(image, PE_OFFSET)?;
        ensure!(image.get(pe..pe + 4) == Some(b"PE\0\0"), "not a PE image");
        let debug_rva = number(image, pe + DEBUG_DIRECTORY)?;
        let debug_size = number(image, pe + DEBUG_DIRECTORY + 4)?;
        let debug = file_offset(image, pe, debug_rva)?;
        let mut time_stamps = vec![pe + TIME_STAMP];
        let mut guid = None;
        for entry in (debug..debug + debug_size).step_by(DEBUG_ENTRY_SIZE) {
            time_stamps.push(entry + 4);
            if number(image, entry + 12)? == CODE_VIEW as usize {
                let data = number(image, entry + 24)?;
                ensure!(
                    image.get(data..data + 4) == Some(b"RSDS"),
                    "unknown CodeView record"
                );
                guid = Some(data + 4);
            }
        }
        let guid = guid.context("no CodeView entry in the debug directory")?;
        Ok(Self {
            time_stamps,
            guid,
            checksum: pe + CHECKSUM,
        })
    }

    /// Computes the identity from all other bytes and writes it, with a new checksum.
    fn identify(&self, image: &mut [u8]) -> Result<Identity> {
        for &at in &self.time_stamps {
            put(image, at, &[0; 4])?;
        }
        put(image, self.guid, &[0; 16])?;
        put(image, self.checksum, &[0; 4])?;
        let hash = Sha256::digest(&*image);
        let (guid, rest) = hash.split_first_chunk().context("a hash is 32 bytes")?;
        let time_stamp = *rest.first_chunk().context("a hash is 32 bytes")?;
        let identity = Identity {
            time_stamp,
            guid: *guid,
        };
        for &at in &self.time_stamps {
            put(image, at, &identity.time_stamp)?;
        }
        put(image, self.guid, &identity.guid)?;
        let checksum = checksum(image);
        put(image, self.checksum, &checksum.to_le_bytes())?;
        Ok(identity)
    }
}

impl Identity {
    /// Signature and GUID in the info stream, which is stream 1.
    fn put_into_pdb(&self, pdb: &mut [u8]) -> Result<()> {
        ensure!(pdb.starts_with(MSF_MAGIC), "not a PDB");
        let block_size = number(pdb, 32)?;
        let directory_bytes = number(pdb, 44)?;
        let map = number(pdb, 52)?
            .checked_mul(block_size)
            .context("bad block map")?;
        ensure!(
            block_size >= 512 && directory_bytes >= 12,
            "bad PDB directory"
        );
        // The directory is itself split into blocks: read a number of it through the map.
        let directory = |index: usize| -> Result<usize> {
            let at = index * 4;
            let block = number(pdb, map + at / block_size * 4)?;
            number(pdb, block * block_size + at % block_size)
        };
        let streams = directory(0)?;
        ensure!(streams > 1 && directory(2)? >= 28, "no info stream");
        let blocks_before = directory(1)?.div_ceil(block_size);
        let info = directory(1 + streams + blocks_before)? * block_size;
        put(pdb, info + 4, &self.time_stamp)?;
        put(pdb, info + 12, &self.guid)
    }
}

/// File offset of the relative virtual address `rva`.
fn file_offset(image: &[u8], pe: usize, rva: usize) -> Result<usize> {
    let sections = pe + OPTIONAL + half(image, pe + OPTIONAL_SIZE)?;
    for index in 0..half(image, pe + SECTION_COUNT)? {
        let section = sections + index * SECTION_SIZE;
        let start = number(image, section + 12)?;
        let size = number(image, section + 16)?;
        if (start..start + size).contains(&rva) {
            return Ok(number(image, section + 20)? + (rva - start));
        }
    }
    bail!("no section holds address {rva:#x}")
}

/// The image checksum: 16-bit one's complement sum of the file, plus its length.
fn checksum(image: &[u8]) -> u32 {
    let mut sum = 0_u32;
    for pair in image.chunks(2) {
        let low = u32::from(pair.first().copied().unwrap_or(0));
        let high = u32::from(pair.get(1).copied().unwrap_or(0));
        sum += low | high << 8;
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum.wrapping_add(u32::try_from(image.len()).unwrap_or(u32::MAX))
}

fn number(bytes: &[u8], at: usize) -> Result<usize> {
    let field = bytes
        .get(at..)
        .and_then(<[u8]>::first_chunk)
        .context("the file is cut short")?;
    Ok(u32::from_le_bytes(*field) as usize)
}

fn half(bytes: &[u8], at: usize) -> Result<usize> {
    let field = bytes
        .get(at..)
        .and_then(<[u8]>::first_chunk)
        .context("the file is cut short")?;
    Ok(usize::from(u16::from_le_bytes(*field)))
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) -> Result<()> {
    let range = Range {
        start: at,
        end: at + value.len(),
    };
    bytes
        .get_mut(range)
        .context("the file is cut short")?
        .copy_from_slice(value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An image of one section with a debug directory of one `CodeView` entry; `seed` is what a
    /// linker's own identity would differ in.
    fn image(code: u8, seed: u8) -> Vec<u8> {
        let mut image = vec![0; 0x400];
        let pe: u32 = 0x80;
        put(&mut image, PE_OFFSET, &pe.to_le_bytes()).unwrap();
        let pe = pe as usize;
        put(&mut image, pe, b"PE\0\0").unwrap();
        put(&mut image, pe + SECTION_COUNT, &[1, 0]).unwrap();
        put(&mut image, pe + TIME_STAMP, &[seed; 4]).unwrap();
        put(&mut image, pe + OPTIONAL_SIZE, &[240, 0]).unwrap();
        put(&mut image, pe + DEBUG_DIRECTORY, &0x1000_u32.to_le_bytes()).unwrap();
        put(&mut image, pe + DEBUG_DIRECTORY + 4, &28_u32.to_le_bytes()).unwrap();
        let section = pe + OPTIONAL + 240;
        for (field, value) in [(12, 0x1000_u32), (16, 0x200), (20, 0x200)] {
            put(&mut image, section + field, &value.to_le_bytes()).unwrap();
        }
        put(&mut image, 0x204, &[seed; 4]).unwrap();
        put(&mut image, 0x20c, &CODE_VIEW.to_le_bytes()).unwrap();
        put(&mut image, 0x218, &0x240_u32.to_le_bytes()).unwrap();
        put(&mut image, 0x240, b"RSDS").unwrap();
        put(&mut image, 0x244, &[seed; 16]).unwrap();
        image[0x300] = code;
        image
    }

    fn identified(mut image: Vec<u8>) -> (Vec<u8>, Identity) {
        let identity = Places::of(&image).unwrap().identify(&mut image).unwrap();
        (image, identity)
    }

    #[test]
    fn the_linkers_identity_does_not_matter_and_the_code_does() {
        let (first, _) = identified(image(0xc3, 1));
        let (second, _) = identified(image(0xc3, 2));
        let (other, _) = identified(image(0xcc, 1));
        assert_eq!(first, second);
        assert_ne!(first[0x244..0x254], other[0x244..0x254]);
    }

    #[test]
    fn the_checksum_is_that_of_the_whole_image() {
        let (mut image, _) = identified(image(0xc3, 1));
        let at = 0x80 + CHECKSUM;
        let stated = number(&image, at).unwrap();
        put(&mut image, at, &[0; 4]).unwrap();
        assert_eq!(stated, checksum(&image) as usize);
        // 0x0102 + 0x00ff, then the length of 3.
        assert_eq!(checksum(&[0x02, 0x01, 0xff]), 0x0201 + 3);
    }

    #[test]
    fn the_pdb_gets_the_same_guid() {
        // Blocks of 512: 0 header, 1 block map, 2 directory, 3 stream 0, 4 the info stream.
        let mut pdb = vec![0; 5 * 512];
        pdb[..MSF_MAGIC.len()].copy_from_slice(MSF_MAGIC);
        for (at, value) in [(32, 512_u32), (44, 20), (52, 1), (512, 2)] {
            put(&mut pdb, at, &value.to_le_bytes()).unwrap();
        }
        for (index, value) in [2_u32, 100, 28, 3, 4].into_iter().enumerate() {
            put(&mut pdb, 1024 + index * 4, &value.to_le_bytes()).unwrap();
        }
        let identity = Identity {
            time_stamp: [7; 4],
            guid: [9; 16],
        };
        identity.put_into_pdb(&mut pdb).unwrap();
        assert_eq!(pdb[2048 + 4..2048 + 8], [7; 4]);
        assert_eq!(pdb[2048 + 12..2048 + 28], [9; 16]);
    }

    #[test]
    fn files_of_another_kind_are_refused() {
        assert!(Places::of(&[0; 0x100]).is_err());
        let identity = Identity {
            time_stamp: [0; 4],
            guid: [0; 16],
        };
        assert!(identity.put_into_pdb(&mut [0; 64]).is_err());
    }
}
