//! What is offered, what is wanted, and what is in force.
//!
//! Capabilities follow from the backend and change with it; wishes are the system's, and stay.

/// Directions of a checksum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Directions {
    /// Sending.
    pub tx: bool,
    /// Receiving.
    pub rx: bool,
}

impl Directions {
    /// Both.
    pub const BOTH: Self = Self { tx: true, rx: true };

    /// From a keyword's value: bit 0 sending, bit 1 receiving.
    pub const fn from_bits(bits: u32) -> Self {
        Self {
            tx: bits & 1 != 0,
            rx: bits & 2 != 0,
        }
    }

    const fn and(self, other: Self) -> Self {
        Self {
            tx: self.tx && other.tx,
            rx: self.rx && other.rx,
        }
    }
}

/// A switch for each offload.
#[expect(
    clippy::struct_excessive_bools,
    reason = "switches that are set one by one"
)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offloads {
    /// IPv4 header checksum.
    pub ipv4: Directions,
    /// TCP over IPv4.
    pub tcp4: Directions,
    /// UDP over IPv4.
    pub udp4: Directions,
    /// TCP over IPv6.
    pub tcp6: Directions,
    /// UDP over IPv6.
    pub udp6: Directions,
    /// Large send over IPv4.
    pub lso4: bool,
    /// Large send over IPv6.
    pub lso6: bool,
    /// Coalescing over IPv4.
    pub rsc4: bool,
    /// Coalescing over IPv6.
    pub rsc6: bool,
}

impl Offloads {
    /// All of them.
    pub const ALL: Self = Self {
        ipv4: Directions::BOTH,
        tcp4: Directions::BOTH,
        udp4: Directions::BOTH,
        tcp6: Directions::BOTH,
        udp6: Directions::BOTH,
        lso4: true,
        lso6: true,
        rsc4: true,
        rsc6: true,
    };

    /// Those in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            ipv4: self.ipv4.and(other.ipv4),
            tcp4: self.tcp4.and(other.tcp4),
            udp4: self.udp4.and(other.udp4),
            tcp6: self.tcp6.and(other.tcp6),
            udp6: self.udp6.and(other.udp6),
            lso4: self.lso4 && other.lso4,
            lso6: self.lso6 && other.lso6,
            rsc4: self.rsc4 && other.rsc4,
            rsc6: self.rsc6 && other.rsc6,
        }
    }

    /// Without what rests on something that is off: a coalesced unit is told with its checksums
    /// checked.
    #[must_use]
    pub const fn consistent(self) -> Self {
        Self {
            rsc4: self.rsc4 && self.ipv4.rx && self.tcp4.rx,
            rsc6: self.rsc6 && self.tcp6.rx,
            ..self
        }
    }

    /// Whether these have nothing that `other` has not.
    #[must_use]
    pub fn is_within(self, other: Self) -> bool {
        self.and(other) == self
    }
}
