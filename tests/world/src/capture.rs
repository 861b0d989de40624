//! What passed on the wire, as pcapng.

use std::borrow::Cow;
use std::io::Write;
use std::time::Duration;

use pcap_file::DataLink;
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};

/// `epb_flags`: inbound and outbound, as the guest sees it.
const INBOUND: u32 = 1;
const OUTBOUND: u32 = 2;

/// A capture that is being written.
pub struct Capture {
    writer: PcapNgWriter<Box<dyn Write + Send>>,
    left: u64,
    frames: u64,
    omitted: u64,
}

impl core::fmt::Debug for Capture {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.debug_struct("Capture")
            .field("frames", &self.frames)
            .finish_non_exhaustive()
    }
}

impl Capture {
    /// Writes to `out`, until frames of `most` bytes in all are written; later frames are counted only.
    ///
    /// # Errors
    /// The header cannot be written.
    pub fn new(out: Box<dyn Write + Send>, most: u64) -> Result<Self, pcap_file::PcapError> {
        let mut writer = PcapNgWriter::new(out)?;
        let mut interface = InterfaceDescriptionBlock::new(DataLink::ETHERNET, 0);
        interface
            .options
            .push(InterfaceDescriptionOption::IfName(Cow::Borrowed("vif")));
        interface
            .options
            .push(InterfaceDescriptionOption::IfTsResol(9));
        writer.write_pcapng_block(interface)?;
        Ok(Self {
            writer,
            left: most,
            frames: 0,
            omitted: 0,
        })
    }

    /// A frame passed at `now` (100 ns units of virtual time).
    pub fn frame(&mut self, now: u64, bytes: &[u8], from_guest: bool) {
        let len = bytes.len() as u64;
        if len > self.left {
            self.left = 0;
            self.omitted += 1;
            return;
        }
        let flags = if from_guest { OUTBOUND } else { INBOUND };
        let block = EnhancedPacketBlock {
            interface_id: 0,
            timestamp: Duration::from_nanos(now * 100),
            original_len: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
            data: Cow::Borrowed(bytes),
            options: vec![EnhancedPacketOption::Flags(flags)],
        };
        if self.writer.write_pcapng_block(block).is_ok() {
            self.frames += 1;
            self.left -= len;
        } else {
            self.left = 0;
            self.omitted += 1;
        }
    }

    /// Frames written, and left out.
    pub const fn counts(&self) -> (u64, u64) {
        (self.frames, self.omitted)
    }

    /// Writes what is buffered.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(self) -> std::io::Result<()> {
        self.writer.into_inner().flush()
    }
}
