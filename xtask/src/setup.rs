//! Installs what a verb needs, or says the exact command that does.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::process;

/// What the set-up is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Purpose {
    /// Building the drivers.
    Build,
    /// Building and signing them.
    Package,
    /// Building, signing and testing them.
    Test,
    /// Building them and running them on real Xen.
    Xen,
    /// Fuzzing their cores.
    Fuzz,
}

impl Purpose {
    /// Whether what is for `part` is needed for this as well.
    fn includes(self, part: Self) -> bool {
        match self {
            Self::Xen => matches!(part, Self::Build | Self::Xen),
            Self::Fuzz => part == Self::Fuzz,
            other => part <= other,
        }
    }
}

/// Target the drivers are built for.
pub(crate) const DRIVER_TARGET: &str = "x86_64-pc-windows-msvc";

/// A Debian package, and a file by which one sees that it is there.
struct Package {
    name: &'static str,
    present: fn() -> bool,
    purpose: Purpose,
    use_: &'static str,
    /// Without it a test says that it did not run, and nothing else is missing.
    optional: bool,
}

const PACKAGES: &[Package] = &[
    Package {
        name: "mingw-w64-x86-64-dev",
        present: || Path::new("/usr/x86_64-w64-mingw32/include/ddk/ntddk.h").is_file(),
        purpose: Purpose::Build,
        use_: "driver headers",
        optional: false,
    },
    Package {
        name: "libclang-14-dev",
        present: libclang_is_there,
        purpose: Purpose::Build,
        use_: "libclang, which bindgen reads the headers with",
        optional: false,
    },
    Package {
        name: "openssl",
        present: || Path::new("/usr/bin/openssl").is_file(),
        purpose: Purpose::Package,
        use_: "makes the test certificate",
        optional: false,
    },
    Package {
        name: "osslsigncode",
        present: || Path::new("/usr/bin/osslsigncode").is_file(),
        purpose: Purpose::Package,
        use_: "makes and verifies Authenticode signatures",
        optional: false,
    },
    Package {
        name: "iproute2",
        present: || Path::new("/usr/sbin/ip").exists() || Path::new("/sbin/ip").exists(),
        purpose: Purpose::Test,
        use_: "makes the network of demo --tap",
        optional: true,
    },
    Package {
        name: "iputils-ping",
        present: || Path::new("/usr/bin/ping").exists() || Path::new("/bin/ping").exists(),
        purpose: Purpose::Test,
        use_: "pings the guest of demo --tap",
        optional: true,
    },
    Package {
        name: "tshark",
        present: || Path::new("/usr/bin/tshark").exists(),
        purpose: Purpose::Test,
        use_: "reads the capture of the demo",
        optional: true,
    },
    Package {
        name: "libxen-dev",
        present: || Path::new("/usr/include/xen/io/netif.h").is_file(),
        purpose: Purpose::Test,
        use_: "Xen's public headers, which the tests compare with",
        optional: false,
    },
    // With libwine and 16 libraries: 104 MB to fetch, 695 MB on disk. No smaller package has setupapi.
    Package {
        name: "wine64",
        present: || {
            let places = ["/usr/lib/wine/wine64", "/usr/bin/wine64", "/usr/bin/wine"];
            places.into_iter().any(|place| Path::new(place).is_file())
        },
        purpose: Purpose::Test,
        use_: "Wine, whose setupapi reads the INF files",
        optional: true,
    },
    Package {
        name: "qemu-system-x86",
        present: || Path::new("/usr/bin/qemu-system-x86_64").is_file(),
        purpose: Purpose::Xen,
        use_: "the machine that Xen runs in",
        optional: false,
    },
    Package {
        name: "xz-utils",
        present: || Path::new("/usr/bin/xz").is_file(),
        purpose: Purpose::Xen,
        use_: "decompresses dom0's kernel",
        optional: false,
    },
    Package {
        name: "g++",
        present: || Path::new("/usr/bin/c++").is_file(),
        purpose: Purpose::Fuzz,
        use_: "compiles libFuzzer",
        optional: false,
    },
];

/// Installs what is missing for `purpose`.
///
/// # Errors
/// When something is missing and cannot be installed here: the message says the command.
pub(crate) fn run(purpose: Purpose) -> Result<()> {
    rustup_target(DRIVER_TARGET)?;
    packages(purpose)?;
    if purpose == Purpose::Test {
        mappings();
    }
    Ok(())
}

/// Mappings a process must be allowed: every block of the simulated pool is at least one, and a vif of 32 queues has
/// about 100,000.
const MAPPINGS: u64 = 262_144;
const MAPPINGS_FILE: &str = "/proc/sys/vm/max_map_count";

/// Raises the limit of mappings until the next boot, if it is lower and may be raised; else says what to do. The test that
/// needs it fails without.
fn mappings() {
    let limit = std::fs::read_to_string(MAPPINGS_FILE);
    let limit = limit.ok().and_then(|text| text.trim().parse::<u64>().ok());
    if limit.is_none_or(|limit| limit >= MAPPINGS) {
        return;
    }
    if std::fs::write(MAPPINGS_FILE, MAPPINGS.to_string()).is_err() {
        eprintln!("for the test of 32 queues run: sudo sysctl vm.max_map_count={MAPPINGS}");
    }
}

fn libclang_is_there() -> bool {
    if std::env::var_os("LIBCLANG_PATH").is_some() {
        return true;
    }
    // The development package also brings clang's own headers, without which stddef.h is missing.
    (11..30).any(|version| {
        let folder = format!("/usr/lib/llvm-{version}/lib");
        Path::new(&folder).join("libclang.so").exists() && Path::new(&folder).join("clang").is_dir()
    })
}

/// Installs a target of the toolchain in use.
///
/// # Errors
/// When it cannot be installed: the message says the command.
pub(crate) fn rustup_target(target: &str) -> Result<()> {
    if target_is_installed(target) {
        return Ok(());
    }
    let mut rustup = process::program("rustup");
    rustup.args(["target", "add", target]);
    process::run(&format!("rustup target add {target}"), &mut rustup).with_context(|| {
        format!("the Rust target {target} is missing: run: rustup target add {target}")
    })
}

/// Whether the toolchain in use has a standard library for `target`.
fn target_is_installed(target: &str) -> bool {
    let printed = process::program("rustc")
        .args(["--print", "target-libdir", "--target", target])
        .stderr(Stdio::null())
        .output();
    match printed {
        Ok(output) => Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir(),
        Err(_) => false,
    }
}

fn packages(purpose: Purpose) -> Result<()> {
    let mut missing: Vec<&Package> = PACKAGES
        .iter()
        .filter(|package| purpose.includes(package.purpose) && !(package.present)())
        .collect();
    if !is_root() || !Path::new("/usr/bin/apt-get").exists() {
        missing.retain(|package| {
            if package.optional {
                eprintln!("==> without {} ({})", package.name, package.use_);
            }
            !package.optional
        });
    }
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|package| package.name).collect();
    let advice = missing
        .iter()
        .map(|package| format!("{} ({})", package.name, package.use_))
        .collect::<Vec<_>>()
        .join(", ");
    let by_hand = format!("apt-get install {}", names.join(" "));
    if !Path::new("/usr/bin/apt-get").exists() {
        bail!("missing: {advice}: install what holds them on this system (Debian: {by_hand})");
    }
    if !is_root() {
        bail!("missing: {advice}: run: sudo {by_hand}");
    }
    let install = || -> Result<()> {
        process::run("apt-get update", apt().args(["update", "-q"]))?;
        let what = format!("apt-get install {}", names.join(" "));
        process::run(
            &what,
            apt()
                .args(["install", "-q", "-y", "--no-install-recommends"])
                .args(&names),
        )
    };
    install().with_context(|| format!("missing: {advice}: run: {by_hand}"))
}

/// Brings apt's lists up to date, as root: a download by an old list finds nothing. What cannot be
/// brought up to date may still do.
pub(crate) fn refresh_package_lists() {
    if is_root()
        && let Err(error) = process::run("apt-get update", apt().args(["update", "-q"]))
    {
        eprintln!("warning: {error:#}");
    }
}

fn apt() -> Command {
    let mut command = process::program("apt-get");
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdout(Stdio::null());
    command
}

fn is_root() -> bool {
    let id = process::program("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
