//! Paths of keys, checked before they are sent.
//!
//! Rules: docs/misc/xenstore.txt of Xen (characters, slashes) and `XENSTORE_ABS_PATH_MAX`,
//! `XENSTORE_REL_PATH_MAX` of `io/xs_wire.h`.

use xen_abi::xs_wire::{XENSTORE_ABS_PATH_MAX, XENSTORE_REL_PATH_MAX};

/// Longest absolute path, in bytes.
pub const ABSOLUTE_MAX: usize = XENSTORE_ABS_PATH_MAX;
/// Longest path relative to `/local/domain/<own id>`, in bytes.
pub const RELATIVE_MAX: usize = XENSTORE_REL_PATH_MAX;

/// Why a string is not a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathError {
    /// The empty string.
    Empty,
    /// Longer than [`ABSOLUTE_MAX`] or [`RELATIVE_MAX`], or than the place it must fit in.
    TooLong,
    /// A character other than ASCII letters, digits and `-/_@`.
    BadCharacter,
    /// Two slashes in a row, or one at the end.
    BadSlash,
}

/// A checked path: absolute (`/local/domain/3/name`) or relative to the guest's own directory (`device/vif`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path<'a>(&'a str);

impl<'a> Path<'a> {
    /// Checks `text`.
    pub fn new(text: &'a str) -> Result<Self, PathError> {
        let bytes = text.as_bytes();
        let max = match bytes.first() {
            None => return Err(PathError::Empty),
            Some(b'/') => ABSOLUTE_MAX,
            Some(_) => RELATIVE_MAX,
        };
        if bytes.len() > max {
            return Err(PathError::TooLong);
        }
        let legal = |byte: &u8| byte.is_ascii_alphanumeric() || b"-/_@".contains(byte);
        if !bytes.iter().all(legal) {
            return Err(PathError::BadCharacter);
        }
        let doubled = bytes.windows(2).any(|pair| pair == b"//");
        if doubled || (bytes.len() > 1 && bytes.last() == Some(&b'/')) {
            return Err(PathError::BadSlash);
        }
        Ok(Self(text))
    }

    /// Checks bytes received from elsewhere (a watch event, a `backend` key).
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Self, PathError> {
        Self::new(core::str::from_utf8(bytes).map_err(|_| PathError::BadCharacter)?)
    }

    /// The path as text.
    pub fn as_str(self) -> &'a str {
        self.0
    }

    /// The path as bytes, without a NUL.
    pub fn as_bytes(self) -> &'a [u8] {
        self.0.as_bytes()
    }

    /// Whether the path starts at the root.
    pub fn is_absolute(self) -> bool {
        self.0.starts_with('/')
    }

    /// The names between slashes, first to last.
    pub fn components(self) -> impl Iterator<Item = &'a str> {
        self.0.split('/').filter(|name| !name.is_empty())
    }

    /// Whether `self` is `ancestor` or lies under it, in the sense watches use.
    pub fn is_within(self, ancestor: Path<'_>) -> bool {
        if ancestor.0 == "/" {
            return self.is_absolute();
        }
        match self.0.strip_prefix(ancestor.0) {
            Some(rest) => rest.is_empty() || rest.starts_with('/'),
            None => false,
        }
    }
}

/// A path assembled in place: `N` bytes of storage, no allocation.
#[derive(Clone, Copy, Debug)]
pub struct PathBuf<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> PathBuf<N> {
    /// The path `parts` joined by slashes, checked as a whole.
    ///
    /// A part may itself hold slashes (a backend path read from the store).
    pub fn join(parts: &[&str]) -> Result<Self, PathError> {
        let mut path = Self {
            bytes: [0; N],
            len: 0,
        };
        for (at, part) in parts.iter().enumerate() {
            if at != 0 {
                path.push(b"/")?;
            }
            path.push(part.as_bytes())?;
        }
        Path::from_bytes(path.stored())?;
        Ok(path)
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), PathError> {
        let end = self
            .len
            .checked_add(bytes.len())
            .ok_or(PathError::TooLong)?;
        let room = self
            .bytes
            .get_mut(self.len..end)
            .ok_or(PathError::TooLong)?;
        room.copy_from_slice(bytes);
        self.len = end;
        Ok(())
    }

    fn stored(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// The assembled path.
    pub fn as_path(&self) -> Path<'_> {
        Path(core::str::from_utf8(self.stored()).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::string::String;

    use super::*;

    #[test]
    fn length_limits_depend_on_the_first_character() {
        let absolute = String::from("/") + &"a".repeat(ABSOLUTE_MAX - 1);
        assert!(Path::new(&absolute).is_ok());
        assert_eq!(Path::new(&(absolute + "a")), Err(PathError::TooLong));
        let relative = "a".repeat(RELATIVE_MAX);
        assert!(Path::new(&relative).is_ok());
        assert_eq!(Path::new(&(relative + "a")), Err(PathError::TooLong));
    }

    #[test]
    fn malformed_paths_are_refused_with_their_reason() {
        assert_eq!(Path::new(""), Err(PathError::Empty));
        assert_eq!(Path::new("a//b"), Err(PathError::BadSlash));
        assert_eq!(Path::new("//"), Err(PathError::BadSlash));
        assert_eq!(Path::new("a/"), Err(PathError::BadSlash));
        assert_eq!(Path::new("a b"), Err(PathError::BadCharacter));
        assert_eq!(Path::new("a\0b"), Err(PathError::BadCharacter));
        assert_eq!(Path::from_bytes(b"a\xff"), Err(PathError::BadCharacter));
        assert!(Path::new("/").is_ok());
        assert!(Path::new("@releaseDomain").is_ok());
    }

    #[test]
    fn a_path_is_within_itself_and_its_parents_only() {
        let path = Path::new("/a/bc/d").unwrap();
        assert!(path.is_within(path));
        assert!(path.is_within(Path::new("/a/bc").unwrap()));
        assert!(path.is_within(Path::new("/").unwrap()));
        assert!(!path.is_within(Path::new("/a/b").unwrap()));
        assert!(!Path::new("a").unwrap().is_within(Path::new("/").unwrap()));
    }

    #[test]
    fn joined_parts_are_checked_as_one_path() {
        let path = PathBuf::<32>::join(&["device/vif", "0", "state"]).unwrap();
        assert_eq!(path.as_path().as_str(), "device/vif/0/state");
        assert_eq!(
            PathBuf::<8>::join(&["device", "vif"]).unwrap_err(),
            PathError::TooLong
        );
        assert_eq!(
            PathBuf::<32>::join(&["device", ""]).unwrap_err(),
            PathError::BadSlash
        );
        assert_eq!(path.as_path().components().count(), 4);
    }
}
