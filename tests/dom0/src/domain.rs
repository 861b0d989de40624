//! The guest as a domain: its configuration, its life, its interfaces.

use std::{
    fmt::Write as _,
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use dom0::plan::{Case, Guest, Kind};

use crate::command::Tool;

/// How often a state is looked at.
const PERIOD: Duration = Duration::from_millis(200);

/// Seconds `xl` may take: a device model and a slow machine included.
const XL_SECONDS: u64 = 120;

/// Script of the toolstack that puts an interface on its bridge.
const VIF_SCRIPT: &str = "/etc/xen/scripts/vif-bridge";

/// A domain that exists.
#[derive(Debug)]
pub(crate) struct Domain {
    name: String,
    /// Its number.
    pub(crate) id: u32,
    mtu: u32,
}

impl Domain {
    /// `xl create`.
    ///
    /// # Errors
    /// What `xl` says.
    pub(crate) fn create(case: &Case, folder: &Path) -> Result<Self> {
        let path = folder.join("guest.cfg");
        fs::write(&path, configuration(&case.name, &case.guest))?;
        Tool::new("xl")
            .args(["create", &path.to_string_lossy()])
            .seconds(XL_SECONDS)
            .run()?;
        let id = Tool::new("xl").args(["domid", &case.name]).run()?;
        Ok(Self {
            name: case.name.clone(),
            id: id.trim().parse()?,
            mtu: case.guest.mtu,
        })
    }

    /// Whether it is still there.
    pub(crate) fn exists(&self) -> bool {
        Tool::new("xenstore-exists")
            .args([format!("/local/domain/{}", self.id)])
            .succeeds()
    }

    /// Ends it, whatever it does.
    pub(crate) fn destroy(&self) -> Result<()> {
        self.xl(&["destroy"], &[])
    }

    /// `xl pause`, a wait, `xl unpause`.
    ///
    /// # Errors
    /// What `xl` says.
    pub(crate) fn pause(&self, time: Duration) -> Result<()> {
        self.xl(&["pause"], &[])?;
        thread::sleep(time);
        self.xl(&["unpause"], &[])
    }

    /// `xl network-detach`, and waits until the backend is gone.
    ///
    /// # Errors
    /// What `xl` says, or the backend stays.
    pub(crate) fn detach(&self, vif: u32) -> Result<()> {
        self.xl(&["network-detach"], &[&vif.to_string()])?;
        let backend = self.backend(vif);
        wait_until(Duration::from_secs(30), || {
            !Tool::new("xenstore-exists").args([&backend]).succeeds()
        })
        .then_some(())
        .ok_or_else(|| anyhow::anyhow!("{backend} is still there"))
    }

    /// `xl network-attach`, with the MAC address and bridge the interface had.
    ///
    /// # Errors
    /// What `xl` says.
    pub(crate) fn attach(&self, vif: u32) -> Result<()> {
        let options = vif_options(vif, self.mtu);
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        self.xl(&["network-attach"], &options)
    }

    /// Whether the backend is Connected and its device has a carrier.
    pub(crate) fn is_connected(&self, vif: u32) -> bool {
        self.backend_state(vif) == "4" && self.carrier(vif) == "1"
    }

    /// What the backend's connection looks like, for people.
    pub(crate) fn connection(&self, vif: u32) -> String {
        format!(
            "backend state {:?}, carrier {:?}",
            self.backend_state(vif),
            self.carrier(vif)
        )
    }

    fn backend_state(&self, vif: u32) -> String {
        read_key(&format!("{}/state", self.backend(vif)))
    }

    fn carrier(&self, vif: u32) -> String {
        let path = format!("/sys/class/net/{}/carrier", self.device(vif));
        fs::read_to_string(path).map_or_else(|_| String::new(), |text| text.trim().to_owned())
    }

    /// Waits until the domain is gone.
    ///
    /// # Errors
    /// The time is over.
    pub(crate) fn wait_end(&self, time: Duration) -> Result<()> {
        if wait_until(time, || !self.exists()) {
            return Ok(());
        }
        bail!("the domain is still there")
    }

    /// Runs the toolstack's script again: netback's module was reloaded, and waits for it.
    ///
    /// # Errors
    /// What the script says.
    pub(crate) fn hotplug(&self, vif: u32) -> Result<()> {
        Tool::new(VIF_SCRIPT)
            .args(["online"])
            .env("XENBUS_PATH", &self.backend(vif)[LOCAL_DOMAIN_0.len()..])
            .env("vif", self.device(vif))
            .run()
            .map(drop)
    }

    /// The backend's folder in XenStore.
    pub(crate) fn backend(&self, vif: u32) -> String {
        format!("{LOCAL_DOMAIN_0}backend/vif/{}/{vif}", self.id)
    }

    /// The backend's network device.
    pub(crate) fn device(&self, vif: u32) -> String {
        format!("vif{}.{vif}", self.id)
    }

    /// What of the domain is still there when it has ended.
    pub(crate) fn left(&self) -> Vec<String> {
        let mut left = Vec::new();
        // Backends go a moment after their domain.
        let gone = wait_until(Duration::from_secs(20), || self.remains().is_empty());
        if !gone {
            left = self.remains();
        }
        left
    }

    fn remains(&self) -> Vec<String> {
        let mut remains = Vec::new();
        for path in [
            format!("{LOCAL_DOMAIN_0}backend/vif/{}", self.id),
            format!("/local/domain/{}", self.id),
        ] {
            if Tool::new("xenstore-exists").args([&path]).succeeds() {
                remains.push(format!("XenStore {path}"));
            }
        }
        let prefix = format!("vif{}.", self.id);
        let devices = fs::read_dir("/sys/class/net").into_iter().flatten();
        for device in devices.flatten() {
            let name = device.file_name().to_string_lossy().into_owned();
            if name.starts_with(&prefix) {
                remains.push(format!("device {name}"));
            }
        }
        // A domain whose pages are still mapped somewhere stays as a nameless one.
        if let Ok(list) = Tool::new("xl").args(["list"]).run() {
            let id = self.id.to_string();
            if list
                .lines()
                .any(|line| line.split_whitespace().nth(1) == Some(&id))
            {
                remains.push(format!("domain {id} in xl list"));
            }
        }
        remains
    }

    fn xl(&self, before: &[&str], after: &[&str]) -> Result<()> {
        Tool::new("xl")
            .args(before.iter().copied())
            .args([self.name.as_str()])
            .args(after.iter().copied())
            .seconds(XL_SECONDS)
            .run()
            .map(drop)
    }
}

const LOCAL_DOMAIN_0: &str = "/local/domain/0/";

/// Asks until the answer is yes, or the time is over.
pub(crate) fn wait_until(time: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + time;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        thread::sleep(PERIOD);
    }
}

fn read_key(path: &str) -> String {
    Tool::new("xenstore-read")
        .args([path])
        .run()
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

fn vif_options(vif: u32, mtu: u32) -> Vec<String> {
    vec![
        format!("mac=00:16:3e:00:00:{:02x}", 0x10 + vif),
        "bridge=xenbr0".to_owned(),
        format!("mtu={mtu}"),
    ]
}

/// The text of `guest.cfg`.
fn configuration(name: &str, guest: &Guest) -> String {
    let mut text = String::new();
    let vifs: Vec<String> = (0..guest.vifs)
        .map(|vif| match guest.kind {
            Kind::Pvh => format!("{:?}", vif_options(vif, guest.mtu).join(",")),
            Kind::Hvm => format!(
                "{:?}",
                vif_options(vif, guest.mtu).join(",") + ",model=rtl8139"
            ),
        })
        .collect();
    let mut line = |line: String| {
        let _ = writeln!(text, "{line}");
    };
    line(format!("name = {name:?}"));
    line(format!("memory = {}", guest.memory));
    line(format!("vcpus = {}", guest.vcpus));
    line(format!("vif = [{}]", vifs.join(", ")));
    for what in ["on_poweroff", "on_reboot", "on_crash", "on_watchdog"] {
        line(format!("{what} = \"destroy\""));
    }
    if let Some(kernel) = &guest.kernel {
        line(format!("kernel = {kernel:?}"));
        line(format!("cmdline = {:?}", guest.command_line));
    }
    if let Some(ramdisk) = &guest.ramdisk {
        line(format!("ramdisk = {ramdisk:?}"));
    }
    if let Some(count) = guest.max_event_channels {
        line(format!("max_event_channels = {count}"));
    }
    match guest.kind {
        Kind::Pvh => {
            line("type = \"pvh\"".to_owned());
            // Else Xen answers each reading of the time stamp counter itself, which our guest does at every call.
            line("tsc_mode = \"native\"".to_owned());
        }
        Kind::Hvm => {
            for fixed in HVM_LINES {
                line((*fixed).to_owned());
            }
            line(format!(
                "device_model_args_hvm = {:?}",
                device_model_arguments(guest.disk.as_deref())
            ));
        }
    }
    text
}

/// What makes HVM guests start reliably on an emulated processor: their vCPUs away from dom0's first
/// CPU, and a time stamp counter Xen leaves alone.
const HVM_LINES: &[&str] = &[
    "type = \"hvm\"",
    "device_model_override = \"/usr/libexec/xen-qemu-system-i386\"",
    "cpus = \"1\"",
    "tsc_mode = \"native\"",
    "xen_platform_pci = 1",
    "vga = \"none\"",
    "nographic = 1",
    "vnc = 0",
    "sdl = 0",
    "usb = 0",
    "serial = \"none\"",
];

fn device_model_arguments(disk: Option<&str>) -> Vec<String> {
    // The machine that `xl` asks for is of a version that does not start kernels by their PVH note. The emulated card is
    // not booted from.
    let mut arguments = vec![
        "-machine",
        "xenfv-4.2",
        "-global",
        "rtl8139.rombar=0",
        "-global",
        "rtl8139.romfile=",
    ];
    let drive = disk.map(|disk| format!("file={disk},if=none,id=d0,format=raw,cache=unsafe"));
    if let Some(drive) = &drive {
        arguments.extend([
            "-drive",
            drive,
            "-device",
            "virtio-blk-pci,drive=d0,bootindex=0",
        ]);
    }
    arguments.into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use dom0::plan::{Guest, Kind};

    use super::configuration;

    #[test]
    fn interfaces_are_on_their_bridges() {
        let guest = Guest {
            kind: Kind::Pvh,
            kernel: Some("/share/guest.elf".to_owned()),
            ramdisk: None,
            disk: None,
            command_line: "case=demo".to_owned(),
            vcpus: 4,
            memory: 256,
            vifs: 2,
            mtu: 1500,
            max_event_channels: None,
        };
        let text = configuration("demo", &guest);
        assert!(text.contains(
            "vif = [\"mac=00:16:3e:00:00:10,bridge=xenbr0,mtu=1500\", \
             \"mac=00:16:3e:00:00:11,bridge=xenbr0,mtu=1500\"]\n"
        ));
        assert!(text.contains("cmdline = \"case=demo\"\n"));
        assert!(text.contains("type = \"pvh\"\n"));
    }
}
