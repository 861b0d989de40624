//! Certificates and signatures: openssl makes the test certificate, osslsigncode signs and verifies.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result, bail};

use crate::process;

/// Signing certificate and key, both in PEM files.
#[derive(Debug)]
pub(crate) struct Signer {
    certificate: PathBuf,
    key: PathBuf,
    /// What signatures are verified against.
    trusted: PathBuf,
    test: bool,
}

/// The roots this system knows (Debian: ca-certificates).
const SYSTEM_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The name in the test certificate.
const TEST_NAME: &str = "/CN=netfront test certificate";
/// Like `New-SelfSignedCertificate -Type CodeSigningCert`: no authority, may sign code only.
const TEST_CONFIGURATION: &str = "\
[req]
distinguished_name = name
[name]
[code_signing]
keyUsage = critical, digitalSignature
extendedKeyUsage = codeSigning
subjectKeyIdentifier = hash
";

impl Signer {
    /// The given certificate (the signer's first, then its issuers) and its key. What it is
    /// verified against is kept in `folder`: the certificates given, and the system's roots.
    ///
    /// # Errors
    /// A file cannot be read or is none of its kind, the certificate has expired, or the key is
    /// not RSA or not the certificate's: all of it before anything is built or signed.
    pub(crate) fn given(certificate: &Path, key: &Path, folder: &Path) -> Result<Self> {
        let mut roots = read(certificate)?;
        read(key)?;
        check(certificate, key)?;
        let absolute = |file: &Path| {
            fs::canonicalize(file).with_context(|| format!("cannot read {}", file.display()))
        };
        let (certificate, key) = (absolute(certificate)?, absolute(key)?);
        roots.push(b'\n');
        roots.extend(fs::read(SYSTEM_ROOTS).unwrap_or_default());
        fs::create_dir_all(folder)?;
        let trusted = folder.join("given-and-system.pem");
        fs::write(&trusted, roots)?;
        Ok(Self {
            certificate,
            key,
            trusted,
            test: false,
        })
    }

    /// The test certificate in `folder`, made there if it is missing or about to expire.
    ///
    /// # Errors
    /// openssl failed.
    pub(crate) fn test(folder: &Path) -> Result<Self> {
        let signer = Self {
            certificate: folder.join("test.pem"),
            key: folder.join("test.key"),
            trusted: folder.join("test.pem"),
            test: true,
        };
        if !signer.is_usable()? {
            signer.create(folder)?;
        }
        Ok(signer)
    }

    fn is_usable(&self) -> Result<bool> {
        if !self.certificate.is_file() || !self.key.is_file() {
            return Ok(false);
        }
        let status = process::program("openssl")
            .args(["x509", "-noout", "-checkend", "86400", "-in"])
            .arg(&self.certificate)
            .stdout(Stdio::null())
            .status()
            .context("cannot start openssl")?;
        Ok(status.success())
    }

    fn create(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder)?;
        let configuration = folder.join("test.cnf");
        fs::write(&configuration, TEST_CONFIGURATION)?;
        // RSA: the kernel's loader takes no elliptic curves.
        process::run(
            "making a test certificate",
            process::program("openssl")
                .args(["req", "-x509", "-newkey", "rsa:3072", "-noenc", "-sha256"])
                .args(["-days", "3650", "-subj", TEST_NAME])
                .args(["-extensions", "code_signing", "-config"])
                .arg(&configuration)
                .arg("-keyout")
                .arg(&self.key)
                .arg("-out")
                .arg(&self.certificate)
                .stderr(Stdio::null()),
        )
    }

    /// Writes the test certificate as Windows imports it; a given one is already known to it.
    ///
    /// # Errors
    /// openssl failed.
    pub(crate) fn export_test_certificate(&self, to: &Path) -> Result<bool> {
        if self.test {
            let mut openssl = process::program("openssl");
            openssl.args(["x509", "-outform", "DER", "-in"]);
            openssl.arg(&self.certificate).arg("-out").arg(to);
            quietly(&mut openssl)?;
        }
        Ok(self.test)
    }

    /// Signs an image or a catalog in place. The signature says `seconds` after 1970 as its time.
    ///
    /// # Errors
    /// osslsigncode failed.
    pub(crate) fn sign(&self, file: &Path, seconds: i64) -> Result<()> {
        let signed = file.with_extension("signed");
        if signed.exists() {
            fs::remove_file(&signed)?;
        }
        let mut sign = process::program("osslsigncode");
        sign.args(["sign", "-h", "sha256", "-time", &seconds.to_string()]);
        if file.extension().is_some_and(|extension| extension == "sys") {
            // Hashes of each page, for systems that check pages as they are read.
            sign.arg("-ph");
        }
        sign.arg("-certs").arg(&self.certificate);
        sign.arg("-key").arg(&self.key);
        sign.arg("-in").arg(file).arg("-out").arg(&signed);
        quietly(&mut sign)?;
        fs::rename(&signed, file)?;
        Ok(())
    }

    /// Checks an image's own signature, and that the catalog covers it.
    ///
    /// # Errors
    /// One of the two does not hold.
    pub(crate) fn verify(&self, image: &Path, catalog: &Path) -> Result<()> {
        for by in [None, Some(catalog)] {
            let mut verify = process::program("osslsigncode");
            verify.arg("verify").arg("-CAfile").arg(&self.trusted);
            if let Some(catalog) = by {
                verify.arg("-catalog").arg(catalog);
            }
            quietly(verify.arg("-in").arg(image))?;
        }
        Ok(())
    }
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}

/// Whether the two can sign what Windows takes; openssl judges.
fn check(certificate: &Path, key: &Path) -> Result<()> {
    let (of_certificate, of_key) = (certificate.display(), key.display());
    let Some(public) = openssl(&["x509", "-noout", "-pubkey", "-in"], certificate)? else {
        bail!("{of_certificate}: no certificate in PEM form");
    };
    // Without -passin openssl would ask for the password.
    let Some(own) = openssl(&["pkey", "-passin", "pass:", "-pubout", "-in"], key)? else {
        bail!("{of_key}: no private key in PEM form, or one with a password");
    };
    // The kernel's loader takes no elliptic curves.
    if openssl(&["rsa", "-passin", "pass:", "-noout", "-in"], key)?.is_none() {
        bail!("{of_key}: not an RSA key");
    }
    if public != own {
        bail!("{of_key} is not the key of the certificate in {of_certificate}");
    }
    if openssl(&["x509", "-noout", "-checkend", "0", "-in"], certificate)?.is_none() {
        bail!("{of_certificate}: the certificate has expired");
    }
    Ok(())
}

/// What openssl prints about a file; none when it says no.
fn openssl(arguments: &[&str], file: &Path) -> Result<Option<Vec<u8>>> {
    let output = process::program("openssl")
        .args(arguments)
        .arg(std::path::absolute(file)?)
        .output()
        .context("cannot start openssl")?;
    Ok(output.status.success().then_some(output.stdout))
}

/// Runs a program whose output matters only when it fails.
fn quietly(command: &mut std::process::Command) -> Result<()> {
    let output = command
        .output()
        .with_context(|| format!("cannot start {command:?}"))?;
    if !output.status.success() {
        bail!(
            "{command:?} failed:\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}
