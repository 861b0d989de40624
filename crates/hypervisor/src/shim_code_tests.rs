//! The machine code of the page and the shim, disassembled.
extern crate std;

use std::vec::Vec;

use iced_x86::{Code, Decoder, DecoderOptions, Instruction, Register};

use super::tests::hypercall_shim;
use super::{PAGE_SIZE, USE_VMMCALL, hypercall_page};

fn decode(code: &[u8], address: u64, count: usize) -> Vec<Instruction> {
    Decoder::with_ip(64, code, address, DecoderOptions::NONE)
        .iter()
        .take(count)
        .collect()
}

#[test]
fn the_page_is_aligned() {
    assert_eq!(hypercall_page().as_ptr().addr() % PAGE_SIZE, 0);
}

#[test]
fn every_slot_loads_its_number_and_enters_by_the_chosen_instruction() {
    let page = hypercall_page();
    for (number, slot) in (0_u32..).zip(page.chunks_exact(32)) {
        let code = decode(slot, slot.as_ptr().addr() as u64, 7);
        let codes: Vec<Code> = code.iter().map(Instruction::code).collect();
        let want = [
            Code::Mov_r32_imm32,
            Code::Cmp_rm8_imm8,
            Code::Jne_rel8_64,
            Code::Vmcall,
            Code::Retnq,
            Code::Vmmcall,
            Code::Retnq,
        ];
        assert_eq!(codes, want, "slot {number}");
        assert_eq!(code[0].op0_register(), Register::EAX);
        assert_eq!(code[0].immediate32(), number);
        assert_eq!(
            code[1].ip_rel_memory_address(),
            USE_VMMCALL.as_ptr().addr() as u64,
            "slot {number}"
        );
        assert_eq!(code[1].immediate8(), 0);
        assert_eq!(
            code[2].near_branch64(),
            code[5].ip(),
            "slot {number}: jumps to vmmcall"
        );
        let end = usize::try_from(code[6].next_ip() - code[0].ip()).unwrap();
        assert!(
            slot[end..].iter().all(|&byte| byte == 0xCC),
            "slot {number}: filled with breakpoints"
        );
    }
}

#[test]
fn the_choice_is_not_in_the_page() {
    let page = hypercall_page().as_ptr().addr();
    let choice = USE_VMMCALL.as_ptr().addr();
    assert!(choice.abs_diff(page) >= PAGE_SIZE);
}

#[test]
fn the_shim_moves_the_fourth_argument_and_jumps_to_the_slot() {
    let shim = hypercall_shim();
    let code = decode(shim, shim.as_ptr().addr() as u64, 10);
    let codes: Vec<Code> = code.iter().map(Instruction::code).collect();
    let moves: Vec<_> = code
        .iter()
        .filter(|i| i.mnemonic() == iced_x86::Mnemonic::Mov)
        .map(|i| (i.op0_register(), i.op1_register()))
        .collect();
    assert_eq!(moves[0], (Register::R10, Register::RCX), "fourth argument");
    let lea = code
        .iter()
        .find(|i| i.code() == Code::Lea_r64_m)
        .expect("address of the page");
    assert_eq!(
        lea.ip_rel_memory_address(),
        hypercall_page().as_ptr().addr() as u64
    );
    assert!(codes.contains(&Code::Jmp_rm64), "ends in the slot");
    let written: Vec<_> = code.iter().map(Instruction::op0_register).collect();
    for argument in [Register::RDI, Register::RSI, Register::RDX, Register::R8] {
        assert!(!written.contains(&argument), "{argument:?} stays");
    }
}
