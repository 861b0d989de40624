//! What the backend can do: its XenStore keys, read once into a snapshot.
//!
//! Each capability stands on its own key and an absent key means no (netif.h), but for the IPv4
//! checksum, where the key takes it away.

use crate::number::{NumberError, decimal_u32, flag};

/// A set of capabilities, of the backend or of ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features(u16);

impl Features {
    /// None.
    pub const NONE: Self = Self(0);
    /// Copies to our pages (`feature-rx-copy`); without it there is no receiving.
    pub const RX_COPY: Self = Self(1);
    /// Packets of more than one slot (`feature-sg`).
    pub const SG: Self = Self(1 << 1);
    /// Segmentation of TCP over IPv4.
    pub const GSO_TCPV4: Self = Self(1 << 2);
    /// Segmentation of TCP over IPv6.
    pub const GSO_TCPV6: Self = Self(1 << 3);
    /// Blank TCP and UDP checksums over IPv4 (no `feature-no-csum-offload`).
    pub const IPV4_CSUM: Self = Self(1 << 4);
    /// Blank TCP and UDP checksums over IPv6.
    pub const IPV6_CSUM: Self = Self(1 << 5);
    /// Multicast filtering by extras.
    pub const MULTICAST_CONTROL: Self = Self(1 << 6);
    /// Multicast filtering may be switched while connected.
    pub const DYNAMIC_MULTICAST: Self = Self(1 << 7);
    /// Separate event channels for TX and RX.
    pub const SPLIT_EVENT_CHANNELS: Self = Self(1 << 8);
    /// The control ring, and HASH extras.
    pub const CTRL_RING: Self = Self(1 << 9);

    /// The set as a number, for diagnosis only.
    pub fn bits(self) -> u16 {
        self.0
    }

    /// Whether all of `other` are there.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Those of either set.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These without `other`.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Those of both sets.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

/// Keys that hold yes or no, and what yes adds.
const FLAG_KEYS: [(&str, Features); 9] = [
    ("feature-rx-copy", Features::RX_COPY),
    ("feature-sg", Features::SG),
    ("feature-gso-tcpv4", Features::GSO_TCPV4),
    ("feature-gso-tcpv6", Features::GSO_TCPV6),
    ("feature-ipv6-csum-offload", Features::IPV6_CSUM),
    ("feature-multicast-control", Features::MULTICAST_CONTROL),
    (
        "feature-dynamic-multicast-control",
        Features::DYNAMIC_MULTICAST,
    ),
    (
        "feature-split-event-channels",
        Features::SPLIT_EVENT_CHANNELS,
    ),
    ("feature-ctrl-ring", Features::CTRL_RING),
];
const NO_IPV4_CSUM: &str = "feature-no-csum-offload";
const MAX_QUEUES_KEY: &str = "multi-queue-max-queues";

/// The backend's side of the negotiation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackendFeatures {
    /// What it can do.
    pub features: Features,
    /// Queues it accepts: at least 1, at most the limit given to [`BackendFeatures::read`].
    pub max_queues: u16,
}

impl BackendFeatures {
    /// The keys of the backend's directory that [`BackendFeatures::read`] looks up.
    pub fn keys() -> impl Iterator<Item = &'static str> {
        FLAG_KEYS
            .into_iter()
            .map(|(key, _)| key)
            .chain([NO_IPV4_CSUM, MAX_QUEUES_KEY])
    }

    /// Takes the snapshot; `lookup` gives the value of a key of the backend's directory,
    /// `rejected` is told what was there but is no number. Such a key counts as "cannot".
    ///
    /// `own_max_queues` is the frontend's limit; the result is clamped to `1..=own_max_queues`.
    pub fn read<V: AsRef<[u8]>>(
        own_max_queues: u16,
        mut lookup: impl FnMut(&'static str) -> Option<V>,
        mut rejected: impl FnMut(&'static str, NumberError),
    ) -> Self {
        let mut read_flag = |key, when_absent, when_junk| match lookup(key) {
            None => when_absent,
            Some(value) => flag(value.as_ref()).unwrap_or_else(|error| {
                rejected(key, error);
                when_junk
            }),
        };
        let mut features = Features::NONE;
        for (key, feature) in FLAG_KEYS {
            if read_flag(key, false, false) {
                features = features.with(feature);
            }
        }
        if !read_flag(NO_IPV4_CSUM, false, true) {
            features = features.with(Features::IPV4_CSUM);
        }
        let mut max_queues = 1;
        if let Some(value) = lookup(MAX_QUEUES_KEY) {
            match decimal_u32(value.as_ref(), u32::MAX) {
                Ok(queues) => max_queues = u16::try_from(queues).unwrap_or(u16::MAX),
                Err(error) => rejected(MAX_QUEUES_KEY, error),
            }
        }
        Self {
            features,
            max_queues: max_queues.clamp(1, own_max_queues.max(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::string::String;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn read(keys: &[(&str, &'static str)]) -> (BackendFeatures, Vec<&'static str>) {
        let mut rejected = Vec::new();
        let features = BackendFeatures::read(
            16,
            |key| {
                keys.iter()
                    .find(|(name, _)| *name == key)
                    .map(|(_, value)| *value)
            },
            |key, _| rejected.push(key),
        );
        (features, rejected)
    }

    #[test]
    fn an_empty_directory_offers_one_queue_and_the_ipv4_checksum() {
        let (backend, rejected) = read(&[]);
        assert_eq!(
            backend,
            BackendFeatures {
                features: Features::IPV4_CSUM,
                max_queues: 1
            }
        );
        assert!(rejected.is_empty());
    }

    #[test]
    fn a_linux_backend_offers_all() {
        let (backend, rejected) = read(&[
            ("feature-rx-copy", "1"),
            ("feature-rx-flip", "0"),
            ("feature-sg", "1"),
            ("feature-gso-tcpv4", "1"),
            ("feature-gso-tcpv6", "1"),
            ("feature-ipv6-csum-offload", "1"),
            ("feature-multicast-control", "1"),
            ("feature-dynamic-multicast-control", "1"),
            ("feature-split-event-channels", "1"),
            ("feature-ctrl-ring", "1"),
            ("multi-queue-max-queues", "8"),
        ]);
        assert_eq!(backend.features, Features(0x3FF));
        assert_eq!(backend.max_queues, 8);
        assert!(rejected.is_empty());
    }

    #[test]
    fn queue_counts_are_clamped() {
        for (text, queues) in [
            ("0", 1),
            ("1", 1),
            ("16", 16),
            ("17", 16),
            ("65536", 16),
            ("4294967295", 16),
        ] {
            assert_eq!(
                read(&[("multi-queue-max-queues", text)]).0.max_queues,
                queues,
                "{text}"
            );
        }
        let none = BackendFeatures::read(0, |_| None::<&str>, |_, _| {});
        assert_eq!(none.max_queues, 1);
    }

    #[test]
    fn junk_offers_nothing_and_is_reported() {
        let (backend, rejected) = read(&[
            ("feature-rx-copy", "yes"),
            ("feature-sg", ""),
            ("feature-no-csum-offload", "-0"),
            ("multi-queue-max-queues", "0x8"),
        ]);
        assert_eq!(
            backend,
            BackendFeatures {
                features: Features::NONE,
                max_queues: 1
            }
        );
        assert_eq!(rejected.len(), 4);
    }

    #[test]
    fn the_ipv4_checksum_can_be_taken_away() {
        assert!(
            !read(&[("feature-no-csum-offload", "1")])
                .0
                .features
                .has(Features::IPV4_CSUM)
        );
        assert!(
            read(&[("feature-no-csum-offload", "0")])
                .0
                .features
                .has(Features::IPV4_CSUM)
        );
    }

    #[test]
    fn the_key_list_is_what_is_looked_up() {
        let mut looked_up = Vec::new();
        let _ = BackendFeatures::read(
            1,
            |key| {
                looked_up.push(key);
                None::<&str>
            },
            |_, _| {},
        );
        assert_eq!(looked_up, BackendFeatures::keys().collect::<Vec<_>>());
    }

    proptest! {
        #![proptest_config(crate::cases())]

        #[test]
        fn no_value_breaks_the_snapshot(
            values in prop::collection::vec(prop::option::of(".{0,24}|[0-9]{1,21}"), 11),
            own: u16,
        ) {
            let keys: Vec<&str> = BackendFeatures::keys().collect();
            let lookup = |key: &'static str| -> Option<String> {
                keys.iter().position(|k| *k == key).and_then(|nth| values[nth].clone())
            };
            let backend = BackendFeatures::read(own, lookup, |_, _| {});
            prop_assert!(backend.max_queues >= 1 && backend.max_queues <= own.max(1));
        }
    }
}
