//! The command line: what the case is and what it works with.

use alloc::format;
use alloc::string::{String, ToString};

/// Which case runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Case {
    /// Only the kernel itself: memory, processors, interrupts, time.
    Kernel,
    /// Start, connect, stop.
    Boot,
    /// As `Boot`, with transfers both ways.
    #[default]
    Demo,
    /// As `Demo`, with the offloads on, and with each off in turn.
    Offloads,
    /// Traffic through whatever dom0 does.
    Hotplug,
    /// A table change under load.
    Rss,
}

/// An IPv4 address.
pub type Ip = [u8; 4];

/// The settings of a run, with their defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Which case runs.
    pub case: Case,
    /// The guest's address on vif 0.
    pub ip: Ip,
    /// dom0's address.
    pub peer: Ip,
    /// MiB to move each way.
    pub mib: u32,
    /// Bytes of an IP packet, at most.
    pub mtu: u16,
    /// Most queues to ask for.
    pub queues: u32,
    /// Virtual processors.
    pub cpus: u32,
    /// FIFO event channels may be used.
    pub fifo: bool,
    /// HVM: the drivers have the platform device's interrupt line only.
    pub line: bool,
    /// HVM: emulated network cards are to go.
    pub unplug: bool,
    /// Content of the transfers.
    pub seed: u64,
    /// The longest the case may take.
    pub seconds: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            case: Case::default(),
            ip: [10, 0, 0, 2],
            peer: [10, 0, 0, 1],
            mib: 16,
            mtu: 1500,
            queues: 4,
            cpus: 1,
            fifo: true,
            line: false,
            unplug: true,
            seed: 1,
            seconds: 300,
        }
    }
}

/// A word that means nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadWord(pub String);

fn number<T: core::str::FromStr>(value: &str) -> Option<T> {
    value.parse().ok()
}

fn flag(value: &str) -> Option<bool> {
    Some(number::<u8>(value).filter(|n| *n < 2)? == 1)
}

fn ip(value: &str) -> Option<Ip> {
    let mut parts = value.split('.').map(number::<u8>);
    let mut out = [0; 4];
    for byte in &mut out {
        *byte = parts.next()??;
    }
    parts.next().is_none().then_some(out)
}

fn case(value: &str) -> Option<Case> {
    Some(match value {
        "kernel" => Case::Kernel,
        "boot" => Case::Boot,
        "demo" => Case::Demo,
        "offloads" => Case::Offloads,
        "hotplug" => Case::Hotplug,
        "rss" => Case::Rss,
        _ => return None,
    })
}

impl Settings {
    /// Reads a command line.
    ///
    /// # Errors
    /// The first word that is unknown, or whose value is out of range.
    pub fn parse(line: &str) -> Result<Self, BadWord> {
        let mut settings = Self::default();
        for word in line.split_ascii_whitespace() {
            let taken = word
                .split_once('=')
                .and_then(|(name, value)| settings.take(name, value));
            taken.ok_or_else(|| BadWord(word.to_string()))?;
        }
        Ok(settings)
    }

    fn take(&mut self, name: &str, value: &str) -> Option<()> {
        match name {
            "case" => self.case = case(value)?,
            "ip" => self.ip = ip(value)?,
            "peer" => self.peer = ip(value)?,
            "mib" => self.mib = number(value)?,
            "mtu" => self.mtu = number(value).filter(|n| (1280..=9000).contains(n))?,
            "queues" => self.queues = number(value).filter(|n| (1..=8).contains(n))?,
            "cpus" => self.cpus = number(value).filter(|n| (1..=16).contains(n))?,
            "fifo" => self.fifo = flag(value)?,
            "line" => self.line = flag(value)?,
            "unplug" => self.unplug = flag(value)?,
            "seed" => self.seed = number(value)?,
            "seconds" => self.seconds = number(value).filter(|n| *n > 0)?,
            _ => return None,
        }
        Some(())
    }
}

impl core::fmt::Display for BadWord {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.write_str(&format!("bad word on the command line: {}", self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::{BadWord, Case, Settings};

    #[test]
    fn every_word_is_taken() {
        let line = "case=rss ip=10.1.2.3 peer=10.1.2.1 mib=64 mtu=9000 queues=2 cpus=4 fifo=0 line=1 unplug=0 seed=99 seconds=5";
        assert_eq!(
            Settings::parse(line),
            Ok(Settings {
                case: Case::Rss,
                ip: [10, 1, 2, 3],
                peer: [10, 1, 2, 1],
                mib: 64,
                mtu: 9000,
                queues: 2,
                cpus: 4,
                fifo: false,
                line: true,
                unplug: false,
                seed: 99,
                seconds: 5,
            })
        );
        assert_eq!(Settings::parse("  "), Ok(Settings::default()));
    }

    #[test]
    fn bad_words_are_named() {
        for word in [
            "what",
            "case=no",
            "ip=1.2.3",
            "ip=1.2.3.4.5",
            "ip=1.2.3.256",
            "queues=0",
            "cpus=17",
            "fifo=2",
            "mib=-1",
            "mtu=9001",
            "seconds=0",
            "quiet=1",
        ] {
            let line = alloc::format!("mib=1 {word} seed=1");
            assert_eq!(Settings::parse(&line), Err(BadWord(word.into())));
        }
    }
}
