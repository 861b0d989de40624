//! Makes what people install: INF files, catalogs, signatures, test certificate, zip.

mod archive;
mod catalog;
mod der;
mod digest;
mod revision;
mod signer;
#[cfg(test)]
mod tests;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use clap::Args;

use self::{catalog::Member, digest::Subject, revision::Revision, signer::Signer};
use crate::{
    build::{self, DRIVERS},
    process,
    setup::{self, Purpose},
};

/// Name of the zip in the package's folder.
pub(crate) const ZIP: &str = "netfront-x64.zip";

/// Options of `cargo xtask package`.
#[derive(Args)]
pub(crate) struct Options {
    /// Sign with this certificate: a PEM file with the signer's first, then its issuers, up to the
    /// root if this system does not know that. Without it a test certificate is made, which is
    /// kept in target/signing.
    #[arg(long, requires = "key")]
    cert: Option<PathBuf>,
    /// The certificate's RSA key, a PEM file.
    #[arg(long, requires = "cert")]
    key: Option<PathBuf>,
    /// Put the package here, and leave target/package as it is.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

/// `cargo xtask package`.
///
/// # Errors
/// Set-up, build or signing failed, or a signature made does not verify.
pub(crate) fn run(options: &Options) -> Result<()> {
    setup::run(Purpose::Package)?;
    let signer = match (&options.cert, &options.key) {
        (Some(certificate), Some(key)) => Signer::given(certificate, key, &signing_dir())?,
        _ => test_signer()?,
    };
    let (root, target) = (process::root(), process::target_dir());
    let folder = if let Some(out) = &options.out {
        build::compile(&root, &target)?;
        let out = std::path::absolute(out)?;
        build::collect(&target, &out)?;
        out
    } else {
        build::drivers(&root, &target)?;
        build::package_dir()
    };
    for file in assemble(&folder, &signer)? {
        println!("{} ({} bytes)", file.display(), fs::metadata(&file)?.len());
    }
    Ok(())
}

/// The test certificate, made at the first use.
///
/// # Errors
/// It cannot be made.
pub(crate) fn test_signer() -> Result<Signer> {
    Signer::test(&signing_dir())
}

/// Where the test certificate is kept.
fn signing_dir() -> PathBuf {
    process::target_dir().join("signing")
}

/// Makes the built drivers in `folder` a package there; gives all its files, the zip last.
///
/// # Errors
/// A file cannot be made, or a signature does not verify.
pub(crate) fn assemble(folder: &Path, signer: &Signer) -> Result<Vec<PathBuf>> {
    let root = process::root();
    let revision = Revision::of(&root)?;
    eprintln!("==> packaging {}", revision.driver_ver());
    let mut files = Vec::new();
    for driver in DRIVERS {
        files.extend(assemble_driver(folder, driver, &root, signer, &revision)?);
    }
    let certificate = folder.join("netfront-test.cer");
    if signer.export_test_certificate(&certificate)? {
        files.push(certificate);
    }
    for (from, name) in [
        ("docs/installing.md", "installing.md"),
        ("inf/Move-AddressSettings.ps1", "Move-AddressSettings.ps1"),
        ("LICENSE-MIT", "LICENSE-MIT"),
        ("LICENSE-APACHE", "LICENSE-APACHE"),
    ] {
        let to = folder.join(name);
        fs::copy(root.join(from), &to).with_context(|| format!("cannot copy {from}"))?;
        files.push(to);
    }
    let zip = folder.join(ZIP);
    archive::write(&zip, &files, revision.seconds)?;
    files.push(zip);
    Ok(files)
}

/// One driver: its INF file stamped, its image signed, and both in a signed catalog.
fn assemble_driver(
    folder: &Path,
    driver: &str,
    root: &Path,
    signer: &Signer,
    revision: &Revision,
) -> Result<[PathBuf; 3]> {
    let file = |extension| folder.join(driver).with_extension(extension);
    let (inf, image, list) = (file("inf"), file("sys"), file("cat"));
    let source = root.join("inf").join(driver).with_extension("inf");
    let text =
        fs::read_to_string(&source).with_context(|| format!("cannot read {}", source.display()))?;
    let stamped = revision
        .stamp(&text)
        .with_context(|| source.display().to_string())?;
    fs::write(&inf, stamped)?;

    signer.sign(&image, revision.seconds)?;
    let members = [
        member(&inf, Subject::Flat)?,
        member(&image, Subject::Image)?,
    ];
    fs::write(&list, catalog::unsigned(&members, revision.seconds))?;
    signer.sign(&list, revision.seconds)?;
    signer.verify(&image, &list)?;
    Ok([inf, image, list])
}

fn member(file: &Path, subject: Subject) -> Result<Member> {
    let content = fs::read(file)?;
    let name = file.file_name().context("a file without name")?;
    Ok(Member {
        name: name.to_string_lossy().into_owned(),
        subject,
        hashes: digest::hashes(subject, &content).with_context(|| file.display().to_string())?,
    })
}
