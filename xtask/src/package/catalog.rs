//! Catalogs: the list of a package's files that a signature covers.
//!
//! A catalog is a PKCS#7 `SignedData` whose content is a certificate trust list. Each file has two
//! entries, named by its SHA-1 and its SHA-256 hash: Windows looks members up by either; the second
//! also carries the hash as Authenticode data. Attributes give the file's name and the systems
//! (`OSAttr`). The layout is that of the version 2 catalogs `Inf2Cat` writes for Windows 10.
//!
//! What is made here has no signer yet: osslsigncode adds it.

use super::{
    der,
    digest::{Hashes, Subject},
};

/// `1.3.6.1.4.1.311`, Microsoft's arc, and what follows.
fn microsoft(arcs: &[u32]) -> Vec<u8> {
    der::oid(&[&[1, 3, 6, 1, 4, 1, 311], arcs].concat())
}

const SIGNED_DATA: &[u32] = &[1, 2, 840, 113_549, 1, 7, 2];
const SHA256: &[u32] = &[2, 16, 840, 1, 101, 3, 4, 2, 1];
/// `CRYPTCAT_ATTR_AUTHENTICATED | _NAMEASCII | _DATAASCII`.
const ATTRIBUTE_FLAGS: u32 = 0x1001_0001;
/// Windows 10 and what shares its version number, which Windows 11 and the servers do.
const MEMBER_SYSTEMS: &str = "2:10.0";
/// The same, as a catalog says it.
const CATALOG_SYSTEMS: &str = "_v100_X64";

/// A file of the package.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    /// Its name.
    pub(crate) name: String,
    /// What kind of file it is.
    pub(crate) subject: Subject,
    /// Its hashes.
    pub(crate) hashes: Hashes,
}

/// The catalog of `members`, dated `seconds` after 1970, without signer.
pub(crate) fn unsigned(members: &[Member], seconds: i64) -> Vec<u8> {
    let content = der::sequence(&[
        microsoft(&[10, 1]),
        der::explicit(0, &list(members, seconds)),
    ]);
    let signed_data = der::sequence(&[
        der::integer(1),
        der::set_of(Vec::new()),
        content,
        der::set_of(Vec::new()),
    ]);
    der::sequence(&[der::oid(SIGNED_DATA), der::explicit(0, &signed_data)])
}

/// The trust list.
fn list(members: &[Member], seconds: i64) -> Vec<u8> {
    let mut entries: Vec<(&[u8], Vec<u8>)> = Vec::new();
    for member in members {
        let (sha1, sha256) = (&member.hashes.sha1, &member.hashes.sha256);
        entries.push((sha1, entry(sha1, attributes(member))));
        let mut with_digest = attributes(member);
        with_digest.push(indirect_data(member));
        entries.push((sha256, entry(sha256, with_digest)));
    }
    // Readers may search the list by halving it.
    entries.sort();
    let entries: Vec<Vec<u8>> = entries.into_iter().map(|(_, entry)| entry).collect();
    der::sequence(&[
        der::sequence(&[microsoft(&[12, 1, 1])]),
        der::octets(&identifier(members)),
        der::utc_time(seconds),
        der::sequence(&[microsoft(&[12, 1, 3]), der::null()]),
        der::sequence(&entries),
        der::explicit(0, &der::sequence(&[systems()])),
    ])
}

/// Names the list. It must differ from list to list; being made of the members' hashes, it is the
/// same for the same files.
fn identifier(members: &[Member]) -> Vec<u8> {
    let all: Vec<u8> = members
        .iter()
        .flat_map(|member| member.hashes.sha256)
        .collect();
    let hash = super::digest::flat(&all).sha256;
    hash.into_iter().take(16).collect()
}

fn entry(identifier: &[u8], attributes: Vec<Vec<u8>>) -> Vec<u8> {
    der::sequence(&[der::octets(identifier), der::set_of(attributes)])
}

/// The attributes that both entries of a file have.
fn attributes(member: &Member) -> Vec<Vec<u8>> {
    // Which code hashes the file: 0 the one for images, 2 the one for all else.
    let subject = match member.subject {
        Subject::Image => der::implicit(0, &[]),
        Subject::Flat => der::implicit(2, &[]),
    };
    let named = |name, value| {
        let value = der::set_of(vec![name_value(name, value)]);
        der::sequence(&[microsoft(&[12, 2, 1]), value])
    };
    vec![
        der::sequence(&[microsoft(&[12, 2, 3]), der::set_of(vec![subject])]),
        named("File", &member.name),
        named("OSAttr", MEMBER_SYSTEMS),
    ]
}

/// The hash as Authenticode data (`SpcIndirectDataContent`).
fn indirect_data(member: &Member) -> Vec<u8> {
    // An empty file name, where old signatures said "obsolete".
    let link = der::explicit(2, &der::implicit(0, &[]));
    let subject = match member.subject {
        Subject::Image => der::sequence(&[
            microsoft(&[2, 1, 15]),
            der::sequence(&[der::element(0x03, &[0]), der::explicit(0, &link)]),
        ]),
        Subject::Flat => der::sequence(&[microsoft(&[2, 1, 25]), link]),
    };
    let digest = der::sequence(&[
        der::sequence(&[der::oid(SHA256), der::null()]),
        der::octets(&member.hashes.sha256),
    ]);
    der::sequence(&[
        microsoft(&[2, 1, 4]),
        der::set_of(vec![der::sequence(&[subject, digest])]),
    ])
}

/// The systems, as an extension of the list.
fn systems() -> Vec<u8> {
    let value = der::octets(&name_value("OS", CATALOG_SYSTEMS));
    der::sequence(&[microsoft(&[12, 2, 1]), value])
}

/// Name, flags, and the value as UTF-16 with its NUL.
fn name_value(name: &str, value: &str) -> Vec<u8> {
    let value: Vec<u8> = value
        .encode_utf16()
        .chain([0])
        .flat_map(u16::to_le_bytes)
        .collect();
    der::sequence(&[
        der::bmp(name),
        der::integer(ATTRIBUTE_FLAGS),
        der::octets(&value),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::digest;

    fn member(name: &str, content: &[u8]) -> Member {
        Member {
            name: name.to_owned(),
            subject: Subject::Flat,
            hashes: digest::flat(content),
        }
    }

    fn position(haystack: &[u8], needle: &[u8]) -> Option<usize> {
        haystack
            .windows(needle.len())
            .position(|part| part == needle)
    }

    #[test]
    fn every_file_is_there_by_both_hashes() {
        let members = [member("a.inf", b"a"), member("b.inf", b"b")];
        let catalog = unsigned(&members, 0);
        for member in &members {
            for identifier in [&member.hashes.sha1[..], &member.hashes.sha256] {
                assert!(position(&catalog, &der::octets(identifier)).is_some());
            }
            let name: Vec<u8> = member
                .name
                .encode_utf16()
                .flat_map(u16::to_le_bytes)
                .collect();
            assert!(position(&catalog, &name).is_some(), "{}", member.name);
        }
    }

    #[test]
    fn entries_are_sorted_by_their_hashes() {
        let members = [member("a.inf", b"a"), member("b.inf", b"b")];
        let catalog = unsigned(&members, 0);
        let mut identifiers: Vec<&[u8]> = members
            .iter()
            .flat_map(|m| [&m.hashes.sha1[..], &m.hashes.sha256])
            .collect();
        identifiers.sort_unstable();
        let places: Vec<_> = identifiers
            .iter()
            .map(|identifier| position(&catalog, &der::octets(identifier)))
            .collect();
        assert!(places.is_sorted(), "{places:?}");
    }

    #[test]
    fn the_same_files_give_the_same_list() {
        let members = [member("a.inf", b"a")];
        assert_eq!(unsigned(&members, 5), unsigned(&members, 5));
        assert_ne!(identifier(&members), identifier(&[member("a.inf", b"b")]));
        assert_eq!(identifier(&members).len(), 16);
    }
}
