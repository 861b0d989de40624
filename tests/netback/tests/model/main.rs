//! The model backend and a frontend whose every slot is written by hand.

mod connect;
mod ctrl;
mod hostile;
mod rx;
mod support;
mod tx;
