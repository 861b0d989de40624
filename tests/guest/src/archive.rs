//! The module that brings the drivers: a cpio archive (newc).

/// The content of the file `name` at the top of `archive`.
#[must_use]
pub fn file<'a>(archive: &'a [u8], name: &str) -> Option<&'a [u8]> {
    cpio_reader::iter_files(archive)
        .find(|entry| entry.name().trim_start_matches("./") == name)
        .map(|entry| entry.file())
}

#[cfg(test)]
mod tests {
    use super::file;
    use alloc::vec::Vec;

    /// One entry in the newc format.
    fn entry(name: &str, content: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut fields = [0_usize; 13];
        fields[1] = 0o100_644;
        fields[6] = content.len();
        fields[11] = name.len() + 1;
        out.extend_from_slice(b"070701");
        for field in fields {
            out.extend_from_slice(alloc::format!("{field:08X}").as_bytes());
        }
        out.extend_from_slice(name.as_bytes());
        out.push(0);
        out.resize(out.len().next_multiple_of(4), 0);
        out.extend_from_slice(content);
        out.resize(out.len().next_multiple_of(4), 0);
        out
    }

    #[test]
    fn finds_files_by_name() {
        let archive = [
            entry("one.sys", b"first"),
            entry("./two.sys", b"second"),
            entry("TRAILER!!!", b""),
        ]
        .concat();
        assert_eq!(file(&archive, "one.sys"), Some(&b"first"[..]));
        assert_eq!(file(&archive, "two.sys"), Some(&b"second"[..]));
        assert_eq!(file(&archive, "three.sys"), None);
    }

    #[test]
    fn what_is_no_archive_has_no_files() {
        assert_eq!(file(b"", "one.sys"), None);
        assert_eq!(file(&[0xFF; 500], "one.sys"), None);
    }
}
