//! What the program in dom0 is to do: cases, one after the other, each with a guest of its own.

use serde::{Deserialize, Serialize};

/// Everything one boot of Xen does.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    /// The cases, in order.
    pub cases: Vec<Case>,
}

/// One guest, from its creation to its end.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Case {
    /// Name of the case, also of its folder of results and of its domain.
    pub name: String,
    /// The guest.
    pub guest: Guest,
    /// netback's `max_queues` when the interfaces are made.
    pub max_queues: u32,
    /// What to do, in order; the first step that fails ends the case.
    pub steps: Vec<Step>,
    /// Seconds the whole case may take.
    pub seconds: u64,
}

/// What `xl create` gets.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Guest {
    /// How it is started.
    pub kind: Kind,
    /// Its kernel: a path in dom0. HVM: none if it boots from its disk.
    pub kernel: Option<String>,
    /// The module beside the kernel: a path in dom0.
    pub ramdisk: Option<String>,
    /// HVM only: a disk image to boot from: a path in dom0.
    pub disk: Option<String>,
    /// Command line of the kernel.
    pub command_line: String,
    /// Virtual processors.
    pub vcpus: u32,
    /// Memory, in MiB.
    pub memory: u32,
    /// Interfaces it starts with: vif 0, 1, ...
    pub vifs: u32,
    /// MTU of bridges and interfaces.
    pub mtu: u32,
    /// `xl`'s `max_event_channels`, if not its default.
    pub max_event_channels: Option<u32>,
}

/// Type of the domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// PVH: no device model, no PCI.
    Pvh,
    /// HVM with the full device model: the Xen platform PCI device, an emulated network card.
    Hvm,
}

/// One step of a case's script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Step {
    /// `xl create`.
    Create,
    /// Waits until the backend of the interface is Connected and its device has a carrier.
    Connected {
        /// Number of the interface.
        vif: u32,
        /// How long, in seconds.
        seconds: u64,
    },
    /// netback has connected that many queues of the interface.
    Queues {
        /// Number of the interface.
        vif: u32,
        /// How many.
        count: usize,
    },
    /// Waits until the guest has printed `count` events of this name since the case began.
    Event {
        /// Name of the event.
        name: String,
        /// How many, in all.
        count: usize,
        /// How long, in seconds.
        seconds: u64,
    },
    /// Sends ICMP echo requests to the guest; every one must be answered.
    Ping {
        /// Number of the interface.
        vif: u32,
        /// Bytes of payload.
        bytes: u32,
        /// How many.
        count: u32,
    },
    /// `xl pause`, a wait, `xl unpause`.
    Pause {
        /// How long, in seconds.
        seconds: u64,
    },
    /// `xl network-detach`, and waits until the backend is gone.
    Detach {
        /// Number of the interface.
        vif: u32,
    },
    /// `xl network-attach`.
    Attach {
        /// Number of the interface.
        vif: u32,
    },
    /// Removes netback's module while interfaces are connected, and inserts it again.
    ReloadNetback {
        /// `max_queues` from now on.
        max_queues: u32,
    },
    /// Takes the interface's device in dom0 down, waits, and up again.
    LinkBounce {
        /// Number of the interface.
        vif: u32,
        /// How long it is down, in seconds.
        seconds: u64,
    },
    /// Keeps what netback and XenStore show of the interfaces, under this label.
    Observe {
        /// Folder of the results, and label of the events.
        label: String,
    },
    /// Sends the guest a line on its command connection.
    Command {
        /// The line.
        line: String,
        /// How long to wait for the connection, in seconds.
        seconds: u64,
    },
    /// Pings once a second from now on, so that the guest sees that dom0 is not done with it.
    KeepAlive {
        /// Number of the interface.
        vif: u32,
    },
    /// Ends [`Step::KeepAlive`].
    Release,
    /// Waits.
    Sleep {
        /// How long, in seconds.
        seconds: u64,
    },
    /// Waits until the domain has ended by itself.
    End {
        /// How long, in seconds.
        seconds: u64,
    },
}
