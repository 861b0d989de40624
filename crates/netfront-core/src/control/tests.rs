//! The control ring client against a model of netback's hash.c, on raw words.

use std::collections::BTreeSet;
use std::vec::Vec;

use netif::GrantRef;
use netif::ctrl::{CtrlStatus, HashTypes};
use proptest::prelude::*;

use super::*;
use crate::test_page::{Page, page};

/// The page, and how many grants each queue has that stay.
#[derive(Default)]
struct Argument(Vec<u32>, Vec<u32>);

impl ControlMemory for Argument {
    fn write(&mut self, words: &[u32]) {
        self.0 = words.to_vec();
    }

    fn write_lasting(&mut self, queue: u32, most: u32) -> u32 {
        let count = self.1.get(queue as usize).map_or(0, |all| *all.min(&most));
        let grants = (0..count).map(|nth| GrantRef(queue * 1000 + nth));
        self.0 = grants.flat_map(netif::ctrl::lasting).collect();
        count
    }

    fn gref(&self) -> GrantRef {
        GrantRef(77)
    }
}

/// netback's hash state, which outlives the frontend.
struct Backend<'p> {
    page: &'p Page,
    at: u32,
    queues: u32,
    algorithm: u32,
    types: u32,
    key: Vec<u32>,
    mapping: Vec<u32>,
    supported: u32,
    max_mapping: u32,
    log: Vec<u16>,
    /// Message types it refuses, and how.
    refuse: Option<(u16, u32)>,
    /// Grants it would keep mapped, and those it does.
    room: u32,
    mapped: BTreeSet<u32>,
}

impl<'p> Backend<'p> {
    fn new(page: &'p Page) -> Self {
        Self {
            page,
            at: 0,
            queues: 4,
            algorithm: 1,
            types: 0xF,
            key: Vec::new(),
            mapping: std::vec![9; 50],
            supported: 0xF,
            max_mapping: 128,
            log: Vec::new(),
            refuse: None,
            room: 0,
            mapped: BTreeSet::new(),
        }
    }

    /// Answers the next request, if there is one.
    fn answer(&mut self, argument: &Argument) -> bool {
        if self.page[0].get() == self.at {
            return false;
        }
        let base = 16 + (self.at as usize % 128) * 4;
        let words: [u32; 4] = core::array::from_fn(|n| self.page[base + n].get());
        let kind = u16::try_from(words[0] >> 16).unwrap();
        self.log.push(kind);
        let (status, data) = match self.refuse {
            Some((refused, status)) if refused == kind => (status, 0),
            _ => self.act(kind, [words[1], words[2], words[3]], argument),
        };
        self.page[base].set(words[0]);
        self.page[base + 1].set(status);
        self.page[base + 2].set(data);
        self.at += 1;
        self.page[2].set(self.at);
        self.page[1].set(self.at + 1);
        true
    }

    fn act(&mut self, kind: u16, data: [u32; 3], argument: &Argument) -> (u32, u32) {
        match kind {
            1 if self.algorithm == 0 => return (1, 0),
            1 => return (0, self.supported),
            2 if self.algorithm == 0 || data[0] & !self.supported != 0 => return (2, 0),
            2 => self.types = data[0],
            3 if data[1] > 40 || data[0] != 77 => return (2, 0),
            3 => self.key.clone_from(&argument.0),
            4 => return (0, self.max_mapping),
            5 if data[0] > self.max_mapping => return (2, 0),
            5 => self.mapping = std::vec![0; data[0] as usize],
            6 => {
                let (entries, first) = (data[1] as usize, data[2] as usize);
                if first + entries > self.mapping.len()
                    || argument.0.iter().any(|&queue| queue >= self.queues)
                {
                    return (2, 0);
                }
                self.mapping[first..first + entries].copy_from_slice(&argument.0[..entries]);
            }
            8 if self.room > 0 => return (0, self.room),
            9 | 10 if self.room > 0 => {
                assert_eq!((data[1], argument.0.len()), (77, data[2] as usize * 2));
                for entry in argument.0.chunks(2) {
                    assert_eq!(entry[1], 1, "read-only");
                    if kind == 9 {
                        self.mapped.insert(entry[0]);
                    } else {
                        self.mapped.remove(&entry[0]);
                    }
                }
            }
            7 if data[0] > 1 => return (2, 0),
            7 => self.algorithm = data[0],
            _ => return (1, 0),
        }
        (0, 0)
    }
}

/// Runs both sides until the client has nothing in flight; the events it told.
fn settle(client: &mut Control<&Page>, backend: &mut Backend<'_>, now: u64) -> Vec<Event> {
    settle_with(client, backend, now, &[])
}

/// As [`settle`], with so many grants of each queue that stay.
fn settle_with(
    client: &mut Control<&Page>,
    backend: &mut Backend<'_>,
    now: u64,
    grants: &[u32],
) -> Vec<Event> {
    let mut memory = Argument(Vec::new(), grants.to_vec());
    let mut events = Vec::new();
    for _ in 0..40 {
        let pass = client.run(now, &mut memory);
        events.extend(pass.event);
        if !backend.answer(&memory) {
            assert!(client.deadline().is_none() || client.unavailable().is_some());
            return events;
        }
        // A sleeping backend needs the kick that made it look.
        assert!(pass.kick.is_needed());
    }
    panic!("no end: {:?}", backend.log);
}

fn config(types: u32, mapping: &[u16]) -> HashConfig {
    let key: [u8; 40] = core::array::from_fn(|n| u8::try_from(n).unwrap());
    HashConfig::new(&key, HashTypes(types), mapping).unwrap()
}

fn table() -> Vec<u16> {
    (0..128).map(|n| n % 4).collect()
}

fn start(page: &Page) -> (Control<&Page>, Backend<'_>) {
    (Control::new(page, 4).unwrap(), Backend::new(page))
}

#[test]
fn a_fresh_connection_is_reset_and_asked() {
    let page = page();
    let (mut client, mut backend) = start(&page);
    let events = settle(&mut client, &mut backend, 0);
    let capabilities = Capabilities {
        types: HashTypes(0xF),
        mapping_entries: 128,
        lasting_grants: 0,
    };
    assert_eq!(events, [Event::Off(capabilities)]);
    assert_eq!(backend.log, [7, 5, 7, 1, 4, 8, 7]);
    assert_eq!((backend.algorithm, backend.mapping.len()), (0, 0));
}

#[test]
fn hashing_is_set_up_in_the_order_netback_wants() {
    let page = page();
    let (mut client, mut backend) = start(&page);
    settle(&mut client, &mut backend, 0);
    backend.log.clear();
    client.set_goal(Goal::On(config(0x3, &table()))).unwrap();
    let events = settle(&mut client, &mut backend, 0);
    assert_eq!(
        events,
        [Event::On {
            types: HashTypes(3),
            entries: 128
        }]
    );
    assert_eq!(backend.log, [7, 2, 3, 5, 6]);
    assert_eq!((backend.algorithm, backend.types), (1, 3));
    assert_eq!(backend.key[0], 0x0302_0100);
    assert_eq!(backend.mapping[..5], [0, 1, 2, 3, 0]);
}

#[test]
fn a_new_mapping_is_one_message() {
    let page = page();
    let (mut client, mut backend) = start(&page);
    client.set_goal(Goal::On(config(0xF, &table()))).unwrap();
    settle(&mut client, &mut backend, 0);
    backend.log.clear();
    let reversed: Vec<u16> = (0..128).map(|n| 3 - n % 4).collect();
    client.set_goal(Goal::On(config(0xF, &reversed))).unwrap();
    settle(&mut client, &mut backend, 0);
    assert_eq!(backend.log, [6]);
    assert_eq!(backend.mapping[..4], [3, 2, 1, 0]);
    backend.log.clear();
    client.set_goal(Goal::On(config(0xF, &reversed))).unwrap();
    let events = settle(&mut client, &mut backend, 0);
    assert!(backend.log.is_empty());
    assert_eq!(events.len(), 1, "told again");
}

#[test]
fn switching_off_and_stopping_reset_the_backend() {
    let page = page();
    let (mut client, mut backend) = start(&page);
    client.set_goal(Goal::On(config(0xF, &table()))).unwrap();
    settle(&mut client, &mut backend, 0);
    client.set_goal(Goal::Off).unwrap();
    assert!(matches!(
        settle(&mut client, &mut backend, 0)[..],
        [Event::Off(_)]
    ));
    assert_eq!(backend.algorithm, 0);
    backend.log.clear();
    client.set_goal(Goal::On(config(0xF, &table()))).unwrap();
    settle(&mut client, &mut backend, 0);
    assert_eq!(
        backend.log,
        [7, 2, 3, 6],
        "nothing is taken to have outlived NONE"
    );
    client.set_goal(Goal::Stop).unwrap();
    assert_eq!(settle(&mut client, &mut backend, 0), [Event::Stopped]);
    assert_eq!((backend.algorithm, backend.mapping.len()), (0, 0));
}

#[test]
fn stopping_at_once_asks_no_questions() {
    let page = page();
    let (mut client, mut backend) = start(&page);
    client.set_goal(Goal::Stop).unwrap();
    assert_eq!(settle(&mut client, &mut backend, 0), [Event::Stopped]);
    assert_eq!(backend.log, [7, 5]);
}

#[test]
fn a_goal_changed_under_way_wins() {
    let page = page();
    let (mut client, mut backend) = start(&page);
    settle(&mut client, &mut backend, 0);
    let mut memory = Argument::default();
    client.set_goal(Goal::On(config(0xF, &table()))).unwrap();
    for _ in 0..3 {
        let _ = client.run(0, &mut memory);
        backend.answer(&memory);
    }
    // The key of the first goal is in flight or just answered; the new one must not get lost.
    let other = HashConfig::new(&[7; 40], HashTypes(1), &[1, 0]).unwrap();
    client.set_goal(Goal::On(other)).unwrap();
    let events = settle(&mut client, &mut backend, 0);
    assert_eq!(
        events,
        [Event::On {
            types: HashTypes(1),
            entries: 2
        }]
    );
    assert_eq!(backend.key, [0x0707_0707; 10]);
    assert_eq!(backend.mapping, [1, 0]);
}

#[test]
fn only_what_is_supported_is_used() {
    let page = page();
    let (mut client, mut backend) = start(&page);
    (backend.supported, backend.max_mapping) = (0x5, 100);
    client.set_goal(Goal::On(config(0xF, &table()))).unwrap();
    let events = settle(&mut client, &mut backend, 0);
    assert_eq!(
        events,
        [Event::On {
            types: HashTypes(5),
            entries: 64
        }]
    );
}

#[test]
fn silly_capabilities_are_clamped() {
    let page = page();
    let (mut client, mut backend) = start(&page);
    (backend.supported, backend.max_mapping) = (u32::MAX, u32::MAX);
    settle(&mut client, &mut backend, 0);
    let capabilities = client.capabilities().unwrap();
    assert_eq!(
        (capabilities.types, capabilities.mapping_entries),
        (HashTypes(0xF), 128)
    );
    backend.max_mapping = 0;
    backend.supported = 0xF;
    let page = crate::test_page::page();
    let (mut client, mut backend) = start(&page);
    backend.max_mapping = 0;
    client.set_goal(Goal::On(config(0xF, &table()))).unwrap();
    let events = settle(&mut client, &mut backend, 0);
    assert_eq!(events, [Event::Failed(Failure::Unsupported)]);
    assert_eq!(backend.algorithm, 0, "left switched off");
}

#[test]
fn a_backend_that_cannot_hash_says_so_once() {
    let page = page();
    let (mut client, mut backend) = start(&page);
    backend.supported = 0;
    client.set_goal(Goal::On(config(0xF, &table()))).unwrap();
    assert_eq!(
        settle(&mut client, &mut backend, 0),
        [Event::Failed(Failure::Unsupported)]
    );
}

#[test]
fn a_refused_step_switches_hashing_off() {
    for (kind, step) in [
        (2, Step::Types(HashTypes(0xF))),
        (3, Step::Key),
        (6, Step::Mapping(128)),
    ] {
        let page = page();
        let (mut client, mut backend) = start(&page);
        backend.refuse = Some((kind, 3));
        client.set_goal(Goal::On(config(0xF, &table()))).unwrap();
        let events = settle(&mut client, &mut backend, 0);
        let failure = Failure::Refused {
            step,
            status: CtrlStatus::BufferOverflow,
        };
        assert_eq!(events, [Event::Failed(failure)]);
        assert_eq!(backend.algorithm, 0);
    }
}

#[test]
fn a_refused_reset_ends_the_use_of_the_ring() {
    let page = page();
    let (mut client, mut backend) = start(&page);
    backend.refuse = Some((7, 1));
    let events = settle(&mut client, &mut backend, 0);
    assert_eq!(
        events,
        [Event::Unavailable(Unavailable::Refused(
            CtrlStatus::NotSupported
        ))]
    );
}

#[test]
fn bad_goals_are_refused() {
    let key = [0; 40];
    let all = HashTypes::ALL;
    assert_eq!(
        HashConfig::new(&key, all, &[]),
        Err(GoalError::MappingLength)
    );
    assert_eq!(
        HashConfig::new(&key, all, &[0; 3]),
        Err(GoalError::MappingLength)
    );
    assert_eq!(
        HashConfig::new(&key, all, &[0; 256]),
        Err(GoalError::MappingLength)
    );
    assert_eq!(
        HashConfig::new(&key, HashTypes(0x10), &[0]),
        Err(GoalError::NoTypes)
    );
    let page = page();
    let mut client = Control::new(&page, 4).unwrap();
    let beyond = Goal::On(config(1, &[0, 4]));
    assert_eq!(client.set_goal(beyond), Err(GoalError::MappingQueue));
    let mut client = Control::new(&page, 1).unwrap();
    assert_eq!(
        client.set_goal(Goal::On(config(1, &[0]))),
        Err(GoalError::OneQueue)
    );
}

#[test]
fn silence_is_notified_once_more_and_then_given_up() {
    let page = page();
    let (mut client, _) = start(&page);
    let mut memory = Argument::default();
    assert!(client.run(1000, &mut memory).kick.is_needed());
    assert_eq!(client.deadline(), Some(3500));
    assert!(!client.run(3499, &mut memory).kick.is_needed());
    assert!(client.run(3500, &mut memory).kick.is_needed());
    assert_eq!(client.deadline(), Some(6000));
    assert!(!client.run(5999, &mut memory).kick.is_needed());
    let pass = client.run(6000, &mut memory);
    let step = Step::Algorithm(netif::ctrl::Algorithm::NONE);
    assert_eq!(
        pass.event,
        Some(Event::Unavailable(Unavailable::Timeout(step)))
    );
    assert_eq!(client.deadline(), None);
    assert_eq!(client.run(9000, &mut memory).event, None, "said once");
}

#[test]
fn an_answer_after_the_second_notification_counts() {
    let page = page();
    let (mut client, mut backend) = start(&page);
    let mut memory = Argument::default();
    let _ = client.run(0, &mut memory);
    assert!(client.run(2500, &mut memory).kick.is_needed());
    assert!(backend.answer(&memory));
    assert!(matches!(
        settle(&mut client, &mut backend, 4999)[..],
        [Event::Off(_)]
    ));
}

#[test]
fn wrong_answers_end_the_use_of_the_ring() {
    let answer = |page: &Page, words: [u32; 3]| {
        for (nth, word) in words.into_iter().enumerate() {
            page[16 + nth].set(word);
        }
        page[2].set(1);
    };
    for words in [[0x0007_0001, 0, 0], [0x0001_0000, 0, 0], [u32::MAX, 0, 0]] {
        let page = page();
        let (mut client, _) = start(&page);
        let mut memory = Argument::default();
        let _ = client.run(0, &mut memory);
        answer(&page, words);
        let event = client.run(0, &mut memory).event;
        assert_eq!(event, Some(Event::Unavailable(Unavailable::WrongAnswer)));
    }
    let page = page();
    let (mut client, _) = start(&page);
    page[2].set(1);
    let event = client.run(0, &mut Argument::default()).event;
    assert!(
        matches!(event, Some(Event::Unavailable(Unavailable::Ring(_)))),
        "unasked"
    );
}

#[test]
fn grants_are_mapped_after_the_goal_and_let_go_before_the_reset() {
    let page = page();
    let (mut client, mut backend) = start(&page);
    backend.room = 300;
    client.set_goal(Goal::On(config(0xF, &table()))).unwrap();
    let events = settle_with(&mut client, &mut backend, 0, &[72, 0, 400, 1]);
    let on = Event::On {
        types: HashTypes(0xF),
        entries: 128,
    };
    let lasting = Event::Lasting {
        grants: 72 + 300 + 1,
        refused: 0,
    };
    assert_eq!(events, [on, lasting]);
    assert_eq!(backend.log, [7, 5, 7, 1, 4, 8, 2, 3, 5, 6, 9, 9, 9]);
    assert_eq!(backend.mapped.len(), 373);
    assert!(backend.mapped.contains(&2299) && !backend.mapped.contains(&2300));
    // Told once, asked for once.
    backend.log.clear();
    client.set_goal(Goal::Off).unwrap();
    let events = settle_with(&mut client, &mut backend, 0, &[72, 0, 400, 1]);
    assert!(matches!(events[..], [Event::Off(_)]));
    assert_eq!((&backend.log[..], backend.mapped.len()), (&[7][..], 373));
    backend.log.clear();
    client.set_goal(Goal::Stop).unwrap();
    let events = settle_with(&mut client, &mut backend, 0, &[72, 0, 400, 1]);
    assert_eq!(events, [Event::Stopped]);
    assert_eq!(backend.log, [10, 10, 10, 5]);
    assert!(backend.mapped.is_empty());
}

#[test]
fn a_backend_that_keeps_nothing_mapped_is_asked_once_for_each_queue() {
    for (status, asked) in [(1, 1), (2, 4), (3, 4)] {
        let page = page();
        let (mut client, mut backend) = start(&page);
        (backend.room, backend.refuse) = (300, Some((9, status)));
        let events = settle_with(&mut client, &mut backend, 0, &[72; 4]);
        let lasting = Event::Lasting {
            grants: 0,
            refused: asked,
        };
        assert!(
            matches!(events[..], [Event::Off(_), last] if last == lasting),
            "{events:?}"
        );
        let adds = backend.log.iter().filter(|kind| **kind == 9).count();
        assert_eq!(adds, asked as usize);
        // Nothing to let go.
        backend.log.clear();
        client.set_goal(Goal::Stop).unwrap();
        settle_with(&mut client, &mut backend, 0, &[72; 4]);
        assert_eq!(backend.log, []);
    }
}

#[test]
fn a_refusal_to_let_go_stops_nothing() {
    let page = page();
    let (mut client, mut backend) = start(&page);
    backend.room = 300;
    settle_with(&mut client, &mut backend, 0, &[72; 4]);
    backend.refuse = Some((10, 2));
    backend.log.clear();
    client.set_goal(Goal::Stop).unwrap();
    let events = settle_with(&mut client, &mut backend, 0, &[72; 4]);
    assert_eq!(events, [Event::Stopped]);
    assert_eq!(backend.log, [10, 10, 10, 10]);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 1 } else { 200 }, failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Whatever is answered, and whenever the goal changes: the client comes to rest or gives
    /// up, within a bounded number of requests.
    #[test]
    fn any_answers_lead_to_an_end(
        answers in prop::collection::vec((0_u32..5, any::<u32>(), 0_u8..20, 0_u8..12), 1..if cfg!(miri) { 8 } else { 60 }),
    ) {
        let page = page();
        let (mut client, mut backend) = start(&page);
        let mut memory = Argument(Vec::new(), std::vec![3; 4]);
        for (status, data, twist, goal) in answers {
            match goal {
                0 => client.set_goal(Goal::Off).unwrap(),
                1 => client.set_goal(Goal::On(config(0xF, &table()))).unwrap(),
                2 => client.set_goal(Goal::On(config(0x1, &[1, 2]))).unwrap(),
                3 => client.set_goal(Goal::Stop).unwrap(),
                _ => {}
            }
            let _ = client.run(0, &mut memory);
            backend.supported = data;
            backend.max_mapping = data % 200;
            backend.room = data % 3;
            if backend.answer(&memory) {
                let base = 16 + ((backend.at as usize - 1) % 128) * 4;
                match twist {
                    0 => page[base].set(data),
                    1 => page[base + 1].set(status),
                    2 => page[2].set(data),
                    3 => page[base + 2].set(data),
                    _ => {}
                }
            }
        }
        for _ in 0..40 {
            let _ = client.run(0, &mut memory);
            if !backend.answer(&memory) {
                break;
            }
        }
        prop_assert!(client.deadline().is_none() || client.unavailable().is_some());
    }
}
