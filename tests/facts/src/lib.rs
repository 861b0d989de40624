//! Reads the fact tables in `tests/data/facts` that the tests compare bindings with.
#![forbid(unsafe_code)]
