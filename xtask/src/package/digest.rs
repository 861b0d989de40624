//! The hashes by which a catalog names its members.

use anyhow::{Context, Result, bail, ensure};
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// What kind of file a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// PE image, hashed without what signing changes.
    Image,
    /// Any other file, hashed whole.
    Flat,
}

/// Both hashes of a file: the first is the tag that older look-ups use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hashes {
    pub(crate) sha1: [u8; 20],
    pub(crate) sha256: [u8; 32],
}

/// Hashes a file as its kind asks for.
///
/// # Errors
/// An image is none.
pub(crate) fn hashes(subject: Subject, file: &[u8]) -> Result<Hashes> {
    match subject {
        Subject::Flat => Ok(flat(file)),
        Subject::Image => Ok(of_parts(&signed_parts(file)?)),
    }
}

/// Hashes all of `bytes`.
pub(crate) fn flat(bytes: &[u8]) -> Hashes {
    of_parts(&[bytes])
}

fn of_parts(parts: &[&[u8]]) -> Hashes {
    let (mut sha1, mut sha256) = (Sha1::new(), Sha256::new());
    for part in parts {
        sha1.update(part);
        sha256.update(part);
    }
    Hashes {
        sha1: sha1.finalize().into(),
        sha256: sha256.finalize().into(),
    }
}

/// The parts of an image that Authenticode hashes: all but the checksum, the directory entry of
/// the certificate table and that table (Microsoft, "Windows Authenticode Portable Executable
/// Signature Format").
fn signed_parts(image: &[u8]) -> Result<Vec<&[u8]>> {
    const CHECKSUM: usize = 64;
    const CERTIFICATE_TABLE: usize = 112 + 4 * 8;
    let pe = dword(image, 0x3C)?;
    let optional = pe + 24;
    ensure!(
        image.get(..2) == Some(b"MZ") && image.get(pe..pe + 4) == Some(b"PE\0\0"),
        "not a PE image"
    );
    ensure!(
        image.get(optional..optional + 2) == Some(&[0x0B, 0x02]),
        "not a 64-bit image"
    );
    let entry = optional + CERTIFICATE_TABLE;
    let (start, length) = match (dword(image, entry)?, dword(image, entry + 4)?) {
        (0, 0) => (image.len(), 0),
        table => table,
    };
    // Otherwise signing pads the file, and the hash is no longer that of the file at hand.
    if !image.len().is_multiple_of(8) || start + length != image.len() {
        bail!("the certificate table is not the end of the image, or the size no multiple of 8");
    }
    let checksum = optional + CHECKSUM;
    [
        image.get(..checksum),
        image.get(checksum + 4..entry),
        image.get(entry + 8..start),
    ]
    .into_iter()
    .collect::<Option<Vec<_>>>()
    .context("the image is cut short")
}

fn dword(image: &[u8], at: usize) -> Result<usize> {
    let bytes = image
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .context("the image is cut short")?;
    Ok(usize::try_from(u32::from_le_bytes(*bytes))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Headers, and `body` behind them.
    fn image(body: &[u8]) -> Vec<u8> {
        let mut image = vec![0; 0x200];
        image[..2].copy_from_slice(b"MZ");
        image[0x3C] = 0x80;
        image[0x80..0x84].copy_from_slice(b"PE\0\0");
        image[0x98..0x9A].copy_from_slice(&[0x0B, 0x02]);
        image.extend(body);
        image
    }

    fn hash(image: &[u8]) -> [u8; 32] {
        hashes(Subject::Image, image).unwrap().sha256
    }

    #[test]
    fn what_signing_changes_is_left_out() {
        let before = image(&[5; 16]);
        let mut after = before.clone();
        after[0x98 + 64..][..4].copy_from_slice(&[1, 2, 3, 4]);
        after[0x98 + 144..][..8].copy_from_slice(&[0x10, 2, 0, 0, 24, 0, 0, 0]);
        after.extend([9; 24]);
        assert_eq!(hash(&before), hash(&after));
    }

    #[test]
    fn every_other_byte_counts() {
        let original = image(&[5; 16]);
        let left_out = |at: usize| (0xD8..0xDC).contains(&at) || (0x128..0x130).contains(&at);
        for at in (0x84..original.len()).filter(|at| !left_out(*at) && !(0x98..0x9A).contains(at)) {
            let mut changed = original.clone();
            changed[at] ^= 1;
            assert_ne!(hash(&original), hash(&changed), "{at:#x}");
        }
    }

    #[test]
    fn broken_images_are_refused() {
        let good = image(&[5; 16]);
        for length in [0, 1, 0x3F, 0x81, 0x99, 0x12F] {
            assert!(hashes(Subject::Image, &good[..length]).is_err(), "{length}");
        }
        assert!(hashes(Subject::Image, &image(&[5; 15])).is_err());
        let mut table_elsewhere = good;
        table_elsewhere[0x98 + 144..][..8].copy_from_slice(&[0, 2, 0, 0, 8, 0, 0, 0]);
        assert!(hashes(Subject::Image, &table_elsewhere).is_err());
    }

    #[test]
    fn other_files_are_hashed_whole() {
        // The test vectors of FIPS 180 for "abc".
        let found = hashes(Subject::Flat, b"abc").unwrap();
        assert_eq!(found.sha1[..4], [0xA9, 0x99, 0x3E, 0x36]);
        assert_eq!(found.sha256[..4], [0xBA, 0x78, 0x16, 0xBF]);
    }
}
