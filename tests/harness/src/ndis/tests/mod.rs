//! Miniports written here, in Rust, run against the exports as a driver's code would: through the thunks, on
//! fibers whose stacks are guest memory. One is right and passes; each of the others makes one mistake.

mod fake;
mod mistakes;
mod script;
mod sound;
