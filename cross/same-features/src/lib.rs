//! Has no code.
