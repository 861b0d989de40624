//! The package that `cargo xtask package` makes, judged by programs that did not make it:
//! osslsigncode for signatures, openssl for the catalogs' ASN.1.
//!
//! Its folder is `target/package`, or `NETFRONT_PACKAGE_DIR`.
#![forbid(unsafe_code)]

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use inf::{Class, Expected, Inf, lint};
use keywords::TABLE;
use sha2::{Digest, Sha256};
use xenbus_core::enumerate::HARDWARE_IDS;

const DRIVERS: [&str; 2] = ["xenbus", "netfront"];

fn folder() -> PathBuf {
    match std::env::var_os("NETFRONT_PACKAGE_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/package"),
    }
}

fn file(name: &str) -> PathBuf {
    let file = folder().join(name);
    assert!(
        file.is_file(),
        "{}: missing: run cargo xtask package",
        file.display()
    );
    file
}

/// A file of the tests' own.
fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// Output of a program, and whether it ended well.
fn run(command: &mut Command) -> (bool, String) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}: run cargo xtask setup"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.success(), text)
}

/// The package's certificate, as osslsigncode reads it. Each test has its own copy.
fn certificate(test: &str) -> PathBuf {
    let pem = scratch(&format!("{test}.pem"));
    let (success, _) = run(Command::new("openssl")
        .args(["x509", "-inform", "DER", "-in"])
        .arg(file("netfront-test.cer"))
        .arg("-out")
        .arg(&pem));
    assert!(success);
    pem
}

/// Whether osslsigncode accepts an image: by its own signature, or by a catalog.
fn accepted(image: &Path, catalog: Option<&Path>, trusted: &Path) -> bool {
    let mut verify = Command::new("osslsigncode");
    verify.arg("verify").arg("-CAfile").arg(trusted);
    if let Some(catalog) = catalog {
        verify.arg("-catalog").arg(catalog);
    }
    run(verify.arg("-in").arg(image)).0
}

#[test]
fn images_verify_by_their_own_signature_and_by_their_catalog() {
    let trusted = certificate("verify");
    for driver in DRIVERS {
        let image = file(&format!("{driver}.sys"));
        assert!(accepted(&image, None, &trusted), "{driver}.sys");
        let catalog = file(&format!("{driver}.cat"));
        assert!(accepted(&image, Some(&catalog), &trusted), "{driver}.cat");
    }
}

#[test]
fn a_changed_byte_in_an_image_is_refused() {
    let trusted = certificate("changed-image");
    for driver in DRIVERS {
        let catalog = file(&format!("{driver}.cat"));
        let good = fs::read(file(&format!("{driver}.sys"))).unwrap();
        // In the headers (the linker's version), in the first section, near the end of the last.
        let signature = good.len() - certificate_table_length(&good);
        for at in [pe(&good) + 26, 0x400, signature - 0x100] {
            let mut changed = good.clone();
            changed[at] ^= 0x80;
            let image = scratch(&format!("changed-{driver}-{at}.sys"));
            fs::write(&image, changed).unwrap();
            assert!(!accepted(&image, None, &trusted), "{driver}.sys {at:#x}");
            assert!(
                !accepted(&image, Some(&catalog), &trusted),
                "{driver}.cat {at:#x}"
            );
        }
    }
}

#[test]
fn a_changed_byte_in_a_catalog_is_refused() {
    let trusted = certificate("changed-catalog");
    for driver in DRIVERS {
        let image = file(&format!("{driver}.sys"));
        let mut catalog = fs::read(file(&format!("{driver}.cat"))).unwrap();
        // In the name of a member: its hash stays, so only the signature can tell.
        let name: Vec<u8> = format!("{driver}.inf")
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let at = catalog
            .windows(name.len())
            .position(|part| part == name)
            .unwrap();
        catalog[at] ^= 1;
        let changed = scratch(&format!("changed-{driver}.cat"));
        fs::write(&changed, catalog).unwrap();
        assert!(!accepted(&image, Some(&changed), &trusted), "{driver}.cat");
    }
}

#[test]
fn a_catalog_covers_no_other_image_and_no_other_signer_is_trusted() {
    let trusted = certificate("other");
    let image = file("netfront.sys");
    assert!(!accepted(&image, Some(&file("xenbus.cat")), &trusted));
    let stranger = scratch("stranger.pem");
    let (success, _) = run(Command::new("openssl")
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-noenc", "-subj", "/CN=x", "-keyout",
        ])
        .arg(scratch("stranger.key"))
        .arg("-out")
        .arg(&stranger));
    assert!(success);
    assert!(!accepted(&image, None, &stranger));
    assert!(!accepted(&image, Some(&file("netfront.cat")), &stranger));
}

/// Octet strings of a catalog, in hexadecimal, as openssl reads them.
fn octet_strings(catalog: &Path) -> Vec<String> {
    let (success, text) = run(Command::new("openssl")
        .args(["asn1parse", "-inform", "DER", "-in"])
        .arg(catalog));
    assert!(success, "{}", catalog.display());
    text.lines()
        .filter_map(|line| line.split_once("OCTET STRING      [HEX DUMP]:"))
        .map(|(_, hex)| hex.to_owned())
        .collect()
}

#[test]
fn inf_files_are_members_of_their_catalogs() {
    for driver in DRIVERS {
        let content = fs::read(file(&format!("{driver}.inf"))).unwrap();
        let sha256: String = Sha256::digest(&content)
            .iter()
            .map(|b| format!("{b:02X}"))
            .collect();
        let name: String = format!("{driver}.inf\0")
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .map(|byte| format!("{byte:02X}"))
            .collect();
        let strings = octet_strings(&file(&format!("{driver}.cat")));
        let count = |wanted: &str| {
            strings
                .iter()
                .filter(|have| have.as_str() == wanted)
                .count()
        };
        // The hash names one entry and is its digest; two entries have the file's name.
        assert_eq!(count(&sha256), 2, "{driver}.cat");
        assert_eq!(count(&name), 2, "{driver}.cat");
    }
}

#[test]
fn stamped_inf_files_keep_the_rules_and_name_files_of_the_package() {
    let package: Vec<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    for (name, class, hardware_ids, settings) in [
        (
            "xenbus",
            Class::System,
            &[r"PCI\VEN_5853&DEV_0001", r"PCI\VEN_5853&DEV_0002"][..],
            &[][..],
        ),
        ("netfront", Class::Net, &HARDWARE_IDS[..], TABLE),
    ] {
        let text = fs::read_to_string(file(&format!("{name}.inf"))).unwrap();
        let expected = Expected {
            name,
            class,
            hardware_ids,
            settings,
            package: Some(&package),
        };
        assert_eq!(lint(&text, expected), []);
        assert!(!text.contains("01/01/2026,0.1.0.0"), "not stamped");
        assert!(text.lines().count() == text.matches("\r\n").count());
        let inf = Inf::parse(&text, &mut Vec::new());
        let version = inf.section("Version").unwrap();
        let version = version.entry("DriverVer").unwrap().value(1);
        assert!(version.starts_with(env!("CARGO_PKG_VERSION")), "{version}");
    }
}

#[test]
fn the_zip_holds_what_the_folder_holds() {
    let mut zip = zip::ZipArchive::new(fs::File::open(file("netfront-x64.zip")).unwrap()).unwrap();
    let names: Vec<String> = zip.file_names().map(ToOwned::to_owned).collect();
    for driver in DRIVERS {
        for extension in ["inf", "sys", "cat"] {
            assert!(
                names.contains(&format!("{driver}.{extension}")),
                "{names:?}"
            );
        }
    }
    assert!(names.contains(&"netfront-test.cer".to_owned()), "{names:?}");
    assert!(!names.iter().any(|name| name.contains("key")), "{names:?}");
    for name in names {
        let mut content = Vec::new();
        zip.by_name(&name)
            .unwrap()
            .read_to_end(&mut content)
            .unwrap();
        assert_eq!(content, fs::read(file(&name)).unwrap(), "{name}");
    }
}

fn pe(image: &[u8]) -> usize {
    dword(image, 0x3C)
}

/// Length of the certificate table: directory entry 4 of a 64-bit image.
fn certificate_table_length(image: &[u8]) -> usize {
    dword(image, pe(image) + 24 + 112 + 4 * 8 + 4)
}

fn dword(image: &[u8], at: usize) -> usize {
    let bytes = image[at..at + 4].try_into().unwrap();
    usize::try_from(u32::from_le_bytes(bytes)).unwrap()
}
