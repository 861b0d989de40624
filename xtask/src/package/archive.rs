//! The zip.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use zip::{CompressionMethod, DateTime, ZipWriter, write::SimpleFileOptions};

use super::der;

/// Writes `files` into a new zip at `to`, each under its own name and dated `seconds` after 1970.
///
/// # Errors
/// A file cannot be read or the zip not be written.
pub(crate) fn write(to: &Path, files: &[PathBuf], seconds: i64) -> Result<()> {
    let (year, month, day) = der::date(seconds.div_euclid(86_400));
    let time = seconds.rem_euclid(86_400);
    let date = DateTime::from_date_and_time(
        u16::try_from(year)?,
        u8::try_from(month)?,
        u8::try_from(day)?,
        u8::try_from(time / 3600)?,
        u8::try_from(time / 60 % 60)?,
        u8::try_from(time % 60)?,
    )
    .context("a zip cannot hold a date before 1980")?;
    // Stored, not compressed: the package is small, and no compressor's version shows in it.
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(date)
        .unix_permissions(0o644);
    let mut zip = ZipWriter::new(File::create(to)?);
    for file in files {
        let name = file.file_name().context("a file without name")?;
        zip.start_file(name.to_string_lossy(), options)?;
        let content = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        zip.write_all(&content)?;
    }
    zip.finish()?;
    Ok(())
}
