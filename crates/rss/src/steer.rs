//! Where a received frame goes, and the hash that goes with it.
//!
//! A backend that hashes tells each frame's hash, and has put the frame on the queue its mapping names. That value is
//! used as it is where it says all the system wants to know, and checked against our own computation: each one for a
//! while after a change (when frames from before it may still come), then one in [`SAMPLE`]. In every other case the hash is computed here. A backend whose values
//! turn out wrong is not believed any more until the next change.
use crate::hash_type::{HashType, HashTypes};
use crate::table::IndirectionTable;
use crate::toeplitz::{ByteTables, INPUT_MAX, KEY_LEN, Toeplitz};
use crate::{FrameHash, hash_frame};

/// One in so many of the backend's hashes is checked.
pub const SAMPLE: u32 = 32;
/// So many right ones in a row end the doubt after a change.
const RIGHT_FIRST: u32 = 32;
/// So many checked ones end it in any case: what was on its way before the change has come by then.
const DOUBTED_MAX: u32 = 256;
/// So many wrong hashes since a change, and the backend's are not believed any more.
pub const WRONG_MAX: u32 = 8;

/// What the system has set, and what the backend offers to it.
#[derive(Debug, Clone, Copy)]
pub struct SteeringConfig<'a> {
    /// Hash types the system wants.
    pub types: HashTypes,
    /// The secret key.
    pub key: &'a [u8; KEY_LEN],
    /// Processor of each hash; none to hash without steering.
    pub table: Option<IndirectionTable<u16>>,
    /// Processor of frames without a hash; none: where they come.
    pub default: Option<u16>,
}

/// Counts since the queue was made; they wrap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HashCounters {
    /// Frames handed up with the backend's hash.
    pub from_backend: u64,
    /// Frames handed up with a hash computed here.
    pub computed: u64,
    /// Hashes of the backend that were checked.
    pub checked: u64,
    /// Of those, the wrong ones. Frames of before a change do not count.
    pub mismatches: u64,
}

/// Where a frame goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Steered {
    /// Its hash, if one of the wanted types fits it.
    pub hash: Option<FrameHash>,
    /// The processor that the table names; none: where it comes.
    pub processor: Option<u16>,
}

/// The steering of one queue. `S`: as for [`Toeplitz`].
#[derive(Debug, Clone)]
pub struct Steering<S = [ByteTables; INPUT_MAX]> {
    toeplitz: Toeplitz<S>,
    /// What the hash function's tables are of.
    key: [u8; KEY_LEN],
    types: HashTypes,
    table: Option<IndirectionTable<u16>>,
    default: Option<u16>,
    /// Types whose value from the backend is believed.
    believed: HashTypes,
    /// Frames from before the last change may still come: all are checked, and wrong ones do not count.
    settling: bool,
    /// Frames since the change; while settling, checked ones.
    seen: u32,
    /// Right ones in a row while settling.
    right: u32,
    wrong: u32,
    counters: HashCounters,
}

impl Default for Steering {
    fn default() -> Self {
        Self::new()
    }
}

impl Steering {
    /// No hashes, no steering.
    #[must_use]
    pub const fn new() -> Self {
        Self::in_storage([ByteTables::ZERO; INPUT_MAX])
    }
}

impl<S: AsRef<[ByteTables]> + AsMut<[ByteTables]>> Steering<S> {
    /// No hashes, no steering; the hash function's tables are the caller's.
    pub const fn in_storage(tables: S) -> Self {
        Self {
            toeplitz: Toeplitz::in_storage(tables),
            key: [0; KEY_LEN],
            types: HashTypes::NONE,
            table: None,
            default: None,
            believed: HashTypes::NONE,
            settling: false,
            seen: 0,
            right: 0,
            wrong: 0,
            counters: HashCounters {
                from_backend: 0,
                computed: 0,
                checked: 0,
                mismatches: 0,
            },
        }
    }

    /// Follows new settings. If only the table differs the backend's values stay as good as they were; else they are not
    /// believed until [`Steering::believe`].
    pub fn set(&mut self, config: &SteeringConfig<'_>) {
        if !self.hashes_by(config.types, config.key) {
            self.toeplitz.set_key(config.key);
            self.key = *config.key;
            self.types = config.types;
            self.believed = HashTypes::NONE;
        }
        self.table = config.table;
        self.default = config.default;
    }

    /// No hashes and no steering any more.
    pub const fn clear(&mut self) {
        self.types = HashTypes::NONE;
        self.believed = HashTypes::NONE;
        self.table = None;
        self.default = None;
    }

    /// Whether these types and this key were set last.
    fn hashes_by(&self, types: HashTypes, key: &[u8; KEY_LEN]) -> bool {
        self.is_on() && self.types == types && self.key == *key
    }

    /// The backend does not hash.
    pub const fn disbelieve(&mut self) {
        self.believed = HashTypes::NONE;
        self.wrong = 0;
    }

    /// The backend hashes by the types `offered` from now on, for `types` and `key`. If those are not what was set last
    /// this is old news, and changes nothing.
    pub fn believe(&mut self, offered: HashTypes, types: HashTypes, key: &[u8; KEY_LEN]) {
        if !self.hashes_by(types, key) {
            return;
        }
        let mut believed = HashTypes::NONE;
        for hash_type in HashType::ALL {
            if offered.contains(hash_type) && self.says_all(hash_type) {
                believed |= hash_type;
            }
        }
        self.believed = believed;
        self.settling = true;
        self.seen = 0;
        self.right = 0;
        self.wrong = 0;
    }

    /// Whether a frame of this type can have no better wanted one, as far as the backend can tell it apart: it knows
    /// neither UDP nor mobility headers.
    const fn says_all(&self, hash_type: HashType) -> bool {
        let types = self.types;
        if !types.contains(hash_type) {
            return false;
        }
        match hash_type {
            HashType::Ipv4 => !types.contains(HashType::UdpIpv4),
            HashType::TcpIpv4 => true,
            HashType::Ipv6 => {
                !(types.contains(HashType::UdpIpv6)
                    || types.contains(HashType::UdpIpv6Ex)
                    || types.contains(HashType::TcpIpv6Ex)
                    || types.contains(HashType::Ipv6Ex))
            }
            HashType::TcpIpv6 => !types.contains(HashType::TcpIpv6Ex),
            _ => false,
        }
    }

    /// Whether frames are hashed.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        !self.types.is_empty()
    }

    /// Whether the backend was found to tell wrong hashes since the last change.
    #[must_use]
    pub const fn is_deceived(&self) -> bool {
        self.wrong >= WRONG_MAX
    }

    /// Counters.
    #[must_use]
    pub const fn counters(&self) -> HashCounters {
        self.counters
    }

    /// Steers a frame. `told` is what the backend says of it, `ethertype` that of the frame without VLAN tag; `frame`
    /// gives its first bytes, from the Ethernet header on, and is called only if they are needed.
    pub fn steer<F: AsRef<[u8]>>(
        &mut self,
        told: Option<FrameHash>,
        ethertype: u16,
        frame: impl FnOnce() -> F,
    ) -> Steered {
        if !self.is_on() {
            return Steered {
                hash: None,
                processor: None,
            };
        }
        // netback calls everything IPv6 that is not IPv4.
        let told = told.filter(|told| {
            self.believed.contains(told.hash_type) && told.hash_type.ethertype() == ethertype
        });
        let hash = match told {
            Some(told) if !self.is_due() => {
                self.counters.from_backend = self.counters.from_backend.wrapping_add(1);
                Some(told)
            }
            told => {
                let computed = hash_frame(&self.toeplitz, frame().as_ref(), self.types);
                if let Some(told) = told {
                    self.check(told, computed);
                }
                let count = u64::from(computed.is_some());
                self.counters.computed = self.counters.computed.wrapping_add(count);
                computed
            }
        };
        Steered {
            hash,
            processor: self.processor(hash),
        }
    }

    /// Where the rest of a frame goes that was steered before, by the settings of now.
    #[must_use]
    pub fn again(&self, steered: Steered) -> Steered {
        if !self.is_on() {
            return Steered {
                hash: None,
                processor: None,
            };
        }
        Steered {
            hash: steered.hash,
            processor: self.processor(steered.hash),
        }
    }

    fn processor(&self, hash: Option<FrameHash>) -> Option<u16> {
        match (hash, &self.table) {
            (Some(hash), Some(table)) => Some(table.lookup(hash.value)),
            _ => self.default,
        }
    }

    /// Whether the next hash of the backend is to be checked.
    const fn is_due(&mut self) -> bool {
        self.seen = self.seen.wrapping_add(1);
        self.settling || self.seen.is_multiple_of(SAMPLE)
    }

    fn check(&mut self, told: FrameHash, computed: Option<FrameHash>) {
        self.counters.checked = self.counters.checked.wrapping_add(1);
        let right = computed == Some(told);
        if self.settling {
            self.right = if right {
                self.right.saturating_add(1)
            } else {
                0
            };
            self.settling = self.right < RIGHT_FIRST && self.seen < DOUBTED_MAX;
        } else if !right {
            self.counters.mismatches = self.counters.mismatches.wrapping_add(1);
            self.wrong = self.wrong.saturating_add(1);
            if self.is_deceived() {
                self.believed = HashTypes::NONE;
            }
        }
    }
}
