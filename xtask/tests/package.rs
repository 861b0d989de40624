//! `cargo xtask package --cert FILE --key FILE` as people call it, with certificates that openssl makes here.
#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const DRIVERS: [&str; 2] = ["xenbus", "netfront"];

/// An empty folder of a test's own.
fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn openssl(arguments: &[&str], folder: &Path) {
    let status = Command::new("openssl")
        .args(arguments)
        .current_dir(folder)
        .stderr(Stdio::null())
        .status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "{arguments:?}: run cargo xtask setup"
    );
}

/// `NAME.pem` and `NAME.key`: a certificate for code signing, and its key.
fn certificate(folder: &Path, name: &str, key: &[&str]) {
    let subject = format!("/CN={name}");
    let (pem, private) = (format!("{name}.pem"), format!("{name}.key"));
    let mut arguments = vec!["req", "-x509", "-noenc", "-sha256", "-newkey"];
    arguments.extend(key);
    arguments.extend(["-subj", &subject, "-addext", "extendedKeyUsage=codeSigning"]);
    arguments.extend(["-keyout", &private, "-out", &pem]);
    openssl(&arguments, folder);
}

const RSA: &[&str] = &["rsa:2048"];

/// Runs the command; whether it ended well, and what it wrote to standard error.
fn package(certificate: &Path, key: &Path, out: &Path) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .arg("package")
        .arg("--cert")
        .arg(certificate)
        .arg("--key")
        .arg(key)
        .arg("--out")
        .arg(out)
        .output()
        .expect("the command starts");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.success(), text)
}

/// Whether osslsigncode accepts an image, by its own signature or by a catalog.
fn accepted(image: &Path, catalog: Option<&Path>, trusted: &Path) -> bool {
    let mut verify = Command::new("osslsigncode");
    verify.arg("verify").arg("-CAfile").arg(trusted);
    if let Some(catalog) = catalog {
        verify.arg("-catalog").arg(catalog);
    }
    let output = verify.arg("-in").arg(image).output();
    output.expect("run cargo xtask setup").status.success()
}

#[test]
fn a_given_certificate_signs_all_of_it() {
    let folder = scratch("given-certificate");
    certificate(&folder, "publisher", RSA);
    certificate(&folder, "stranger", RSA);
    let (trusted, out) = (folder.join("publisher.pem"), folder.join("out"));
    let (success, text) = package(&trusted, &folder.join("publisher.key"), &out);
    assert!(success, "{text}");
    let stranger = folder.join("stranger.pem");
    for driver in DRIVERS {
        let image = out.join(driver).with_extension("sys");
        let catalog = out.join(driver).with_extension("cat");
        for by in [None, Some(&*catalog)] {
            assert!(accepted(&image, by, &trusted), "{driver}");
            assert!(!accepted(&image, by, &stranger), "{driver}");
        }
        // A byte of code is another one.
        let changed = out.join(format!("changed-{driver}.sys"));
        let mut bytes = fs::read(&image).unwrap();
        bytes[0x400] ^= 1;
        fs::write(&changed, bytes).unwrap();
        assert!(!accepted(&changed, None, &trusted), "{driver}");
        assert!(!accepted(&changed, Some(&catalog), &trusted), "{driver}");
        // The name of a member in the catalog is another one.
        let mut list = fs::read(&catalog).unwrap();
        let name: Vec<u8> = format!("{driver}.inf")
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let at = list.windows(name.len()).position(|part| part == name);
        list[at.expect("the INF file is a member")] ^= 1;
        let changed = out.join(format!("changed-{driver}.cat"));
        fs::write(&changed, list).unwrap();
        assert!(!accepted(&image, Some(&changed), &trusted), "{driver}");
    }
    // Nobody needs a test certificate with it, and no key leaves the folder of the publisher.
    assert!(!out.join("netfront-test.cer").exists());
    let files = fs::read_dir(&out).unwrap();
    for file in files {
        let name = file.unwrap().file_name();
        assert!(!name.to_string_lossy().contains("key"), "{name:?}");
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn wrong_certificates_and_keys_are_one_line_each() {
    let folder = scratch("wrong-certificates");
    certificate(&folder, "publisher", RSA);
    certificate(&folder, "other", RSA);
    certificate(
        &folder,
        "curve",
        &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    );
    let locked = "pkey -in publisher.key -aes256 -passout pass:secret -out locked.key";
    openssl(&locked.split(' ').collect::<Vec<_>>(), &folder);
    let request = "req -new -noenc -newkey rsa:2048 -subj /CN=old -keyout old.key -out old.csr";
    openssl(&request.split(' ').collect::<Vec<_>>(), &folder);
    let sign = "x509 -req -in old.csr -signkey old.key -days -1 -out old.pem";
    openssl(&sign.split(' ').collect::<Vec<_>>(), &folder);
    fs::write(folder.join("text"), "neither").unwrap();
    fs::create_dir(folder.join("folder")).unwrap();
    let out = folder.join("out");
    for (certificate, key, why) in [
        ("nowhere", "publisher.key", "cannot read"),
        ("publisher.pem", "nowhere", "cannot read"),
        ("folder", "publisher.key", "cannot read"),
        ("publisher.pem", "folder", "cannot read"),
        ("text", "publisher.key", "no certificate in PEM form"),
        (
            "publisher.key",
            "publisher.key",
            "no certificate in PEM form",
        ),
        ("publisher.pem", "text", "no private key in PEM form"),
        (
            "publisher.pem",
            "publisher.pem",
            "no private key in PEM form",
        ),
        ("publisher.pem", "locked.key", "with a password"),
        ("publisher.pem", "other.key", "is not the key of"),
        ("curve.pem", "curve.key", "not an RSA key"),
        ("old.pem", "old.key", "has expired"),
    ] {
        let (success, text) = package(&folder.join(certificate), &folder.join(key), &out);
        assert!(!success, "{certificate}, {key}");
        let errors: Vec<&str> = text
            .lines()
            .skip_while(|line| !line.starts_with("error: "))
            .collect();
        assert!(
            matches!(errors[..], [line] if line.contains(why)),
            "{certificate}, {key}: {text}"
        );
        assert!(!out.exists(), "nothing is built: {certificate}, {key}");
    }
    // One without the other.
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["package", "--key", "publisher.key"])
        .current_dir(&folder)
        .output()
        .expect("the command starts");
    assert!(!output.status.success());
    fs::remove_dir_all(folder).unwrap();
}
