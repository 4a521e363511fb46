//! What the black-box tests stand on. See [`support`].
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test's helpers fail by panicking, like the test, and live in real time"
)]

pub mod support;
