//! Every instruction in the image's executable sections.
//!
//! Code is cut at every known function start (function table, symbols, entry point, exports) and
//! decoded from each to the next, so that padding or data before a function cannot shift the
//! decoding of what follows, and no byte is left out.

use std::collections::BTreeSet;

use iced_x86::{
    CpuidFeature, Decoder, DecoderOptions, EncodingKind, FlowControl, Instruction,
    InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register,
};
use object::read::pe::{ImageNtHeaders, ImageOptionalHeader};

use super::{Check, Findings};
use crate::image::{Image, Section};
use crate::symbols::Symbols;
use crate::{Counts, Policy};

/// Functions that exist to hold one privileged instruction begin so.
const SHIM_PREFIX: &str = "xen_shim_";
/// The page of hypercall entries, under the name `xen-sys` links to.
const HYPERCALL_PAGE: &str = "HYPERCALL_PAGE";
/// `int 0x29`, the kernel's fast fail, is the one software interrupt drivers use.
const FAST_FAIL: u32 = 0x29;

pub(super) fn check(
    image: &Image<'_>,
    symbols: &Symbols,
    policy: Policy<'_>,
    findings: &mut Findings,
    counts: &mut Counts,
) {
    let functions = image.functions();
    let starts = function_starts(image, symbols, &functions);
    for section in image
        .sections
        .iter()
        .filter(|section| section.is_executable())
    {
        for (begin, code) in pieces(image, section, &starts) {
            let unwind = functions
                .iter()
                .find(|(from, to, _)| (*from..*to).contains(&begin));
            let name = owner(symbols, begin, unwind.map(|(from, _, _)| *from));
            let piece = Piece {
                begin,
                code,
                name,
                has_unwind: unwind.is_some(),
            };
            piece.check(policy, findings, counts);
        }
    }
}

fn function_starts(
    image: &Image<'_>,
    symbols: &Symbols,
    functions: &[(u32, u32, u32)],
) -> BTreeSet<u32> {
    let mut starts: BTreeSet<u32> = symbols.starts().collect();
    // A function's end is a start, too: what follows may be a leaf, which has no entry.
    starts.extend(functions.iter().flat_map(|(begin, end, _)| [*begin, *end]));
    starts.insert(
        image
            .file
            .nt_headers()
            .optional_header()
            .address_of_entry_point(),
    );
    if let Ok(Some(exports)) = image.file.export_table() {
        starts.extend(
            exports
                .addresses()
                .iter()
                .map(|rva| rva.get(object::LittleEndian)),
        );
    }
    starts
}

/// A section's bytes, cut at the starts.
fn pieces<'a>(
    image: &Image<'a>,
    section: &Section,
    starts: &BTreeSet<u32>,
) -> Vec<(u32, &'a [u8])> {
    let content = image.content(section);
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
    let end = section.rva.saturating_add(length);
    let mut cuts: Vec<u32> = starts.range(section.rva..end).copied().collect();
    if cuts.first() != Some(&section.rva) {
        cuts.insert(0, section.rva);
    }
    let ends = cuts.iter().skip(1).copied().chain([end]);
    cuts.iter()
        .zip(ends)
        .filter_map(|(&begin, end)| {
            let from = (begin - section.rva) as usize;
            let to = (end - section.rva) as usize;
            Some((begin, content.get(from..to)?))
        })
        .collect()
}

/// Name of the function that a piece belongs to: a symbol at its start, or at the start of the
/// function-table entry around it.
fn owner(symbols: &Symbols, begin: u32, function: Option<u32>) -> Option<&str> {
    let (start, name) = symbols.at_or_before(begin)?;
    (start == begin || Some(start) == function).then_some(name)
}

fn is_shim(name: &str) -> bool {
    name.starts_with(SHIM_PREFIX) || name == HYPERCALL_PAGE
}

struct Piece<'a> {
    begin: u32,
    code: &'a [u8],
    name: Option<&'a str>,
    has_unwind: bool,
}

impl Piece<'_> {
    fn check(&self, policy: Policy<'_>, findings: &mut Findings, counts: &mut Counts) {
        let allowed = policy.shims_allowed && self.name.is_some_and(is_shim);
        let mut decoder =
            Decoder::with_ip(64, self.code, u64::from(self.begin), DecoderOptions::NONE);
        let mut info = InstructionInfoFactory::new();
        let mut instruction = Instruction::default();
        let mut is_leaf = true;
        let mut used_shim = false;
        counts.functions += 1;
        while decoder.can_decode() {
            decoder.decode_out(&mut instruction);
            counts.instructions += 1;
            let place = || {
                let name = self.name.unwrap_or("a function without a name");
                format!(
                    "{:?} at {:#x} in {name}",
                    instruction.mnemonic(),
                    instruction.ip()
                )
            };
            if instruction.is_invalid() {
                findings.add(Check::Undecodable, place());
                return;
            }
            is_leaf &= !needs_unwind(&instruction, &mut info);
            match verdict(&instruction) {
                None => {}
                Some(_) if allowed && !is_vector(&instruction) => used_shim = true,
                Some(reason) => {
                    findings.add(Check::Instruction, format!("{reason}: {}", place()));
                }
            }
        }
        counts.shims += usize::from(used_shim);
        findings.require(is_leaf || self.has_unwind, Check::Unwind, || {
            let name = self.name.unwrap_or("a function without a name");
            format!(
                "{name} at {:#x} calls or moves the stack, without an entry",
                self.begin
            )
        });
    }
}

/// Whether a function with this instruction must be in the function table: it calls, or moves
/// the stack pointer other than by returning.
fn needs_unwind(instruction: &Instruction, info: &mut InstructionInfoFactory) -> bool {
    // By mnemonic: the decoder counts `vmcall` among the calls, too.
    match (instruction.mnemonic(), instruction.flow_control()) {
        (Mnemonic::Call, _) => return true,
        (_, FlowControl::Return | FlowControl::Interrupt | FlowControl::Exception) => return false,
        _ => {}
    }
    info.info(instruction).used_registers().iter().any(|used| {
        let kept = matches!(
            used.access(),
            OpAccess::None | OpAccess::Read | OpAccess::CondRead | OpAccess::NoMemAccess
        );
        used.register() == Register::RSP && !kept
    })
}

/// Whether it uses registers that only vector extensions beyond SSE have, or that the kernel does
/// not keep for drivers.
fn is_vector(instruction: &Instruction) -> bool {
    instruction.encoding() != EncodingKind::Legacy
        || registers(instruction).any(|register| {
            register.is_ymm() || register.is_zmm() || register.is_mm() || register.is_st()
        })
        || instruction.cpuid_features().iter().any(|feature| {
            use CpuidFeature as F;
            matches!(
                feature,
                F::FPU | F::FPU287 | F::FPU387 | F::FPU287XL_ONLY | F::MMX
            )
        })
}

fn registers(instruction: &Instruction) -> impl Iterator<Item = Register> + '_ {
    (0..instruction.op_count())
        .filter(|operand| instruction.op_kind(*operand) == OpKind::Register)
        .map(|operand| instruction.op_register(operand))
}

/// Why drivers may not use an instruction; `None` if they may.
fn verdict(instruction: &Instruction) -> Option<&'static str> {
    if is_vector(instruction) {
        return Some("state that the kernel does not keep (AVX, MMX, x87)");
    }
    if registers(instruction).any(|register| register.is_cr() || register.is_dr()) {
        return Some("control or debug register");
    }
    if registers(instruction).any(Register::is_segment_register) {
        return Some("segment register");
    }
    if matches!(instruction.segment_prefix(), Register::FS | Register::GS) {
        return Some("per-processor data through a segment");
    }
    if instruction.is_privileged() || is_special(instruction.mnemonic()) {
        return Some("privileged or virtualised");
    }
    let interrupt = instruction.mnemonic() == Mnemonic::Int;
    if interrupt && u32::from(instruction.immediate8()) != FAST_FAIL {
        return Some("software interrupt");
    }
    None
}

/// Instructions that do not always fault outside the kernel, but that the hypervisor or the
/// kernel answers.
fn is_special(mnemonic: Mnemonic) -> bool {
    use Mnemonic as M;
    matches!(
        mnemonic,
        M::Cli
            | M::Sti
            | M::Hlt
            | M::Rdmsr
            | M::Wrmsr
            | M::Cpuid
            | M::Rdpmc
            | M::Swapgs
            | M::In
            | M::Insb
            | M::Insw
            | M::Insd
            | M::Out
            | M::Outsb
            | M::Outsw
            | M::Outsd
            | M::Vmcall
            | M::Vmmcall
            | M::Vmfunc
            | M::Vmlaunch
            | M::Vmresume
            | M::Vmrun
            | M::Vmload
            | M::Vmsave
            | M::Vmxoff
            | M::Vmxon
            | M::Stgi
            | M::Clgi
            | M::Skinit
            | M::Syscall
            | M::Sysenter
            | M::Sysret
            | M::Sysretq
            | M::Sysexit
            | M::Sysexitq
            | M::Iret
            | M::Iretd
            | M::Iretq
            | M::Retf
            | M::Clts
            | M::Invd
            | M::Wbinvd
            | M::Wbnoinvd
            | M::Invlpg
            | M::Invpcid
            | M::Lgdt
            | M::Lidt
            | M::Lldt
            | M::Ltr
            | M::Lmsw
            | M::Sgdt
            | M::Sidt
            | M::Sldt
            | M::Str
            | M::Smsw
            | M::Xgetbv
            | M::Xsetbv
            | M::Xsave
            | M::Xsave64
            | M::Xrstor
            | M::Xrstor64
            | M::Rdfsbase
            | M::Rdgsbase
            | M::Wrfsbase
            | M::Wrgsbase
            | M::Monitor
            | M::Mwait
            | M::Rsm
            | M::Int1
            | M::Popf
            | M::Popfq
            | M::Popfd
            | M::Verr
            | M::Verw
            | M::Lar
            | M::Lsl
            | M::Clac
            | M::Stac
            | M::Enclu
            | M::Encls
            | M::Enclv
            | M::Getsec
    )
}
