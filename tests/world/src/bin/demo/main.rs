//! The main job of `cargo xtask demo`: both drivers, a vif of several queues, real TCP traffic both ways.

mod report;
mod tap;

use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use harness::Value;
use netback_model::{Config, Preset};
use world::{Capture, End, GuestStack, Peer, Stack, World};

use report::Report;

const MIB: u64 = 1 << 20;
/// Moved each way in one round of connections, whose hashes are then compared.
const ROUND: u64 = 32 * MIB;
/// Moved each way at least.
const LEAST: u64 = 256 * MIB;
/// Bytes of frames in the capture.
const CAPTURE: u64 = 24 * MIB;
/// TCP window of each connection.
const WINDOW: usize = 128 * 1024;
/// Address of the host behind the backend.
const PEER: [u8; 6] = [0x02, 0, 0, 0, 0, 0x99];

/// Loads the drivers and moves data by TCP through a vif.
#[derive(Parser)]
pub(crate) struct Options {
    /// Queues of the vif.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=32))]
    queues: u16,
    /// Processors of the guest.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    cpus: u32,
    /// Moves data for at least this long, and at least 256 MiB each way.
    #[arg(long, default_value_t = 0)]
    seconds: u64,
    /// Seed of the scheduler.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Instead: the network behind the backend is the host's, which pings the guest and exchanges data with it.
    #[arg(long)]
    tap: bool,
    /// Internal: the host's side of that, inside its namespace.
    #[arg(long, hide = true)]
    tap_host: bool,
    /// Processors run in parallel, as OS threads.
    #[arg(long)]
    parallel: bool,
    /// Folder for report.json and traffic.pcapng.
    #[arg(long, default_value = "target/demo")]
    out: PathBuf,
}

fn main() -> Result<()> {
    world::abort_on_panic();
    let options = Options::parse();
    if options.tap_host {
        return tap::host();
    }
    if options.tap {
        return tap::run(&options);
    }
    std::fs::create_dir_all(&options.out)
        .with_context(|| format!("cannot make {}", options.out.display()))?;
    let pcap = options.out.join("traffic.pcapng");
    let file = File::create(&pcap).with_context(|| format!("cannot write {}", pcap.display()))?;
    let capture = Capture::new(Box::new(BufWriter::new(file)), CAPTURE)?;

    let config = Config {
        features: netback_model::Features {
            max_queues: options.queues,
            ..World::vif_config(Preset::Linux, 0).features
        },
        ..World::vif_config(Preset::Linux, 0)
    };
    let peer = Peer::new(
        Stack::new(PEER, 1, 1500, WINDOW, options.seed),
        Some(capture),
    );
    let mut world = World::builder()
        .cpus(options.cpus)
        .seed(options.seed)
        .parallel(options.parallel)
        .build();
    let queues = options.queues.to_string();
    world
        .harness()
        .set_default_keyword("*NumRssQueues", Some(Value::text(&queues)));
    world.add_vif(config.clone(), peer.clone());
    println!("xenbus.sys and netfront.sys: DriverEntry, start, enumeration");
    world.boot();
    world.wait_connected(0);
    let device = world
        .interfaces()
        .first()
        .copied()
        .context("no interface came")?;
    let processors: Vec<u8> = (0..options.cpus)
        .filter_map(|cpu| u8::try_from(cpu).ok())
        .collect();
    let status = world.set_rss(device, &processors);
    if status != 0 {
        println!(
            "RSS is not on: the driver answered {:#x}",
            status.cast_unsigned()
        );
    }
    world.settle();
    let connected = world.xen(|xen| xen.vifs.get(&0).map_or(0, |vif| vif.backend.queue_count()));
    println!(
        "connected: {connected} queues, {} processors, seed {}",
        options.cpus, options.seed
    );

    let mut guest = GuestStack::new(
        Stack::new(config.mac, 2, 1500, WINDOW, options.seed + 1),
        device,
        0,
    );
    let start = Instant::now();
    let integrity = rounds(&mut world, &peer, &mut guest, &options, start);
    let elapsed = start.elapsed();
    let report = Report::gather(&world, &guest, &integrity, elapsed);
    report.print_table();
    let path = options.out.join("report.json");
    std::fs::write(&path, report.json())
        .with_context(|| format!("cannot write {}", path.display()))?;
    if let Some(capture) = peer.take_capture() {
        let (frames, omitted) = capture.counts();
        capture.finish()?;
        println!(
            "{}: {frames} frames ({omitted} later ones left out)",
            pcap.display()
        );
    }
    println!("{}", path.display());
    integrity?;
    ensure!(
        guest.moved.failed == 0,
        "{} sends failed",
        guest.moved.failed
    );
    world.assert_clean();
    world.tear_down();
    world.assert_nothing_left();
    println!("both drivers unloaded; nothing left behind; no rule broken");
    Ok(())
}

/// Moves data until it is enough. Each round makes one connection per queue and direction.
fn rounds(
    world: &mut World,
    peer: &Peer,
    guest: &mut GuestStack,
    options: &Options,
    start: Instant,
) -> Result<()> {
    let connections = options.queues.max(2);
    let bytes = ROUND / u64::from(connections);
    let (mut moved, mut round) = (0, 0_u16);
    while moved < LEAST || start.elapsed() < Duration::from_secs(options.seconds) {
        let first = 1024 + round % 64 * 64;
        peer.stack(Stack::forget_streams);
        guest.stack.forget_streams();
        for index in 0..connections {
            let (up, down) = (first + 2 * index, first + 2 * index + 1);
            let seed = options.seed.wrapping_mul(1000) + u64::from(up);
            peer.stack(|stack| {
                stack.listen(up, End::Sink, bytes);
                stack.listen(down, End::Source { seed: seed + 1 }, bytes);
            });
            guest.stack.connect(1, up, End::Source { seed }, bytes);
            guest.stack.connect(1, down, End::Sink, bytes);
        }
        let host = peer.clone();
        guest.run(world, 600, |guest, _| {
            guest.stack.is_finished() && host.stack(|stack| stack.is_finished())
        });
        let (mine, theirs) = (guest.stack.progress(), peer.stack(|stack| stack.progress()));
        if let Some(index) = mine.iter().zip(&theirs).position(|(a, b)| a.hash != b.hash) {
            bail!("round {round}, stream {index}: the content hashes differ");
        }
        moved += bytes * u64::from(connections);
        round += 1;
        let seconds = start.elapsed().as_secs_f64();
        println!(
            "{:5} MiB each way, {:6.1} s, hashes equal",
            moved / MIB,
            seconds
        );
    }
    Ok(())
}
