//! The transmit queue against a small backend of its own: raw ring words, no code of `ring`.

mod frames;
mod hostile;
mod peer;
mod queue;
