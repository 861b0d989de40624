//! What xtask and the program in dom0 tell each other: [`plan`]s go in, [`event`]s come out.
//!
//! Both are lines or files of JSON in the folder they share (see the README).

pub mod event;
pub mod pattern;
pub mod plan;
