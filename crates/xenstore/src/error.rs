//! Error replies: `xenstored` sends the name of an errno value as text.

/// Longest text of an unknown error that is kept, in bytes.
pub const ERROR_TEXT_MAX: usize = 24;

/// The text of an error this crate has no name for, cut to [`ERROR_TEXT_MAX`] bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ErrorText {
    bytes: [u8; ERROR_TEXT_MAX],
    len: u8,
}

impl ErrorText {
    fn new(text: &[u8]) -> Self {
        let mut bytes = [0; ERROR_TEXT_MAX];
        let mut len = 0_u8;
        for (cell, byte) in bytes.iter_mut().zip(text) {
            *cell = *byte;
            len = len.saturating_add(1);
        }
        Self { bytes, len }
    }

    /// The kept bytes, as the daemon sent them: not necessarily printable.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl core::fmt::Debug for ErrorText {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "ErrorText(\"{}\")", self.as_bytes().escape_ascii())
    }
}

/// What `xenstored` answered instead of doing what was asked (names in `io/xs_wire.h`, `xsd_errors`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// `ENOENT`: no such key.
    NotFound,
    /// `EACCES` or `EPERM`: not allowed.
    AccessDenied,
    /// `EAGAIN`: the transaction met another change; start it again.
    Again,
    /// `ENOSPC`, `EQUOTA` or `EDQUOT`: one of the guest's quotas is used up.
    Quota,
    /// `E2BIG`: the answer or the request does not fit.
    TooBig,
    /// `EINVAL`: malformed request, or one the daemon does not know.
    Invalid,
    /// `EEXIST`.
    Exists,
    /// `EISDIR`.
    IsDirectory,
    /// `ENOTEMPTY`.
    NotEmpty,
    /// `ENOSYS`: request type not implemented.
    NotImplemented,
    /// `ENOMEM`.
    NoMemory,
    /// `EIO`.
    Io,
    /// `EROFS`.
    ReadOnly,
    /// `EBUSY`.
    Busy,
    /// `EISCONN`.
    AlreadyConnected,
    /// Any other text.
    Other(ErrorText),
}

impl StoreError {
    /// Reads the payload of an error reply; a missing NUL is forgiven.
    pub fn parse(payload: &[u8]) -> Self {
        let text = payload.split(|byte| *byte == 0).next().unwrap_or_default();
        match text {
            b"ENOENT" => Self::NotFound,
            b"EACCES" | b"EPERM" => Self::AccessDenied,
            b"EAGAIN" => Self::Again,
            b"ENOSPC" | b"EQUOTA" | b"EDQUOT" => Self::Quota,
            b"E2BIG" => Self::TooBig,
            b"EINVAL" => Self::Invalid,
            b"EEXIST" => Self::Exists,
            b"EISDIR" => Self::IsDirectory,
            b"ENOTEMPTY" => Self::NotEmpty,
            b"ENOSYS" => Self::NotImplemented,
            b"ENOMEM" => Self::NoMemory,
            b"EIO" => Self::Io,
            b"EROFS" => Self::ReadOnly,
            b"EBUSY" => Self::Busy,
            b"EISCONN" => Self::AlreadyConnected,
            other => Self::Other(ErrorText::new(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_map_to_variants() {
        assert_eq!(StoreError::parse(b"ENOENT\0"), StoreError::NotFound);
        assert_eq!(StoreError::parse(b"EAGAIN"), StoreError::Again);
        assert_eq!(StoreError::parse(b"EQUOTA\0"), StoreError::Quota);
        assert_eq!(StoreError::parse(b"ENOSPC\0"), StoreError::Quota);
        assert_eq!(StoreError::parse(b"E2BIG\0"), StoreError::TooBig);
        assert_eq!(
            StoreError::parse(b"EACCES\0trailing"),
            StoreError::AccessDenied
        );
    }

    #[test]
    fn unknown_text_is_kept_up_to_its_bound() {
        let StoreError::Other(text) = StoreError::parse(&[b'X'; 4096]) else {
            panic!("known?")
        };
        assert_eq!(text.as_bytes(), [b'X'; ERROR_TEXT_MAX]);
        let StoreError::Other(text) = StoreError::parse(b"") else {
            panic!("known?")
        };
        assert_eq!(text.as_bytes(), b"");
        let StoreError::Other(text) = StoreError::parse(b"enoent\0") else {
            panic!("known?")
        };
        assert_eq!(text.as_bytes(), b"enoent");
    }
}
