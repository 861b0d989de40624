//! The control ring's client: a backend that answers what it likes.

use netfront_core::control::{Control, ControlMemory, Goal, HashConfig};
use netif::GrantRef;
use netif::ctrl::HashTypes;
use ring::PAGE_WORDS;

use crate::acts::Acts;
use crate::page::{HEADER, Page, REQ_PROD, RSP_PROD};

/// The page of arguments; so many grants of each queue stay.
struct Argument(u32);

impl ControlMemory for Argument {
    fn write(&mut self, words: &[u32]) {
        assert!(words.len() <= PAGE_WORDS);
    }

    fn write_lasting(&mut self, _queue: u32, most: u32) -> u32 {
        self.0.min(most)
    }

    fn gref(&self) -> GrantRef {
        GrantRef(77)
    }
}

fn goal(act: u8) -> Goal {
    let table: Vec<u16> = (0..128).map(|entry| entry % 4).collect();
    let on = |types, mapping| {
        let config = HashConfig::new(&[7; 40], HashTypes(types), mapping);
        config.map_or(Goal::Off, Goal::On)
    };
    match act & 3 {
        0 => Goal::Off,
        1 => on(0xF, &table),
        2 => on(1, &[1, 2]),
        _ => Goal::Stop,
    }
}

/// Answers the next request, if there is one: the same message, with these words.
fn answer(page: &Page, at: &mut u32, words: [u32; 2]) -> bool {
    if page[REQ_PROD].get() == *at {
        return false;
    }
    let slot = HEADER + (*at as usize % 128) * 4;
    page[slot + 1].set(words[0]);
    page[slot + 2].set(words[1]);
    *at = at.wrapping_add(1);
    page[RSP_PROD].set(*at);
    true
}

/// The target `control`.
pub(crate) fn run(bytes: &[u8]) {
    let mut acts = Acts::new(bytes);
    let page = Page::new();
    let mut client = Control::new(&page, 4).expect("memory");
    let mut memory = Argument(acts.byte().into());
    let mut at = 0;
    let mut scribbled = false;
    while let Some(act) = acts.next() {
        match act % 4 {
            0 => {
                let _ = client.set_goal(goal(act >> 2));
            }
            1 | 2 => {
                let words = [u32::from(act >> 2) & 3, acts.word()];
                let _ = answer(&page, &mut at, words);
            }
            _ => {
                scribbled = true;
                page[acts.place(PAGE_WORDS)].set(acts.word());
            }
        }
        let _ = client.run(0, &mut memory);
    }
    for _ in 0..256 {
        if !answer(&page, &mut at, [0, 0]) {
            break;
        }
        let _ = client.run(0, &mut memory);
    }
    let rests = client.deadline().is_none() || client.unavailable().is_some();
    assert!(rests || scribbled, "requests without end");
}
