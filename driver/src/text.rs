//! Short text of XenStore: paths and values, in place.

use core::fmt::{self, Write};

/// Bytes of text, at most `N`.
#[derive(Clone)]
pub(crate) struct Text<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

/// A path: XenStore allows more, but no toolstack makes longer ones.
pub(crate) type Path = Text<256>;
/// A value of a key.
pub(crate) type Value = Text<256>;

/// The text is longer than its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

impl<const N: usize> Text<N> {
    /// No text.
    pub(crate) const fn new() -> Self {
        Self {
            bytes: [0; N],
            len: 0,
        }
    }

    /// Formatted text.
    pub(crate) fn format(arguments: fmt::Arguments<'_>) -> Result<Self, TooLong> {
        let mut text = Self::new();
        text.write_fmt(arguments).map_err(|_| TooLong)?;
        Ok(text)
    }

    /// The path of `name` below this folder.
    pub(crate) fn join(&self, name: &dyn fmt::Display) -> Result<Self, TooLong> {
        let mut path = self.clone();
        write!(path, "/{name}").map_err(|_| TooLong)?;
        Ok(path)
    }

    /// All of the place, to be filled by another; then [`Text::set_len`].
    pub(crate) fn room(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// Says how much of [`Text::room`] was filled.
    pub(crate) fn set_len(&mut self, len: usize) -> Result<(), TooLong> {
        if len > N {
            return Err(TooLong);
        }
        self.len = len;
        Ok(())
    }

    /// The bytes.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl<const N: usize> AsRef<[u8]> for Text<N> {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl<const N: usize> PartialEq for Text<N> {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl<const N: usize> Write for Text<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len.saturating_add(text.len());
        let place = self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

impl<const N: usize> fmt::Display for Text<N> {
    /// Bytes that are no ASCII show escaped: another domain may have written them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_bytes().escape_ascii())
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}
