//! Privileged instructions: found by disassembly, made to trap in the mapped copy, and emulated.
//!
//! A fault is not relied upon: in a user process `cpuid` never faults, and under some hypervisors
//! `vmcall` returns silently. So each one gets a breakpoint as its first byte; the file is untouched.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register};

use crate::host::context::kernel;
use crate::host::trap::Registers;
use crate::platform::Hypercall;
use crate::rules;

/// What a patched instruction did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site {
    len: u8,
    instruction: Instruction,
}

const BREAKPOINT: u8 = 0xCC;

fn is_privileged(instruction: &Instruction) -> bool {
    match instruction.mnemonic() {
        Mnemonic::Cpuid
        | Mnemonic::In
        | Mnemonic::Out
        | Mnemonic::Insb
        | Mnemonic::Insw
        | Mnemonic::Insd
        | Mnemonic::Outsb
        | Mnemonic::Outsw
        | Mnemonic::Outsd
        | Mnemonic::Rdmsr
        | Mnemonic::Wrmsr
        | Mnemonic::Vmcall
        | Mnemonic::Vmmcall
        | Mnemonic::Cli
        | Mnemonic::Sti
        | Mnemonic::Hlt
        | Mnemonic::Swapgs
        | Mnemonic::Invlpg
        | Mnemonic::Wbinvd
        | Mnemonic::Rdtsc
        | Mnemonic::Rdtscp => true,
        Mnemonic::Mov => (0..instruction.op_count()).any(|index| {
            instruction.op_kind(index) == OpKind::Register
                && (instruction.op_register(index).is_cr()
                    || instruction.op_register(index).is_dr())
        }),
        _ => false,
    }
}

/// Puts breakpoints into `bytes`, an image that will be mapped at `base`.
///
/// Decoding starts anew at each function of the table, so that data or padding between functions cannot
/// put the sweep out of step inside one; what lies between them (leaf functions) is swept too.
pub(super) fn patch(
    base: usize,
    bytes: &mut [u8],
    executable: &[(usize, usize)],
    functions: &[[u32; 3]],
) -> BTreeMap<usize, Site> {
    let mut sites = BTreeMap::new();
    for &(start, end) in executable {
        let mut cuts: Vec<usize> = functions
            .iter()
            .flat_map(|function| [function[0] as usize, function[1] as usize])
            .filter(|cut| (start..end).contains(cut))
            .chain([start, end])
            .collect();
        cuts.sort_unstable();
        cuts.dedup();
        for pair in cuts.windows(2) {
            let (from, to) = (pair[0], pair[1].min(bytes.len()));
            let Some(code) = bytes.get(from..to) else {
                continue;
            };
            let found: Vec<(usize, Instruction)> =
                Decoder::with_ip(64, code, (base + from) as u64, DecoderOptions::NONE)
                    .iter()
                    .filter(is_privileged)
                    .map(|instruction| {
                        (
                            usize::try_from(instruction.ip()).unwrap_or(base) - base,
                            instruction,
                        )
                    })
                    .collect();
            for (at, instruction) in found {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = BREAKPOINT;
                    let len = u8::try_from(instruction.len()).unwrap_or(1);
                    sites.insert(base + at, Site { len, instruction });
                }
            }
        }
    }
    sites
}

fn register(registers: &mut Registers, which: Register) -> &mut u64 {
    match which.full_register() {
        Register::RCX => &mut registers.rcx,
        Register::RDX => &mut registers.rdx,
        Register::RBX => &mut registers.rbx,
        Register::RBP => &mut registers.rbp,
        Register::RSI => &mut registers.rsi,
        Register::RDI => &mut registers.rdi,
        Register::R8 => &mut registers.r8,
        Register::R9 => &mut registers.r9,
        Register::R10 => &mut registers.r10,
        Register::R11 => &mut registers.r11,
        Register::R12 => &mut registers.r12,
        Register::R13 => &mut registers.r13,
        Register::R14 => &mut registers.r14,
        Register::R15 => &mut registers.r15,
        _ => &mut registers.rax,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "registers are narrowed as the instruction does"
)]
const fn low(value: u64) -> u32 {
    value as u32
}

/// A breakpoint in driver code was reached; `registers.rip` is the address after it.
pub(crate) fn trapped(registers: &mut Registers) {
    let kernel = kernel();
    let at = usize::try_from(registers.rip).unwrap_or(1) - 1;
    let site = kernel
        .image_at(at)
        .and_then(|image| image.sites.get(&at).copied());
    let Some(site) = site else {
        rules::die(
            &rules::FAULT,
            format!("breakpoint at {}", kernel.name_address(at)),
        );
    };
    kernel.sched.lock.acquire(kernel.sched.cpu().index);
    kernel.sched.cpu().passed();
    kernel
        .sched
        .current()
        .note_call("(privileged instruction)", at, registers_address(registers));
    kernel.sched.preemption_point();
    kernel.sched.lock.release();
    emulate(&site.instruction, registers);
    registers.rip = at as u64 + u64::from(site.len);
}

fn registers_address(registers: &Registers) -> usize {
    core::ptr::from_ref(registers) as usize
}

fn emulate(instruction: &Instruction, regs: &mut Registers) {
    let kernel = kernel();
    let cpu = kernel.sched.cpu();
    let platform = &kernel.platform;
    match instruction.mnemonic() {
        Mnemonic::Cpuid => {
            let [eax, ebx, ecx, edx] = platform.cpuid(cpu.index, low(regs.rax), low(regs.rcx));
            (regs.rax, regs.rbx, regs.rcx, regs.rdx) =
                (eax.into(), ebx.into(), ecx.into(), edx.into());
        }
        Mnemonic::In | Mnemonic::Out => port(instruction, regs),
        Mnemonic::Rdmsr | Mnemonic::Wrmsr => {
            let msr = low(regs.rcx);
            let value = (u64::from(low(regs.rdx)) << 32) | u64::from(low(regs.rax));
            let done = if instruction.mnemonic() == Mnemonic::Rdmsr {
                platform.rdmsr(cpu.index, msr).map(|value| {
                    regs.rax = u64::from(low(value));
                    regs.rdx = value >> 32;
                })
            } else {
                platform.wrmsr(cpu.index, msr, value)
            };
            if done.is_none() {
                rules::die(
                    &rules::FAULT,
                    format!("general protection: MSR {msr:#x} does not exist"),
                );
            }
        }
        Mnemonic::Vmcall | Mnemonic::Vmmcall => {
            let call = Hypercall {
                number: regs.rax,
                arguments: [regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8],
                amd: instruction.mnemonic() == Mnemonic::Vmmcall,
            };
            regs.rax = platform.hypercall(cpu.index, call);
        }
        Mnemonic::Rdtsc | Mnemonic::Rdtscp => {
            // 2.5 GHz of virtual time: 250 cycles per 100 ns.
            let cycles = kernel.sched.now() * 250;
            regs.rax = u64::from(low(cycles));
            regs.rdx = cycles >> 32;
            if instruction.mnemonic() == Mnemonic::Rdtscp {
                regs.rcx = u64::from(cpu.index);
            }
        }
        Mnemonic::Cli => cpu.enable_interrupts(false),
        Mnemonic::Sti => cpu.enable_interrupts(true),
        Mnemonic::Mov if instruction.op1_register() == Register::CR8 => {
            *register(regs, instruction.op0_register()) = u64::from(cpu.irql());
        }
        Mnemonic::Mov if instruction.op0_register() == Register::CR8 => {
            let to = u8::try_from(*register(regs, instruction.op1_register()) & 15).unwrap_or(0);
            crate::sched::deliver::lower(&kernel.sched, to);
        }
        other => rules::die(
            &rules::FAULT,
            format!("privileged instruction {other:?} is not for drivers"),
        ),
    }
}

fn port(instruction: &Instruction, regs: &mut Registers) {
    let kernel = kernel();
    let cpu = kernel.sched.cpu().index;
    let input = instruction.mnemonic() == Mnemonic::In;
    let (data, address) = if input { (0, 1) } else { (1, 0) };
    let number = match instruction.op_kind(address) {
        OpKind::Immediate8 => u16::from(instruction.immediate8()),
        _ => u16::try_from(regs.rdx & 0xFFFF).unwrap_or(0),
    };
    let (width, mask) = match instruction.op_register(data) {
        Register::AL => (1, 0xFF),
        Register::AX => (2, 0xFFFF),
        _ => (4, 0xFFFF_FFFF),
    };
    if input {
        let value = u64::from(kernel.platform.port_in(cpu, number, width)) & mask;
        // Like any 32-bit write, `in eax` clears the upper half; the narrower ones keep the rest.
        regs.rax = if width == 4 {
            value
        } else {
            (regs.rax & !mask) | value
        };
    } else {
        kernel
            .platform
            .port_out(cpu, number, width, low(regs.rax & mask));
    }
}
