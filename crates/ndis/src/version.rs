//! NDIS versions and the choice among them.

use ndis_sys as sys;

/// A version of NDIS, for example 6.82.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NdisVersion {
    major: u8,
    minor: u8,
}

impl NdisVersion {
    /// Windows 10 1809 and Server 2019: the oldest supported.
    pub const V6_82: Self = Self::new(6, 82);
    /// Windows 10 1903 (USO).
    pub const V6_83: Self = Self::new(6, 83);
    /// Windows 10 2004.
    pub const V6_84: Self = Self::new(6, 84);
    /// Server 2022 (Poll).
    pub const V6_85: Self = Self::new(6, 85);
    /// Windows 11 24H2 and Server 2025 (URO): the newest this driver knows.
    pub const V6_89: Self = Self::new(6, 89);

    /// What to try in turn, newest first, if NDIS answers `BAD_VERSION`.
    pub const FALLBACKS: [Self; 8] = [
        Self::V6_89,
        Self::new(6, 88),
        Self::new(6, 87),
        Self::new(6, 86),
        Self::V6_85,
        Self::V6_84,
        Self::V6_83,
        Self::V6_82,
    ];

    /// Version `major.minor`.
    pub const fn new(major: u8, minor: u8) -> Self {
        Self { major, minor }
    }

    /// From `NdisGetVersion`'s form; `None` if a half does not fit.
    pub const fn from_runtime(raw: u32) -> Option<Self> {
        let [m0, m1, j0, j1] = raw.to_le_bytes();
        if m1 != 0 || j1 != 0 {
            return None;
        }
        Some(Self::new(j0, m0))
    }

    /// Major part.
    pub const fn major(self) -> u8 {
        self.major
    }

    /// Minor part.
    pub const fn minor(self) -> u8 {
        self.minor
    }

    /// Whether this version is `other` or a later one.
    pub const fn at_least(self, other: Self) -> bool {
        self.major > other.major || (self.major == other.major && self.minor >= other.minor)
    }

    /// The versions to register with on a system of version `os`: not above `os`, not above 6.89,
    /// not below 6.82, newest first. Empty on a system too old.
    pub fn candidates(os: Self) -> impl Iterator<Item = Self> {
        Self::FALLBACKS.into_iter().filter(move |v| os.at_least(*v))
    }

    /// The newest version to register with on a system of version `os`, `None` if it is too old.
    pub fn negotiate(os: Self) -> Option<Self> {
        Self::candidates(os).next()
    }

    /// Version of the running NDIS, `None` if it makes no sense. IRQL: at most `DISPATCH_LEVEL`.
    pub fn running() -> Option<Self> {
        // SAFETY: takes nothing and may be called at any time after the driver is loaded.
        let raw = unsafe { sys::NdisGetVersion() };
        Self::from_runtime(raw)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runtime_form_has_major_in_the_high_word() {
        let v = NdisVersion::from_runtime(sys::NDIS_RUNTIME_VERSION_682);
        assert_eq!(v, Some(NdisVersion::V6_82));
        assert_eq!(NdisVersion::from_runtime(0x0106_0052), None);
        assert_eq!(NdisVersion::from_runtime(0x0006_0152), None);
    }

    #[test]
    fn never_above_the_system_nor_above_what_we_know() {
        let n = |minor| NdisVersion::negotiate(NdisVersion::new(6, minor));
        assert_eq!(n(81), None);
        assert_eq!(n(82), Some(NdisVersion::V6_82));
        assert_eq!(n(85), Some(NdisVersion::V6_85));
        assert_eq!(n(89), Some(NdisVersion::V6_89));
        assert_eq!(n(95), Some(NdisVersion::V6_89));
        assert_eq!(
            NdisVersion::negotiate(NdisVersion::new(7, 0)),
            Some(NdisVersion::V6_89)
        );
    }

    #[test]
    fn candidates_go_down_to_6_82_without_gaps() {
        let v: std::vec::Vec<u8> = NdisVersion::candidates(NdisVersion::new(6, 87))
            .map(NdisVersion::minor)
            .collect();
        assert_eq!(v, [87, 86, 85, 84, 83, 82]);
    }
}
