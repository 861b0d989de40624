//! Which backend the model plays.

/// Features, each as its XenStore key says it. `None` in a key's place: the key is not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "one switch per XenStore key; they are independent"
)]
pub struct Features {
    /// feature-rx-copy.
    pub rx_copy: bool,
    /// feature-rx-flip = 0 is written.
    pub rx_flip_key: bool,
    /// feature-sg.
    pub sg: bool,
    /// feature-gso-tcpv4.
    pub gso_tcpv4: bool,
    /// feature-gso-tcpv6.
    pub gso_tcpv6: bool,
    /// feature-no-csum-offload.
    pub no_csum_offload: bool,
    /// feature-ipv6-csum-offload.
    pub ipv6_csum_offload: bool,
    /// feature-multicast-control.
    pub multicast_control: bool,
    /// feature-dynamic-multicast-control.
    pub dynamic_multicast_control: bool,
    /// feature-split-event-channels.
    pub split_event_channels: bool,
    /// multi-queue-max-queues; 0 = key absent (one queue).
    pub max_queues: u16,
    /// feature-ctrl-ring.
    pub ctrl_ring: bool,
    /// feature-xdp-headroom.
    pub xdp_headroom: bool,
    /// `carrier` is written and follows the vif's carrier.
    pub carrier_key: bool,
    /// Grants per queue that may stay mapped (control messages 8 to 10); 0 = not supported.
    pub gref_mapping: u32,
}

impl Features {
    /// Only what no frontend can do without.
    pub const MINIMAL: Self = Self {
        rx_copy: true,
        rx_flip_key: false,
        sg: false,
        gso_tcpv4: false,
        gso_tcpv6: false,
        no_csum_offload: false,
        ipv6_csum_offload: false,
        multicast_control: false,
        dynamic_multicast_control: false,
        split_event_channels: false,
        max_queues: 0,
        ctrl_ring: false,
        xdp_headroom: false,
        carrier_key: false,
        gref_mapping: 0,
    };

    /// Current Linux on a machine with 8 CPUs.
    pub const LINUX: Self = Self {
        rx_flip_key: true,
        sg: true,
        gso_tcpv4: true,
        gso_tcpv6: true,
        ipv6_csum_offload: true,
        multicast_control: true,
        dynamic_multicast_control: true,
        split_event_channels: true,
        max_queues: 8,
        ctrl_ring: true,
        xdp_headroom: true,
        ..Self::MINIMAL
    };
}

/// What a TX extra does to the packet it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExtraPolicy {
    /// Linux: types 1 up to this one are known, others fatal.
    KnownUpTo(u8),
    /// FreeBSD: one GSO extra; anything else discards the packet.
    OneGso,
    /// NetBSD: any extra discards the packet.
    Refuse,
    /// QEMU: not looked at; the extra slot itself is taken for a request.
    Unparsed,
}

/// How the state machine leaves `Closed` and `Connected`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reconnect {
    /// Linux: Initialising alone leads from any state to `InitWait`.
    Linux,
    /// Only `Closed` leads to `InitWait` (QEMU).
    FromClosed,
    /// Initialising is ignored; `Closed` is final until the next probe (FreeBSD, NetBSD).
    Never,
}

/// When TX slots are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseMode {
    /// As Linux: copied slots inside the poll, mapped ones at its end.
    Immediate,
    /// All after this many nanoseconds; pages stay mapped meanwhile.
    Delayed(u64),
    /// At the end of the poll, in an order made from this seed.
    Reordered(u64),
    /// Only when [`crate::Netback::release`] says so; pages stay mapped.
    Held,
}

/// Times, nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// A frame without RX slots is dropped after this (`rx_drain_timeout_msecs`).
    pub rx_drain_ns: u64,
    /// A queue without RX slots is stalled after this (`rx_stall_timeout_msecs`); 0 = never.
    pub rx_stall_ns: u64,
    /// A missing notification is reported after this.
    pub notify_patience_ns: u64,
}

/// A backend of `netif-and-backends.md`, section 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// Linux, current.
    Linux,
    /// Dom0 of XCP-ng or XenServer 8 (Linux 4.19).
    XcpNg,
    /// QEMU `xen_nic`.
    Qemu,
    /// FreeBSD.
    FreeBsd,
    /// NetBSD 10.
    NetBsd,
    /// `MirageOS`, as in qubes-mirage-firewall.
    Mirage,
    /// No optional key at all.
    Minimal,
}

impl Preset {
    /// Every preset.
    pub const ALL: [Self; 7] = [
        Self::Linux,
        Self::XcpNg,
        Self::Qemu,
        Self::FreeBsd,
        Self::NetBsd,
        Self::Mirage,
        Self::Minimal,
    ];
}

/// One vif's backend.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent traits of the backends, not a state"
)]
pub struct Config {
    /// The backend's domain.
    pub backend: u16,
    /// The guest.
    pub frontend: u16,
    /// Number of the vif.
    pub handle: u32,
    /// Address of the guest's end.
    pub mac: [u8; 6],
    /// `mtu`, bytes.
    pub mtu: u16,
    /// What is advertised.
    pub features: Features,
    /// TX extras.
    pub extras: ExtraPolicy,
    /// Several TX slots per packet are understood, whatever `features.sg` says.
    pub multi_slot: bool,
    /// A fatal rule disables the vif; otherwise the offending packet is answered ERROR.
    pub fatal_disables: bool,
    /// Additional slots above which a packet is an attack (`fatal_skb_slots`).
    pub fatal_slots: u32,
    /// Longest TX frame taken, bytes.
    pub max_tx_frame: u32,
    /// Bytes before the frame in an RX page.
    pub rx_offset: u16,
    /// RX responses carry checksum flags.
    pub rx_csum_flags: bool,
    /// GSO frames are sent to frontends that ask for them; else they are segmented.
    pub rx_gso: bool,
    /// A queue is stalled when it has no request at all, whatever waits (Linux 4.19).
    pub stall_without_request: bool,
    /// How a connection ends and begins again.
    pub reconnect: Reconnect,
    /// `Connected` waits for hotplug-status = "connected".
    pub hotplug_gate: bool,
    /// A GSO frame is marked neither validated nor blank (`MirageOS` before PR 126).
    pub rx_gso_without_flags: bool,
    /// TX answers.
    pub responses: ResponseMode,
    /// Times.
    pub timeouts: Timeouts,
    /// TX rate limit: bytes per interval of nanoseconds.
    pub rate: Option<(u64, u64)>,
}

/// One millisecond, in nanoseconds.
const MS: u64 = 1_000_000;

impl Config {
    /// Once this many bytes wait for RX slots in one queue, further frames are dropped.
    pub(crate) const BACKLOG_BYTES: usize = 512 * 1024;

    /// A preset for vif `handle` of guest `frontend`, served by domain 0.
    pub fn preset(preset: Preset, frontend: u16, handle: u32) -> Self {
        let linux = Self {
            backend: 0,
            frontend,
            handle,
            mac: [0x00, 0x16, 0x3E, 0x00, frontend as u8, handle as u8],
            mtu: 1500,
            features: Features::LINUX,
            extras: ExtraPolicy::KnownUpTo(5),
            multi_slot: true,
            fatal_disables: true,
            fatal_slots: 20,
            max_tx_frame: 0xFFFF,
            rx_offset: 0,
            rx_csum_flags: true,
            rx_gso: true,
            stall_without_request: false,
            reconnect: Reconnect::Linux,
            hotplug_gate: true,
            rx_gso_without_flags: false,
            responses: ResponseMode::Immediate,
            timeouts: Timeouts {
                rx_drain_ns: 10_000 * MS,
                rx_stall_ns: 60_000 * MS,
                notify_patience_ns: 100 * MS,
            },
            rate: None,
        };
        let lenient = Self {
            fatal_disables: false,
            hotplug_gate: false,
            timeouts: Timeouts {
                rx_stall_ns: 0,
                ..linux.timeouts
            },
            ..linux.clone()
        };
        match preset {
            Preset::Linux => linux,
            Preset::XcpNg => Self {
                features: Features {
                    xdp_headroom: false,
                    ..Features::LINUX
                },
                extras: ExtraPolicy::KnownUpTo(4),
                stall_without_request: true,
                ..linux
            },
            Preset::Qemu => Self {
                features: Features::MINIMAL,
                extras: ExtraPolicy::Unparsed,
                multi_slot: false,
                rx_offset: 2,
                rx_gso: false,
                rx_csum_flags: false,
                reconnect: Reconnect::FromClosed,
                max_tx_frame: 4096,
                ..lenient
            },
            Preset::FreeBsd => Self {
                features: Features {
                    sg: true,
                    ..Features::MINIMAL
                },
                extras: ExtraPolicy::OneGso,
                reconnect: Reconnect::Never,
                ..lenient
            },
            Preset::NetBsd => Self {
                features: Features {
                    sg: true,
                    ipv6_csum_offload: true,
                    ..Features::MINIMAL
                },
                extras: ExtraPolicy::Refuse,
                reconnect: Reconnect::Never,
                max_tx_frame: 9018,
                rx_gso: false,
                ..lenient
            },
            Preset::Mirage => Self {
                features: Features {
                    sg: true,
                    gso_tcpv4: true,
                    ..Features::MINIMAL
                },
                extras: ExtraPolicy::OneGso,
                rx_csum_flags: false,
                rx_gso_without_flags: true,
                reconnect: Reconnect::FromClosed,
                ..lenient
            },
            Preset::Minimal => Self {
                features: Features::MINIMAL,
                extras: ExtraPolicy::Refuse,
                multi_slot: false,
                rx_gso: false,
                rx_csum_flags: false,
                ..lenient
            },
        }
    }
}
