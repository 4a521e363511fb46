//! The ports of identity on the real technology: the contract's suites, attacks on tokens, and keys that change.

mod attacks;
mod contracts;
mod keys;
mod naive;
mod rotation;
mod support;
mod tokens;
