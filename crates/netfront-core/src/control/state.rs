//! What is wanted, what the backend was told, and the one step between them that is next.

use netif::GrantRef;
use netif::ctrl::{
    Algorithm, CtrlRequest, CtrlResponse, CtrlStatus, HashTypes, MAX_KEY, MAX_MAPPING,
};
use ring::Corrupt;

/// Words of a key in the argument page.
const KEY_WORDS: usize = MAX_KEY / 4;
/// Most grants per queue that are asked to stay mapped: as many entries of 8 bytes as the list's page holds.
const MAX_LASTING_GRANTS: u32 = netif::PAGE_SIZE / 8;

/// What the backend's hash engine can do; clamped to what the protocol and this driver know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Hash types; empty when it cannot hash at all.
    pub types: HashTypes,
    /// Longest mapping in entries, 0 to 128; 0 when it cannot map.
    pub mapping_entries: u32,
    /// Grants per queue that may stay mapped (messages 8 to 10); 0 when it does not offer that.
    pub lasting_grants: u32,
}

/// Hashing as NDIS wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashConfig {
    key: [u32; KEY_WORDS],
    types: HashTypes,
    mapping: [u32; MAX_MAPPING],
    entries: usize,
}

/// Why a configuration cannot be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GoalError {
    /// The mapping is not a power of two of at most 128 entries.
    MappingLength,
    /// An entry names no queue.
    MappingQueue,
    /// No hash type.
    NoTypes,
    /// With one queue netback does not hash; software must.
    OneQueue,
}

impl HashConfig {
    /// Toeplitz with this key over these types; entry `hash % mapping.len()` of the mapping names
    /// the queue. If the backend's mapping is shorter, the first entries are used.
    pub fn new(key: &[u8; MAX_KEY], types: HashTypes, mapping: &[u16]) -> Result<Self, GoalError> {
        if types.and(HashTypes::ALL).is_empty() {
            return Err(GoalError::NoTypes);
        }
        if !mapping.len().is_power_of_two() || mapping.len() > MAX_MAPPING {
            return Err(GoalError::MappingLength);
        }
        let mut config = Self {
            key: [0; KEY_WORDS],
            types,
            mapping: [0; MAX_MAPPING],
            entries: mapping.len(),
        };
        for (word, bytes) in config.key.iter_mut().zip(key.as_chunks::<4>().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        for (entry, queue) in config.mapping.iter_mut().zip(mapping) {
            *entry = u32::from(*queue);
        }
        Ok(config)
    }

    /// Whether `queues` queues can be told this.
    pub(super) fn check(&self, queues: u32) -> Result<(), GoalError> {
        if queues < 2 {
            return Err(GoalError::OneQueue);
        }
        if self
            .mapping
            .iter()
            .take(self.entries)
            .any(|&queue| queue >= queues)
        {
            return Err(GoalError::MappingQueue);
        }
        Ok(())
    }
}

/// What the caller wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "one per vif, and no box without a heap"
)]
pub enum Goal {
    /// No hashing; the backend spreads packets as it likes.
    Off,
    /// Hashing.
    On(HashConfig),
    /// As on a fresh connection, before disconnecting; nothing more will be asked.
    Stop,
}

/// A request, by what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// SET algorithm.
    Algorithm(Algorithm),
    /// SET mapping size.
    MappingSize(u32),
    /// GET flags.
    AskTypes,
    /// GET mapping size.
    AskMappingSize,
    /// GET gref mapping size.
    AskLastingGrants,
    /// SET flags.
    Types(HashTypes),
    /// SET key.
    Key,
    /// SET mapping, of so many entries.
    Mapping(u32),
    /// ADD gref mapping, of so many grants.
    AddGrants {
        /// The queue.
        queue: u32,
        /// Grants in the list.
        entries: u32,
    },
    /// DEL gref mapping.
    DropGrants {
        /// The queue.
        queue: u32,
        /// Grants in the list.
        entries: u32,
    },
}

/// What is to be told to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The goal [`Goal::Off`] is reached; what the backend could do.
    Off(Capabilities),
    /// The goal [`Goal::On`] is reached.
    On {
        /// Hash types in use: those that were asked for and are supported.
        types: HashTypes,
        /// Entries of the mapping in use.
        entries: u32,
    },
    /// The goal [`Goal::Stop`] is reached.
    Stopped,
    /// The backend was asked to keep grants mapped, for all queues.
    Lasting {
        /// Grants it keeps mapped.
        grants: u32,
        /// Queues for which it refused; what they send works all the same.
        refused: u32,
    },
    /// The goal [`Goal::On`] cannot be reached; the goal is [`Goal::Off`] now.
    Failed(Failure),
    /// The control ring is of no use on this connection.
    Unavailable(Unavailable),
}

/// Why hashing could not be set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The backend supports none of the types, or no mapping.
    Unsupported,
    /// The backend refused a step.
    Refused {
        /// The step.
        step: Step,
        /// Its answer.
        status: CtrlStatus,
    },
}

/// Why the control ring is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// No answer for [`TIMEOUT_MS`](super::TIMEOUT_MS).
    Timeout(Step),
    /// An answer to something that was not asked.
    WrongAnswer,
    /// The ring's indices.
    Ring(Corrupt),
    /// Even the reset was refused.
    Refused(CtrlStatus),
}

/// What the backend was told, as far as it is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    algorithm: Option<Algorithm>,
    size: Option<u32>,
    types: Option<HashTypes>,
    key: Option<[u32; KEY_WORDS]>,
    mapping: Option<([u32; MAX_MAPPING], u32)>,
    asked_types: Option<HashTypes>,
    asked_size: Option<u32>,
    asked_grants: Option<u32>,
}

impl Known {
    pub(super) const NOTHING: Self = Self {
        algorithm: None,
        size: None,
        types: None,
        key: None,
        mapping: None,
        asked_types: None,
        asked_size: None,
        asked_grants: None,
    };

    pub(super) fn capabilities(&self) -> Option<Capabilities> {
        Some(Capabilities {
            types: self.asked_types?,
            mapping_entries: self.asked_size?,
            lasting_grants: self.asked_grants?,
        })
    }

    /// The next step towards `goal`; None when it is reached, an error when it cannot be.
    pub(super) fn next(&self, goal: &Goal) -> Result<Option<Step>, Failure> {
        // The reset at the start, whatever is wanted.
        if self.algorithm.is_none() {
            return Ok(Some(Step::Algorithm(Algorithm::NONE)));
        }
        if self.size.is_none() {
            return Ok(Some(Step::MappingSize(0)));
        }
        match goal {
            Goal::Stop => Ok(self.towards_reset()),
            Goal::Off => Ok(self
                .questions()
                .or_else(|| self.towards_algorithm(Algorithm::NONE))),
            Goal::On(config) => match self.questions() {
                Some(question) => Ok(Some(question)),
                None => self.towards_config(config),
            },
        }
    }

    fn towards_algorithm(&self, algorithm: Algorithm) -> Option<Step> {
        (self.algorithm != Some(algorithm)).then_some(Step::Algorithm(algorithm))
    }

    fn towards_reset(&self) -> Option<Step> {
        self.towards_algorithm(Algorithm::NONE)
            .or_else(|| (self.size != Some(0)).then_some(Step::MappingSize(0)))
    }

    fn questions(&self) -> Option<Step> {
        if self.asked_types.is_none() {
            let set = self.towards_algorithm(Algorithm::TOEPLITZ);
            return Some(set.unwrap_or(Step::AskTypes));
        }
        if self.asked_size.is_none() {
            return Some(Step::AskMappingSize);
        }
        self.asked_grants
            .is_none()
            .then_some(Step::AskLastingGrants)
    }

    fn towards_config(&self, config: &HashConfig) -> Result<Option<Step>, Failure> {
        let (types, entries) = self.offered(config)?;
        let wanted = config.mapping;
        let same_mapping = self
            .mapping
            .is_some_and(|(mapping, told)| told == entries && mapping == wanted);
        Ok(self.towards_algorithm(Algorithm::TOEPLITZ).or_else(|| {
            if self.types != Some(types) {
                Some(Step::Types(types))
            } else if self.key != Some(config.key) {
                Some(Step::Key)
            } else if self.size != Some(entries) {
                Some(Step::MappingSize(entries))
            } else if same_mapping {
                None
            } else {
                Some(Step::Mapping(entries))
            }
        }))
    }

    /// What of the configuration the backend can do.
    pub(super) fn offered(&self, config: &HashConfig) -> Result<(HashTypes, u32), Failure> {
        let capabilities = self.capabilities().ok_or(Failure::Unsupported)?;
        let types = config.types.and(capabilities.types);
        let entries = u32::try_from(config.entries)
            .unwrap_or(0)
            .min(capabilities.mapping_entries);
        match entries.checked_ilog2() {
            Some(log) if !types.is_empty() => Ok((types, 1_u32.wrapping_shl(log))),
            _ => Err(Failure::Unsupported),
        }
    }

    /// Notes the answer to a step.
    pub(super) fn answered(
        &mut self,
        step: Step,
        goal: &Goal,
        response: CtrlResponse,
    ) -> Result<(), Refusal> {
        let success = response.status == CtrlStatus::Success;
        let refused = |fatal| {
            if success {
                Ok(())
            } else if fatal {
                Err(Refusal::Unavailable(Unavailable::Refused(response.status)))
            } else {
                Err(Refusal::Goal(Failure::Refused {
                    step,
                    status: response.status,
                }))
            }
        };
        match step {
            Step::Algorithm(Algorithm::NONE) => {
                refused(true)?;
                *self = Self {
                    algorithm: Some(Algorithm::NONE),
                    types: None,
                    key: None,
                    mapping: None,
                    ..*self
                };
            }
            Step::Algorithm(algorithm) if success => self.algorithm = Some(algorithm),
            Step::Algorithm(_) if self.asked_types.is_none() => {
                // Not even asked to hash yet: it just cannot.
                self.asked_types = Some(HashTypes::default());
                self.asked_size = Some(0);
                self.asked_grants = self.asked_grants.or(Some(0));
            }
            Step::MappingSize(0) => {
                // A backend without mappings may refuse; there is nothing to reset then.
                self.size = Some(0);
                self.mapping = None;
            }
            Step::AskTypes => {
                let types = if success {
                    HashTypes(response.data)
                } else {
                    HashTypes::default()
                };
                self.asked_types = Some(types.and(HashTypes::ALL));
            }
            Step::AskMappingSize => {
                let longest = u32::try_from(MAX_MAPPING).unwrap_or(0);
                self.asked_size = Some(if success {
                    response.data.min(longest)
                } else {
                    0
                });
            }
            Step::AskLastingGrants => {
                let grants = if success { response.data } else { 0 };
                self.asked_grants = Some(grants.min(MAX_LASTING_GRANTS));
            }
            Step::Algorithm(_) => refused(false)?,
            Step::MappingSize(entries) => {
                refused(false)?;
                self.size = Some(entries);
                self.mapping = None;
            }
            Step::Types(types) => {
                refused(false)?;
                self.types = Some(types);
            }
            // What was sent is not the goal's any more, if the goal has changed since; then it is
            // unknown here and sent again.
            Step::Key => {
                refused(false)?;
                self.key = match goal {
                    Goal::On(config) => Some(config.key),
                    Goal::Off | Goal::Stop => None,
                };
            }
            Step::Mapping(entries) => {
                refused(false)?;
                self.mapping = match goal {
                    Goal::On(config) => Some((config.mapping, entries)),
                    Goal::Off | Goal::Stop => None,
                };
            }
            // The client's own; a refusal is no failure of hashing.
            Step::AddGrants { .. } | Step::DropGrants { .. } => {}
        }
        Ok(())
    }
}

/// What a refused step means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The goal is out of reach.
    Goal(Failure),
    /// Everything is.
    Unavailable(Unavailable),
}

impl Step {
    /// The words its argument page needs; empty when it has none.
    pub(super) fn argument(self, goal: &Goal) -> Option<&[u32]> {
        let Goal::On(config) = goal else { return None };
        match self {
            Self::Key => Some(&config.key),
            Self::Mapping(entries) => config.mapping.get(..entries as usize),
            _ => None,
        }
    }

    /// The request; `argument` is the grant of the argument page.
    pub(super) fn request(self, argument: GrantRef) -> CtrlRequest {
        match self {
            Self::Algorithm(algorithm) => CtrlRequest::SetHashAlgorithm(algorithm),
            Self::MappingSize(entries) => CtrlRequest::SetHashMappingSize(entries),
            Self::AskTypes => CtrlRequest::GetHashFlags,
            Self::AskMappingSize => CtrlRequest::GetHashMappingSize,
            Self::AskLastingGrants => CtrlRequest::GetGrefMappingSize { queue: 0 },
            Self::Types(types) => CtrlRequest::SetHashFlags(types),
            Self::Key => CtrlRequest::SetHashKey {
                gref: argument,
                length: MAX_KEY.try_into().unwrap_or(0),
            },
            Self::Mapping(entries) => CtrlRequest::SetHashMapping {
                gref: argument,
                entries,
                first: 0,
            },
            Self::AddGrants { queue, entries } => CtrlRequest::AddGrefMapping {
                queue,
                gref: argument,
                entries,
            },
            Self::DropGrants { queue, entries } => CtrlRequest::DelGrefMapping {
                queue,
                gref: argument,
                entries,
            },
        }
    }
}
