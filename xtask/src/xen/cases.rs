//! What one boot of Xen does: the demo, and the matrix of guests.

use dom0::plan::{Case, Guest, Kind, Step};

use super::GuestKind;

/// Where dom0 sees the guest's files.
const KERNEL: &str = "/run/guest.elf";
const MODULE: &str = "/run/guest.module";

/// Seconds an interface may take to connect, from the guest's creation. All limits here are
/// by the emulated machine's clock; a step ends when it is done.
const CONNECT_SECONDS: u64 = 60;

/// The same for HVM guests: firmware and boot loader read the kernel through emulated devices.
const HVM_CONNECT_SECONDS: u64 = 240;

/// Seconds a transfer of a case may take.
const TRANSFER_SECONDS: u64 = 240;

/// Seconds a guest may take to unload its drivers and power off.
const END_SECONDS: u64 = 60;

/// What the demo moves, and over what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// Queues asked for; also netback's `max_queues`.
    pub(crate) queues: u32,
    /// Virtual processors.
    pub(crate) cpus: u32,
    /// MiB each way.
    pub(crate) mib: u32,
    /// Seed of the transfers.
    pub(crate) seed: u64,
    /// Full HVM, not PVH.
    pub(crate) hvm: bool,
}

impl Load {
    const SMALL: Self = Self {
        queues: 1,
        cpus: 1,
        mib: 2,
        seed: 1,
        hvm: false,
    };
}

/// A case in the making.
struct Builder {
    case: Case,
}

impl Builder {
    fn new(kind: GuestKind, name: &str, run: &str, load: Load) -> Self {
        let command_line = match kind {
            GuestKind::Drivers => format!(
                "case={run} queues={} cpus={} mib={} seed={}",
                load.queues, load.cpus, load.mib, load.seed
            ),
            GuestKind::Linux => format!(
                "console=hvc0 loglevel=4 panic=-1 init=/init bed.mib={} bed.run={run}",
                load.mib
            ),
        };
        Self {
            case: Case {
                name: name.to_owned(),
                guest: Guest {
                    kind: if load.hvm { Kind::Hvm } else { Kind::Pvh },
                    kernel: Some(KERNEL.to_owned()),
                    ramdisk: Some(MODULE.to_owned()),
                    disk: None,
                    command_line,
                    vcpus: load.cpus,
                    memory: 256,
                    vifs: 1,
                    mtu: 1500,
                    max_event_channels: None,
                },
                max_queues: load.queues,
                steps: vec![
                    Step::Create,
                    Step::Connected {
                        vif: 0,
                        seconds: if load.hvm {
                            HVM_CONNECT_SECONDS
                        } else {
                            CONNECT_SECONDS
                        },
                    },
                ],
                seconds: 600,
            },
        }
    }

    fn words(mut self, words: &str) -> Self {
        self.case.guest.command_line.push(' ');
        self.case.guest.command_line.push_str(words);
        self
    }

    fn steps(mut self, steps: impl IntoIterator<Item = Step>) -> Self {
        self.case.steps.extend(steps);
        self
    }

    fn with(mut self, change: impl FnOnce(&mut Case)) -> Self {
        change(&mut self.case);
        self
    }

    /// Pings, a look at the counters, and the guest's end.
    fn finish(self) -> Case {
        self.steps([
            ping(64),
            ping(1400),
            observe("end"),
            Step::Release,
            Step::End {
                seconds: END_SECONDS,
            },
        ])
        .case
    }

    /// As [`Builder::finish`], for a guest that waits for the word.
    fn finish_by_command(self) -> Case {
        self.steps([
            ping(64),
            ping(1400),
            observe("end"),
            command("end"),
            Step::End {
                seconds: END_SECONDS,
            },
        ])
        .case
    }
}

/// The demo: transfers both ways, pings, and a look at the counters.
pub(super) fn demo(kind: GuestKind, load: &Load) -> Case {
    demo_named(kind, "demo", *load).finish()
}

fn demo_named(kind: GuestKind, name: &str, load: Load) -> Builder {
    Builder::new(kind, name, "demo", load).steps([
        Step::KeepAlive { vif: 0 },
        Step::Event {
            name: "report".to_owned(),
            count: 1,
            seconds: TRANSFER_SECONDS,
        },
    ])
}

/// Every case of the matrix.
pub(super) fn matrix(kind: GuestKind, seed: u64, hvm: bool) -> Vec<Case> {
    let small = Load {
        seed,
        hvm,
        ..Load::SMALL
    };
    let wide = Load {
        queues: 4,
        cpus: 4,
        ..small
    };
    let mut cases = vec![
        demo_named(kind, "one-cpu-one-queue", small).finish(),
        demo_named(kind, "four-cpus-four-queues", wide).finish(),
        demo_named(kind, "four-cpus-one-queue", Load { queues: 1, ..wide }).finish(),
        demo_named(kind, "one-cpu-four-queues", Load { cpus: 1, ..wide }).finish(),
        demo_named(kind, "two-level-one-cpu", small)
            .words("fifo=0")
            .finish(),
        demo_named(kind, "two-level-four-cpus", wide)
            .words("fifo=0")
            .finish(),
        demo_named(kind, "few-event-channels", wide)
            .with(|case| case.guest.max_event_channels = Some(24))
            .finish(),
        demo_named(kind, "jumbo", wide)
            .with(|case| case.guest.mtu = 9000)
            .words("mtu=9000")
            .finish(),
    ];
    cases.extend(changes(kind, wide));
    cases
}

/// What dom0 does to a guest that carries traffic.
fn changes(kind: GuestKind, load: Load) -> Vec<Case> {
    let load = match kind {
        GuestKind::Drivers => load,
        // Fewer interrupts, of which QEMU may deliver one twice (docs/testing.md).
        GuestKind::Linux => Load { cpus: 1, ..load },
    };
    let case = |name: &str| Builder::new(kind, name, "hotplug", load).steps([pass(1)]);
    vec![
        case("pause")
            .steps([Step::Pause { seconds: 5 }, pass_again(), pass(2)])
            .finish_by_command(),
        case("replug")
            .steps([
                Step::Detach { vif: 0 },
                Step::Attach { vif: 0 },
                connected(0),
                pass_again(),
                pass(2),
            ])
            .finish_by_command(),
        case("second-vif")
            .steps([
                Step::Attach { vif: 1 },
                connected(1),
                ping_vif(1, 64),
                ping_vif(1, 1400),
                Step::Detach { vif: 1 },
                pass_again(),
                pass(2),
            ])
            .finish_by_command(),
        case("netback-reload")
            .steps([
                Step::ReloadNetback { max_queues: 4 },
                connected(0),
                pass_again(),
                pass(2),
            ])
            .finish_by_command(),
        case("netback-reload-fewer-queues")
            .steps([
                Step::ReloadNetback { max_queues: 1 },
                connected(0),
                pass_again(),
                pass(2),
            ])
            .finish_by_command(),
        case("link-bounce")
            .steps([
                Step::LinkBounce { vif: 0, seconds: 2 },
                pass_again(),
                pass(2),
            ])
            .finish_by_command(),
        case("table-change")
            .steps([
                observe("before"),
                command("rss 0,1,2,3"),
                command("rss 2"),
                pass_again(),
                pass(2),
                observe("after"),
            ])
            .finish_by_command(),
    ]
}

fn connected(vif: u32) -> Step {
    Step::Connected {
        vif,
        seconds: CONNECT_SECONDS,
    }
}

/// Waits until the guest has finished its transfers for the `count`th time.
fn pass(count: usize) -> Step {
    Step::Event {
        name: "case".to_owned(),
        count,
        seconds: TRANSFER_SECONDS,
    }
}

fn pass_again() -> Step {
    command("pass")
}

fn command(line: &str) -> Step {
    Step::Command {
        line: line.to_owned(),
        seconds: CONNECT_SECONDS,
    }
}

fn ping(bytes: u32) -> Step {
    ping_vif(0, bytes)
}

fn ping_vif(vif: u32, bytes: u32) -> Step {
    Step::Ping {
        vif,
        bytes,
        count: 5,
    }
}

fn observe(label: &str) -> Step {
    Step::Observe {
        label: label.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{GuestKind, matrix};

    #[test]
    fn names_are_unique_and_cases_end() {
        let cases = matrix(GuestKind::Drivers, 1, false);
        let names: HashSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
        assert_eq!(names.len(), cases.len());
        for case in &cases {
            assert!(
                matches!(case.steps.last(), Some(dom0::plan::Step::End { .. })),
                "{}",
                case.name
            );
        }
    }
}
