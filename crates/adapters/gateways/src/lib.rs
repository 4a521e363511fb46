//! The outside world over the network: mail by SMTP.
#![deny(missing_docs)]

mod smtp;

pub use smtp::{InvalidSmtpSettings, SmtpMailer, SmtpSettings};

#[cfg(test)]
mod tests;
