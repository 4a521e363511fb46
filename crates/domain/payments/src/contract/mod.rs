//! Suites that every implementation of the ports passes.
