//! End-to-end tests with miniports written here.
