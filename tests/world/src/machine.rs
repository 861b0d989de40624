//! The simulated Xen under the harness: what privileged instructions of the drivers reach, and everybody who
//! lives on the other side of it (XenStore, backends).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use harness::{Bare, Hypercall, LINE_VECTOR, Platform};
use netback_model::{Netback, toolstack};
use xen_sim::{Interrupts, LeakReport, Line, PortState};
use xenstored_sim::Store;

use crate::host::{Host, HostPage};
use crate::memory::GuestRam;
use crate::network::Network;

/// Bytes of the platform device's memory, at the start of the hole above the guest's RAM; the pages that the
/// toolstack set aside come behind it.
pub(crate) const BAR: u64 = 16 << 20;
const PAGE: u64 = 4096;
/// Hypervisor present: bit 31 of ECX in leaf 1.
const HYPERVISOR: u32 = 1 << 31;

/// Changes a backend's configuration.
struct Elsewhere(Box<dyn Fn(&mut netback_model::Config) + Send>);

impl core::fmt::Debug for Elsewhere {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.write_str("Elsewhere")
    }
}

/// A vif: its backend and the network behind it.
pub struct Vif {
    /// The backend.
    pub backend: Netback<HostPage>,
    /// The network.
    pub network: Box<dyn Network>,
}

impl core::fmt::Debug for Vif {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.debug_struct("Vif")
            .field("backend", &self.backend)
            .finish_non_exhaustive()
    }
}

/// Xen and the other domains.
#[derive(Debug)]
pub struct Xen {
    /// The guest's machine.
    pub machine: xen_sim::Machine,
    /// XenStore.
    pub store: Store,
    /// By handle.
    pub vifs: BTreeMap<u32, Vif>,
    store_port: Option<(u32, u32)>,
    /// What the drivers did that no real machine would take.
    pub faults: Vec<String>,
    level: Level,
    resumes: u32,
    /// What another host makes of a backend.
    elsewhere: Option<Elsewhere>,
    amd: bool,
    /// Earliest time somebody asked to be polled at, if it is already arranged.
    alarm: Option<u64>,
}

/// The level-triggered line, as the interrupt controller sees it.
#[derive(Clone, Debug, Default)]
struct Level(Arc<Mutex<bool>>);

impl Level {
    fn is_up(&self) -> bool {
        *lock(&self.0)
    }
}

/// Takes a lock. Nobody panics while holding one but a test that fails anyway.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Brings Xen's interrupts to the harness's processors.
#[derive(Debug)]
struct Controller {
    machine: harness::Machine,
    level: Level,
}

impl Interrupts for Controller {
    fn raise(&mut self, vcpu: u32, line: Line) {
        if let Line::Vector(vector) = line {
            self.machine.raise_interrupt(vcpu, u32::from(vector));
        } else {
            *lock(&self.level.0) = true;
            self.machine.raise_interrupt(0, LINE_VECTOR);
        }
    }

    fn lower(&mut self, _line: Line) {
        *lock(&self.level.0) = false;
    }
}

impl Xen {
    fn new(machine: &harness::Machine, mut config: xen_sim::Config, amd: bool) -> Self {
        let hole = machine.hole_start().expect("the harness lives");
        config.store_pfn = (hole + BAR) / PAGE;
        config.console_pfn = config.store_pfn + 1;
        let level = Level::default();
        let controller = Controller {
            machine: machine.clone(),
            level: level.clone(),
        };
        let domid = config.domid;
        let ram = Box::new(GuestRam(machine.clone()));
        let machine = xen_sim::Machine::new(config, ram, Box::new(controller));
        let mut xen = Self {
            machine,
            store: Store::new(domid),
            vifs: BTreeMap::new(),
            store_port: None,
            faults: Vec::new(),
            level,
            resumes: 0,
            elsewhere: None,
            amd,
            alarm: None,
        };
        xen.bind_store();
        xen
    }

    /// Adds a vif as libxl does, with its backend, and lets the hotplug script succeed.
    pub fn add_vif(&mut self, config: netback_model::Config, network: Box<dyn Network>) {
        let handle = config.handle;
        let guest = config.frontend;
        let backend_domain = config.backend;
        let (front, back) = (
            toolstack::frontend_dir(&config),
            toolstack::backend_dir(&config),
        );
        // The directory appears last, when it is complete: libxl writes it in one transaction.
        let mut host = Host::new(&mut self.machine, &mut self.store);
        toolstack::publish(&mut host, &config);
        self.store
            .set_perms(&front, &format!("n{guest} r{backend_domain}"));
        self.store
            .set_perms(&back, &format!("n{backend_domain} r{guest}"));
        for dir in [&front, &back] {
            for child in self.store.children(dir) {
                let perms = if dir == &front {
                    format!("n{guest} r{backend_domain}")
                } else {
                    format!("n{backend_domain} r{guest}")
                };
                self.store.set_perms(&format!("{dir}/{child}"), &perms);
            }
        }
        let home = format!("/local/domain/{guest}/device/vif");
        self.store.set_perms(&home, &format!("n0 r{guest}"));
        let mut host = Host::new(&mut self.machine, &mut self.store);
        let gated = config.hotplug_gate;
        let backend = Netback::probe(&mut host, config);
        if gated {
            toolstack::hotplug_done(&mut host, backend.config());
        }
        self.vifs.insert(handle, Vif { backend, network });
    }

    /// Takes a vif away at once, as `xl destroy` of its backend does: both directories vanish.
    pub fn destroy_vif(&mut self, handle: u32) -> Option<Vif> {
        let mut vif = self.vifs.remove(&handle)?;
        let config = vif.backend.config().clone();
        let mut host = Host::new(&mut self.machine, &mut self.store);
        vif.backend.remove(&mut host);
        toolstack::withdraw(&mut host, &config);
        Some(vif)
    }

    /// The backend's driver goes, as with `rmmod`: the directories stay, and its state is Closed.
    pub fn unload_backend(&mut self, handle: u32) {
        let Some(vif) = self.vifs.get_mut(&handle) else {
            return;
        };
        let mut host = Host::new(&mut self.machine, &mut self.store);
        vif.backend.remove(&mut host);
        let state = format!("{}/state", toolstack::backend_dir(vif.backend.config()));
        netback_model::Store::write(&mut host, &state, "6");
    }

    /// The backend's driver comes back, as with `modprobe`, and may offer something else.
    pub fn load_backend(&mut self, handle: u32, change: impl FnOnce(&mut netback_model::Config)) {
        let Some(vif) = self.vifs.get_mut(&handle) else {
            return;
        };
        let mut config = vif.backend.config().clone();
        change(&mut config);
        let gated = config.hotplug_gate;
        let mut host = Host::new(&mut self.machine, &mut self.store);
        vif.backend = Netback::probe(&mut host, config);
        if gated {
            toolstack::hotplug_done(&mut host, vif.backend.config());
        }
    }

    /// What backends are where the guest is resumed, from now on.
    pub fn on_resume(&mut self, change: impl Fn(&mut netback_model::Config) + Send + 'static) {
        self.elsewhere = Some(Elsewhere(Box::new(change)));
    }

    /// Asks the guest to give a vif up (`xl network-detach`): the backend goes to Closing.
    pub fn ask_detach(&mut self, handle: u32) {
        if let Some(vif) = self.vifs.get(&handle) {
            let config = vif.backend.config().clone();
            toolstack::unplug(&mut Host::new(&mut self.machine, &mut self.store), &config);
        }
    }

    /// The vCPU that is interrupted by events of the guest's port which a backend's port is connected to.
    #[must_use]
    pub fn vcpu_of_backend_port(&self, backend_port: u32) -> u32 {
        (1..=self.machine.config().max_port)
            .map(|port| self.machine.port_state(port))
            .find_map(|(state, vcpu)| {
                let peer =
                    matches!(state, PortState::Interdomain { port, .. } if port == backend_port);
                peer.then_some(vcpu)
            })
            .unwrap_or(0)
    }

    /// Rules broken so far, and what the backends are doing.
    #[must_use]
    pub fn story(&self) -> String {
        let mut text = format!("xen: {:?} {:?}\n", self.machine.violations(), self.faults);
        for (handle, vif) in &self.vifs {
            let (state, rules) = (vif.backend.state(), vif.backend.rules().all());
            text.push_str(&format!("vif {handle}: {state:?} {rules:?}\n"));
        }
        text
    }

    /// What the guest and the backends have not given back.
    #[must_use]
    pub fn leaks(&self) -> LeakReport {
        let mut report = self.machine.leaks();
        // XenStore's own end of its channel belongs to the daemon.
        if let Some((_, own)) = self.store_port {
            report.backend_ports.retain(|port| *port != own);
        }
        report
    }

    /// Binds XenStore's end of its channel. The toolstack has that done before the guest runs.
    fn bind_store(&mut self) {
        let guest_port = self.machine.store_port();
        if self.store_port.map(|(guest, _)| guest) != Some(guest_port) {
            let domid = self.machine.config().store_domid;
            if let Ok(own) = self.machine.backend_bind(domid, guest_port) {
                self.store_port = Some((guest_port, own));
            }
        }
    }

    /// Serves XenStore's ring.
    fn poll_store(&mut self) -> bool {
        self.bind_store();
        let Some((_, own)) = self.store_port else {
            return false;
        };
        self.machine.backend_take(own);
        let Some(page) = self.machine.frame(self.machine.config().store_pfn) else {
            return false;
        };
        let moved = self.store.poll(page);
        if moved {
            self.machine.backend_notify(own);
        }
        moved
    }

    /// The guest was resumed in a new domain: connections are gone, and the toolstack sets up the vifs anew.
    fn follow_resume(&mut self) {
        if self.resumes == self.machine.resumes() {
            return;
        }
        self.resumes = self.machine.resumes();
        self.store_port = None;
        self.store.forget_guest();
        self.bind_store();
        let handles: Vec<u32> = self.vifs.keys().copied().collect();
        for handle in handles {
            if let Some(vif) = self.destroy_vif(handle) {
                let mut config = vif.backend.config().clone();
                if let Some(Elsewhere(change)) = &self.elsewhere {
                    change(&mut config);
                }
                self.add_vif(config, vif.network);
            }
        }
    }

    fn poll(&mut self, harness: &harness::Machine) -> bool {
        self.follow_resume();
        let now = harness.now();
        self.machine.update_callback_line();
        let mut worked = self.poll_store();
        let mut soonest: Option<u64> = None;
        for vif in self.vifs.values_mut() {
            worked |= vif.network.poll(now);
            let mut host = Host::new(&mut self.machine, &mut self.store);
            worked |= vif.backend.poll(&mut host, &mut *vif.network, now * 100);
            let deadlines = [
                vif.backend.next_deadline().map(|at| at.div_ceil(100)),
                vif.network.next_deadline(),
            ];
            soonest = deadlines.into_iter().flatten().chain(soonest).min();
        }
        self.machine.check_grants();
        self.machine.update_callback_line();
        if !worked && self.level.is_up() {
            // Still asserted: a level interrupts again.
            harness.raise_interrupt(0, LINE_VECTOR);
        }
        if !worked && let Some(at) = soonest {
            // What was due and found nothing to do is asked again a little later, not at once.
            self.arrange(if at <= now { now + 1000 } else { at }, harness);
        }
        worked
    }

    /// Has time stop at `at`, so that a poll happens then.
    fn arrange(&mut self, at: u64, harness: &harness::Machine) {
        let passed = self.alarm.is_none_or(|alarm| alarm <= harness.now());
        if passed || self.alarm.is_some_and(|alarm| at < alarm) {
            self.alarm = Some(at);
            harness.at(at, || {});
        }
    }
}

/// [`Xen`] as the harness's platform.
#[derive(Clone, Debug)]
pub struct XenPlatform(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    config: xen_sim::Config,
    amd: bool,
    bare: Bare,
    harness: Mutex<Option<harness::Machine>>,
    xen: Mutex<Option<Xen>>,
}

impl XenPlatform {
    /// A Xen of this configuration on an Intel or AMD processor; it comes to life with the harness.
    #[must_use]
    pub fn new(config: xen_sim::Config, amd: bool) -> Self {
        Self(Arc::new(Shared {
            config,
            amd,
            bare: Bare,
            harness: Mutex::new(None),
            xen: Mutex::new(None),
        }))
    }

    /// Uses Xen from outside the guest.
    ///
    /// # Panics
    /// Before the harness was built and after [`XenPlatform::end`].
    pub fn with<R>(&self, body: impl FnOnce(&mut Xen) -> R) -> R {
        body(
            lock(&self.0.xen)
                .as_mut()
                .expect("Xen lives as long as the world"),
        )
    }

    /// Ends Xen: before the harness, whose memory it uses.
    pub fn end(&self) {
        lock(&self.0.xen).take();
    }

    fn harness(&self) -> Option<harness::Machine> {
        lock(&self.0.harness).clone()
    }
}

impl Platform for XenPlatform {
    fn attached(&self, machine: harness::Machine) {
        let xen = Xen::new(&machine, self.0.config.clone(), self.0.amd);
        *lock(&self.0.xen) = Some(xen);
        *lock(&self.0.harness) = Some(machine);
    }

    fn cpuid(&self, cpu: u32, leaf: u32, subleaf: u32) -> [u32; 4] {
        if let Some(xen) = lock(&self.0.xen).as_ref()
            && let Some(answer) = xen.machine.cpuid(cpu, leaf, subleaf)
        {
            return answer;
        }
        let mut answer = self.0.bare.cpuid(cpu, leaf, subleaf);
        match leaf {
            // "AuthenticAMD".
            0 if self.0.amd => [answer[0], 0x6874_7541, 0x444D_4163, 0x6974_6E65],
            1 => {
                answer[2] |= HYPERVISOR;
                answer
            }
            _ => answer,
        }
    }

    fn port_in(&self, cpu: u32, port: u16, width: u8) -> u32 {
        let answer = lock(&self.0.xen)
            .as_mut()
            .and_then(|xen| xen.machine.io_read(port, width));
        answer.unwrap_or_else(|| self.0.bare.port_in(cpu, port, width))
    }

    fn port_out(&self, _cpu: u32, port: u16, width: u8, value: u32) {
        if let Some(xen) = lock(&self.0.xen).as_mut() {
            xen.machine.io_write(port, width, value);
        }
    }

    fn rdmsr(&self, _cpu: u32, _msr: u32) -> Option<u64> {
        None
    }

    fn wrmsr(&self, _cpu: u32, msr: u32, value: u64) -> Option<()> {
        let mut xen = lock(&self.0.xen);
        xen.as_mut()?.machine.write_msr(msr, value).then_some(())
    }

    fn hypercall(&self, cpu: u32, call: Hypercall) -> u64 {
        let mut guard = lock(&self.0.xen);
        let Some(xen) = guard.as_mut() else {
            return (-38_i64).cast_unsigned();
        };
        if call.amd != xen.amd {
            // The instruction of the other vendor is an invalid opcode.
            xen.faults.push(format!(
                "hypercall {} by the other vendor's instruction",
                call.number
            ));
        }
        // The line follows the pending flag, which the guest may have cleared since the last exit.
        xen.machine.update_callback_line();
        let result = xen.machine.hypercall(cpu, call.number, call.arguments);
        // A guest resumed in a new domain finds that domain complete.
        xen.follow_resume();
        result.cast_unsigned()
    }

    fn poll(&self) -> bool {
        let Some(harness) = self.harness() else {
            return false;
        };
        lock(&self.0.xen)
            .as_mut()
            .is_some_and(|xen| xen.poll(&harness))
    }
}
