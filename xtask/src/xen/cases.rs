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
        mib: 1,
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

    /// Checks how many queues netback has connected.
    fn connected_queues(self, kind: GuestKind, count: u32) -> Self {
        match kind {
            GuestKind::Drivers => self.steps([queues(0, count)]),
            // It asks for one per processor, whatever the command line says.
            GuestKind::Linux => self,
        }
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
    traffic(kind, name, "demo", load)
}

/// A guest that moves data by itself and then reports.
fn traffic(kind: GuestKind, name: &str, run: &str, load: Load) -> Builder {
    Builder::new(kind, name, run, load).steps([
        Step::KeepAlive { vif: 0 },
        Step::Event {
            name: "report".to_owned(),
            count: 1,
            seconds: TRANSFER_SECONDS,
        },
    ])
}

/// Name of the case of offloads.
pub(super) const OFFLOADS: &str = "offloads";

/// Transfers with the offloads on, and with each off in turn. One connection each way, so that there is much to join;
/// dom0's counters afterwards are those of all sections.
fn offloads(kind: GuestKind, load: Load) -> Case {
    Builder::new(kind, OFFLOADS, "offloads", Load { mib: 4, ..load })
        .steps([
            Step::KeepAlive { vif: 0 },
            Step::Event {
                name: "offloads".to_owned(),
                count: 1,
                seconds: TRANSFER_SECONDS,
            },
            observe("all"),
            Step::Event {
                name: "sections".to_owned(),
                count: 1,
                seconds: 5 * TRANSFER_SECONDS,
            },
        ])
        .with(|case| case.seconds = 1500)
        .finish()
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
    let mut cases = Vec::new();
    for (events, word) in [("", "fifo=1"), ("two-level-", "fifo=0")] {
        for (cpus, cpus_name) in [(1, "one-cpu"), (4, "four-cpus")] {
            for (queues, queues_name) in [(1, "one-queue"), (4, "four-queues")] {
                let name = format!("{events}{cpus_name}-{queues_name}");
                // The guest asks for as many as it has processors; netback's limit is what differs.
                let load = Load { cpus, ..wide };
                let case = demo_named(kind, &name, load)
                    .words(word)
                    .with(|case| case.max_queues = queues);
                cases.push(case.connected_queues(kind, cpus.min(queues)).finish());
            }
        }
    }
    cases.extend([
        demo_named(kind, "few-event-channels", wide)
            .with(|case| case.guest.max_event_channels = Some(24))
            .finish(),
        demo_named(kind, "jumbo", wide)
            .with(|case| case.guest.mtu = 9000)
            .words("mtu=9000")
            .steps([ping(8900)])
            .finish(),
    ]);
    if kind == GuestKind::Drivers {
        // Long enough for dozens of tables.
        let long = Load { mib: 8, ..wide };
        cases.push(traffic(kind, "rss", "rss", long).finish());
        cases.push(offloads(kind, small));
    }
    cases.extend(changes(kind, wide));
    if hvm && kind == GuestKind::Drivers {
        cases.extend(platform_device(kind, wide));
    }
    cases
}

/// What only an HVM guest has: the platform device's interrupt line, and emulated network cards.
fn platform_device(kind: GuestKind, load: Load) -> [Case; 2] {
    let pair = Load { cpus: 2, ..load };
    [
        demo_named(kind, "interrupt-line", pair)
            .words("line=1")
            .finish(),
        demo_named(kind, "emulated-card-stays", pair)
            .words("unplug=0")
            .finish(),
    ]
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
            .steps(replug(0))
            .steps([pass_again(), pass(2)])
            .steps(replug(0))
            .steps([pass_again(), pass(3)])
            .finish_by_command(),
        case("second-vif")
            .steps([
                Step::Attach { vif: 1 },
                connected(1),
                pass_again(),
                pass(2),
                ping_vif(1, 64),
                ping_vif(1, 1400),
                Step::Detach { vif: 1 },
                pass_again(),
                pass(3),
            ])
            .finish_by_command(),
        reload(case("netback-reload"), kind, load.queues).finish_by_command(),
        reload(case("netback-reload-fewer-queues"), kind, 1).finish_by_command(),
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

fn replug(vif: u32) -> [Step; 3] {
    [Step::Detach { vif }, Step::Attach { vif }, connected(vif)]
}

/// netback's module is removed and inserted again, with this `max_queues`.
fn reload(case: Builder, kind: GuestKind, max_queues: u32) -> Builder {
    case.steps([Step::ReloadNetback { max_queues }, connected(0)])
        .connected_queues(kind, max_queues)
        .steps([pass_again(), pass(2)])
}

fn connected(vif: u32) -> Step {
    Step::Connected {
        vif,
        seconds: CONNECT_SECONDS,
    }
}

fn queues(vif: u32, count: u32) -> Step {
    Step::Queues {
        vif,
        count: count as usize,
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
        count: 3,
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
