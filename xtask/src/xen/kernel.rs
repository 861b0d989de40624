//! What QEMU boots: Xen as a multiboot ELF file, and dom0's kernel without its compression (an
//! emulated processor is slow at it).

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use super::packages::Root;
use crate::process;

/// Offsets in the header of an x86 kernel image (the kernel's `Documentation/arch/x86/boot.rst`).
const SETUP_SECTORS: usize = 0x1f1;
const SIGNATURE: usize = 0x202;
const PAYLOAD_OFFSET: usize = 0x248;
const PAYLOAD_LENGTH: usize = 0x24c;

const SECTOR: usize = 512;

/// Decompresses Xen into `folder`.
///
/// # Errors
/// No package brought it, or `gzip` fails.
pub(super) fn xen(root: &Root, folder: &Path) -> Result<PathBuf> {
    let packed = root.only("boot", "xen-", ".gz")?;
    let path = folder.join("xen.elf");
    decompress(&mut process::program("gzip"), &fs::read(packed)?, &path)?;
    Ok(path)
}

/// dom0's kernel as an ELF file, taken out of the compressed image into `folder`.
///
/// # Errors
/// No package brought it, or it is compressed in an unknown way.
pub(super) fn linux(root: &Root, folder: &Path) -> Result<PathBuf> {
    let image = fs::read(image(root)?)?;
    let path = folder.join("vmlinux");
    let payload = payload(&image)?;
    let mut tool = if payload.starts_with(b"\xfd7zXZ\0") {
        let mut xz = process::program("xz");
        xz.arg("--single-stream");
        xz
    } else if payload.starts_with(&[0x1f, 0x8b]) {
        process::program("gzip")
    } else if payload.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        process::program("zstd")
    } else {
        bail!("the kernel is compressed in an unknown way");
    };
    decompress(&mut tool, payload, &path)?;
    Ok(path)
}

/// The compressed kernel image.
///
/// # Errors
/// No package brought it.
pub(super) fn image(root: &Root) -> Result<PathBuf> {
    root.only("boot", "vmlinuz-", "")
}

/// The compressed kernel in its image, without the four bytes of its size at the end.
fn payload(image: &[u8]) -> Result<&[u8]> {
    let word = |at: usize| -> Result<usize> {
        let bytes = image.get(at..at + 4).context("the image is too short")?;
        Ok(u32::from_le_bytes(bytes.try_into()?) as usize)
    };
    if image.get(SIGNATURE..SIGNATURE + 4) != Some(b"HdrS".as_slice()) {
        bail!("no kernel image");
    }
    let setup = image.get(SETUP_SECTORS).copied().unwrap_or(0);
    let start = (usize::from(setup) + 1) * SECTOR + word(PAYLOAD_OFFSET)?;
    let length = word(PAYLOAD_LENGTH)?;
    image
        .get(start..start + length.saturating_sub(4))
        .context("the image is cut short")
}

fn decompress(tool: &mut Command, packed: &[u8], path: &Path) -> Result<()> {
    let source = path.with_extension("packed");
    fs::write(&source, packed)?;
    let status = tool
        .args(["--decompress", "--stdout"])
        .stdin(fs::File::open(&source)?)
        .stdout(fs::File::create(path)?)
        .stderr(Stdio::inherit())
        .status()
        .with_context(|| format!("{tool:?}"))?;
    fs::remove_file(&source)?;
    if !status.success() {
        bail!("{tool:?}: {status}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::payload;

    #[test]
    fn the_payload_is_found() {
        let mut image = vec![0; 4096];
        image[0x1f1] = 1;
        image[0x202..0x206].copy_from_slice(b"HdrS");
        image[0x248] = 16;
        image[0x24c] = 12;
        image[1040..1048].copy_from_slice(b"payload!");
        assert_eq!(payload(&image).unwrap(), b"payload!");
        assert!(payload(&image[..100]).is_err());
    }
}
