//! Counters, as `ethtool -S` and the interface statistics show them. "rx" is towards the guest.

/// What happened on one queue since it was connected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueCounters {
    /// Packets from the guest.
    pub tx_packets: u64,
    /// Packets to the guest.
    pub rx_packets: u64,
    /// Events from the guest.
    pub events: u64,
    /// Our event-channel port that the guest's TX events come to.
    pub port: u32,
}

/// What happened on a vif since it was probed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each name says what is counted")]
pub struct Counters {
    pub connects: u64,
    pub disconnects: u64,
    pub tx_packets: u64,
    pub tx_bytes: u64,
    pub tx_slots: u64,
    pub tx_extras: u64,
    pub tx_errors: u64,
    pub tx_grant_copies: u64,
    pub tx_grant_maps: u64,
    pub tx_persistent_uses: u64,
    pub grefs_mapped: u64,
    pub grefs_unmapped: u64,
    pub grefs_left_at_disconnect: u64,
    pub tx_responses: u64,
    pub tx_notifies: u64,
    pub tx_frag_overflow: u64,
    pub tx_gso_packets: u64,
    pub tx_csum_blank: u64,
    pub tx_credit_waits: u64,
    pub rx_packets: u64,
    pub rx_bytes: u64,
    pub rx_slots: u64,
    pub rx_extras: u64,
    pub rx_notifies: u64,
    pub rx_gso_packets: u64,
    pub rx_gso_checksum_fixup: u64,
    pub rx_dropped_no_carrier: u64,
    pub rx_dropped_queue_full: u64,
    pub rx_dropped_expired: u64,
    pub rx_dropped_too_long: u64,
    pub rx_dropped_multicast: u64,
    pub rx_grant_errors: u64,
    pub ctrl_requests: u64,
    pub ctrl_errors: u64,
    pub events: u64,
    pub events_spurious: u64,
    pub carrier_off: u64,
}
