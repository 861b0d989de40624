//! `--tap`: the network behind the backend is the Linux kernel's, on a TAP device in a namespace of its own. It
//! pings the guest, and its TCP exchanges data with the guest's.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use netback_model::Preset;
use sha2::{Digest, Sha256};
use world::{End, GuestStack, Namespace, Stack, TapDevice, World};

use crate::{MIB, Options};

/// Moved each way.
const BYTES: u64 = 64 * MIB;
/// Ports of the host's ends: it takes data on the first, and gives some on the second.
const TAKES: u16 = 5001;
const GIVES: u16 = 5002;
/// Of the guest; the host has 10.0.0.1.
const GUEST: &str = "10.0.0.2";
const PINGS: &str = "5";
const WINDOW: usize = 256 * 1024;
/// All of it, by the clock on the wall.
const LIMIT: Duration = Duration::from_secs(150);

/// The host's side, which runs inside the namespace: prints `took HASH` and `gave HASH`.
pub(crate) fn host() -> Result<()> {
    let (takes, gives) = (
        TcpListener::bind(("10.0.0.1", TAKES))?,
        TcpListener::bind(("10.0.0.1", GIVES))?,
    );
    println!("ready");
    let took = thread::spawn(move || -> Result<(u64, String)> {
        let mut stream = takes.accept()?.0;
        take(&mut stream)
    });
    let gave = {
        let mut stream = gives.accept()?.0;
        give(&mut stream)?
    };
    println!("gave {BYTES} {gave}");
    let Ok(took) = took.join() else {
        bail!("a thread panicked");
    };
    let (count, hash) = took?;
    println!("took {count} {hash}");
    Ok(())
}

fn hex(hash: &[u8]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn take(stream: &mut TcpStream) -> Result<(u64, String)> {
    let (mut hash, mut count) = (Sha256::new(), 0);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            return Ok((count, hex(&hash.finalize())));
        }
        hash.update(&buffer[..read]);
        count += read as u64;
    }
}

/// Sends bytes that depend on their place: a counter, stirred.
fn give(stream: &mut TcpStream) -> Result<String> {
    let mut hash = Sha256::new();
    let (mut left, mut state) = (BYTES, 0x1234_5678_9ABC_DEF1_u64);
    while left > 0 {
        let mut block = Vec::with_capacity(32 * 1024);
        while block.len() < 32 * 1024 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            block.extend((state ^ (state >> 29)).to_le_bytes());
        }
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(block.len());
        stream.write_all(&block[..count])?;
        hash.update(&block[..count]);
        left -= count as u64;
    }
    Ok(hex(&hash.finalize()))
}

/// A child process that does not outlive this.
struct Kept(Child);

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The guest's side, and the namespace around the host's.
pub(crate) fn run(options: &Options) -> Result<()> {
    let space = Namespace::new().context("a network namespace (it takes root and iproute2)")?;
    let tap = space.tap("10.0.0.1/24", 1500).context("a TAP device")?;
    let config = World::vif_config(Preset::Linux, 0);
    let mut world = World::builder()
        .cpus(options.cpus)
        .seed(options.seed)
        .build();
    let queues = options.queues.to_string();
    world
        .harness()
        .set_default_keyword("*NumRssQueues", Some(harness::Value::text(&queues)));
    world.add_vif(config.clone(), tap.clone());
    world.boot();
    world.wait_connected(0);
    let device = world
        .interfaces()
        .first()
        .copied()
        .context("no interface came")?;
    let stack = Stack::new(config.mac, 2, 1500, WINDOW, options.seed + 1);
    let mut guest = GuestStack::new(stack, device, 0);
    let mut pace = Pace::new(&world);

    let mut host = space.command(std::env::current_exe()?);
    host.arg("--tap-host").stdout(Stdio::piped());
    let mut host = Kept(host.spawn().context("the host's side")?);
    let output = host.0.stdout.take().context("its output")?;
    let lines = thread::spawn(move || {
        use std::io::BufRead;
        std::io::BufReader::new(output)
            .lines()
            .map_while(Result::ok)
            .collect::<Vec<String>>()
    });

    ping(&space, &mut world, &mut guest, &mut pace)?;
    let start = Instant::now();
    guest
        .stack
        .connect(1, TAKES, End::Source { seed: options.seed }, BYTES);
    guest.stack.connect(1, GIVES, End::Sink, BYTES);
    pace.run(&mut world, &mut guest, |guest| guest.stack.is_finished())?;
    let seconds = start.elapsed().as_secs_f64();
    // The host's program ends once it has seen the end of the guest's data.
    pace.run(&mut world, &mut guest, |_| {
        matches!(host.0.try_wait(), Ok(Some(_)))
    })?;
    ensure!(host.0.wait()?.success(), "the host's side failed");
    let Ok(lines) = lines.join() else {
        bail!("a thread panicked");
    };
    let progress = guest.stack.progress();
    let expected = [
        format!("took {BYTES} {}", hex(&progress[0].hash)),
        format!("gave {BYTES} {}", hex(&progress[1].hash)),
    ];
    for line in &expected {
        ensure!(
            lines.contains(line),
            "the hashes differ: {lines:?}, the guest has {expected:?}"
        );
    }
    report(&tap, seconds);
    world.assert_clean();
    world.tear_down();
    world.assert_nothing_left();
    println!("both drivers unloaded; nothing left behind; no rule broken");
    Ok(())
}

fn report(tap: &TapDevice, seconds: f64) {
    let counters = tap.counters();
    println!(
        "{} MiB each way through the host's TCP in {seconds:.1} s, hashes equal; frames: {} from the guest, {} to it, {} lost",
        BYTES / MIB,
        counters.from_guest,
        counters.to_guest,
        counters.lost
    );
}

/// Has the host ping the guest.
fn ping(
    space: &Namespace,
    world: &mut World,
    guest: &mut GuestStack,
    pace: &mut Pace,
) -> Result<()> {
    let mut command = space.command("ping");
    command.args(["-c", PINGS, "-i", "0.2", "-W", "5", GUEST]);
    let mut ping = Kept(command.stdout(Stdio::piped()).spawn().context("ping")?);
    pace.run(world, guest, |_| matches!(ping.0.try_wait(), Ok(Some(_))))?;
    let mut text = String::new();
    if let Some(mut output) = ping.0.stdout.take() {
        output.read_to_string(&mut text)?;
    }
    let answered = text.contains(&format!("{PINGS} received"));
    ensure!(answered, "the guest does not answer pings: {text}");
    println!("the host pinged the guest: {PINGS} of {PINGS} answered");
    Ok(())
}

/// Virtual time that follows the clock on the wall, as the host's kernel lives by that.
struct Pace {
    start: Instant,
    base: u64,
}

impl Pace {
    fn new(world: &World) -> Self {
        Self {
            start: Instant::now(),
            base: world.harness().now(),
        }
    }

    /// Lets guest and host work until `done`.
    fn run(
        &mut self,
        world: &mut World,
        guest: &mut GuestStack,
        mut done: impl FnMut(&mut GuestStack) -> bool,
    ) -> Result<()> {
        while !done(guest) {
            ensure!(
                self.start.elapsed() < LIMIT,
                "not done after {} s\n{}",
                LIMIT.as_secs(),
                world.story()
            );
            let worked = guest.turn(world);
            let passed = u64::try_from(self.start.elapsed().as_nanos() / 100)?;
            let behind = (self.base + passed).saturating_sub(world.harness().now());
            // Also when it is ahead: this is when the backend looks at the device.
            world.pass(behind.max(1));
            if !worked {
                thread::sleep(Duration::from_micros(200));
            }
        }
        Ok(())
    }
}
