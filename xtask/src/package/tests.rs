//! Packages of the built images, signed by different people at different times.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::*;

/// An empty folder of this test's own.
fn scratch(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("netfront-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// A certificate and key of somebody's own.
fn somebody(folder: &Path) -> (PathBuf, PathBuf) {
    let (certificate, key) = (folder.join("own.pem"), folder.join("own.key"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-noenc", "-sha256"])
        .args([
            "-subj",
            "/CN=somebody",
            "-addext",
            "extendedKeyUsage=codeSigning",
        ])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .stderr(Stdio::null())
        .status();
    assert!(made.is_ok_and(|status| status.success()));
    (certificate, key)
}

/// The built images, packaged in `folder`.
fn packaged(folder: &Path, signer: &Signer) -> Vec<PathBuf> {
    for driver in DRIVERS {
        let image = build::package_dir().join(driver).with_extension("sys");
        let to = folder.join(driver).with_extension("sys");
        fs::copy(&image, to).expect("run: cargo xtask build");
    }
    assemble(folder, signer).unwrap()
}

fn names(files: &[PathBuf]) -> Vec<String> {
    files
        .iter()
        .map(|file| file.file_name().unwrap().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn packages_by_two_signers_differ_only_in_their_signatures() {
    let folder = scratch("two-signers");
    let (ours, theirs) = (folder.join("ours"), folder.join("theirs"));
    fs::create_dir_all(&ours).unwrap();
    fs::create_dir_all(&theirs).unwrap();
    let test = Signer::test(&folder.join("signing")).unwrap();
    let (certificate, key) = somebody(&folder);
    let own = Signer::given(&certificate, &key, &folder).unwrap();
    let first = packaged(&ours, &test);
    // `assemble` verifies what it signed, by the certificate given.
    let second = packaged(&theirs, &own);

    // The test certificate is for the test signature only.
    let mut without = names(&first);
    without.retain(|name| name != "netfront-test.cer");
    assert_ne!(without, names(&first));
    assert_eq!(without, names(&second));
    for name in without {
        let (a, b) = (
            fs::read(ours.join(&name)).unwrap(),
            fs::read(theirs.join(&name)).unwrap(),
        );
        match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
            "zip" => {}
            "sys" => {
                assert_ne!(a, b, "{name}");
                let hashes = |image: &[u8]| digest::hashes(Subject::Image, image).unwrap();
                assert_eq!(hashes(&a), hashes(&b), "{name}");
            }
            "cat" => {
                assert_ne!(a, b, "{name}");
                assert_eq!(list_of(&a), list_of(&b), "{name}");
            }
            _ => assert_eq!(a, b, "{name}"),
        }
    }

    // Neither is good for those who trust the other.
    for driver in DRIVERS {
        let image = theirs.join(driver).with_extension("sys");
        let catalog = theirs.join(driver).with_extension("cat");
        assert!(own.verify(&image, &catalog).is_ok());
        assert!(test.verify(&image, &catalog).is_err());
    }
    fs::remove_dir_all(folder).unwrap();
}

/// A catalog's list: from its object identifier to the signer's certificates.
fn list_of(catalog: &[u8]) -> &[u8] {
    // 1.3.6.1.4.1.311.10.1.
    const LIST: &[u8] = &[
        0x06, 0x09, 0x2B, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x0A, 0x01,
    ];
    let start = catalog
        .windows(LIST.len())
        .position(|part| part == LIST)
        .expect("a certificate trust list");
    // [0] EXPLICIT with a length of two bytes follows.
    let length = start + LIST.len();
    assert_eq!(catalog[length..length + 2], [0xA0, 0x82]);
    let bytes = usize::from(u16::from_be_bytes([
        catalog[length + 2],
        catalog[length + 3],
    ]));
    &catalog[start..length + 4 + bytes]
}
