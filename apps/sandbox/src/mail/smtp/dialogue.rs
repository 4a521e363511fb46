//! The dialogue of one connection: bytes in, steps out, no input or output of its own.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use smtp_proto::request::receiver::DataReceiver;
use smtp_proto::{Error, Request};

use crate::mail::MailSink;
use crate::mail::behaviour::{Stage, Verdict};

/// Largest message, as told in the answer to EHLO.
const MAX_MESSAGE: usize = 1024 * 1024;
/// Longest command line with its CRLF: 512 of RFC 5321 and room for the parameters of the extensions.
const MAX_COMMAND_LINE: usize = 1024;
/// Longest text line with its CRLF (RFC 5321, 4.5.3.1.6).
const MAX_TEXT_LINE: usize = 1000;
/// Most recipients of a message; RFC 5321 asks for at least this.
const MAX_RECIPIENTS: usize = 100;
/// The receiver sees a dot only after a CRLF, so it gets one before the first line of a message, too.
const LINE_START: &[u8] = b"\r\n";
const NO_SENDER: &str = "5.1.7 the sender is no mailbox";
const NO_RECIPIENT: &str = "5.1.3 the recipient is no mailbox";

/// What to do on the connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Wait for `delay`, send `text`, then perhaps close.
    Reply { text: String, delay: Duration, close: bool },
    /// Close without a word.
    Cut,
}

/// The server's side of one connection.
pub(super) struct Dialogue {
    sink: Arc<MailSink>,
    input: Vec<u8>,
    /// A command line was too long, what is left of it is passed over.
    overlong: bool,
    greeted: bool,
    transaction: Option<Envelope>,
    body: Option<Body>,
}

#[derive(Default)]
struct Envelope {
    from: String,
    to: Vec<String>,
}

/// A message that is coming in.
struct Body {
    receiver: DataReceiver,
    /// Begins with `LINE_START`, which is not of the message.
    raw: Vec<u8>,
    too_large: bool,
}

enum Line {
    Complete(Vec<u8>),
    TooLong,
    Malformed,
}

impl Dialogue {
    pub(super) fn new(sink: Arc<MailSink>) -> Self {
        Self { sink, input: Vec::new(), overlong: false, greeted: false, transaction: None, body: None }
    }

    /// The first words, before the client said anything.
    pub(super) fn greet(&mut self) -> Step {
        let verdict = self.sink.script.arrive(Stage::Connect);
        let mut step = self.judged(verdict, 220, "sandbox.invalid ESMTP Amrutam sandbox, delivers nothing");
        if let Step::Reply { close, .. } = &mut step {
            *close |= verdict.refuse_with.is_some();
        }
        step
    }

    /// The last words to a client that did not say QUIT.
    pub(super) fn good_bye(&self, why: &str) -> Step {
        self.reply(421, why)
    }

    /// Takes what came; `step` then says what to do about it.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// The next thing to do, or nothing until more comes. To be asked until nothing is left: a client may send many
    /// commands at once.
    pub(super) fn step(&mut self) -> Option<Step> {
        if self.body.is_some() {
            return self.read_body();
        }
        let step = match self.take_line()? {
            Line::TooLong => self.reply(500, "5.5.6 line too long"),
            Line::Malformed => self.reply(500, "5.5.2 a line ends with CR LF and has no other control characters"),
            Line::Complete(line) => match Request::parse(&mut line.iter()) {
                Ok(request) => self.command(request.into_owned()),
                Err(Error::UnknownCommand) => self.reply(500, "5.5.1 unknown command"),
                Err(Error::UnsupportedParameter { .. }) => self.reply(555, "5.5.4 unknown parameter"),
                Err(Error::InvalidSenderAddress) => self.reply(553, NO_SENDER),
                Err(Error::InvalidRecipientAddress) => self.reply(553, NO_RECIPIENT),
                Err(error) => self.reply(501, &format!("5.5.4 {error}")),
            },
        };
        Some(step)
    }

    fn take_line(&mut self) -> Option<Line> {
        let Some(end) = self.input.iter().position(|byte| *byte == b'\n') else {
            if self.input.len() >= MAX_COMMAND_LINE {
                self.overlong = true;
            }
            if self.overlong {
                self.input.clear();
            }
            return None;
        };
        let rest = self.input.split_off(end + 1);
        let line = mem::replace(&mut self.input, rest);
        if mem::take(&mut self.overlong) || line.len() > MAX_COMMAND_LINE {
            Some(Line::TooLong)
        } else if line.strip_suffix(b"\r\n").is_some_and(|text| !text.iter().any(u8::is_ascii_control)) {
            Some(Line::Complete(line))
        } else {
            Some(Line::Malformed)
        }
    }

    fn command(&mut self, request: Request<String>) -> Step {
        match request {
            Request::Ehlo { .. } => {
                self.greeted = true;
                self.transaction = None;
                let lines = format!(
                    "250-sandbox.invalid\r\n250-PIPELINING\r\n250-SIZE {MAX_MESSAGE}\r\n250-8BITMIME\r\n\
                     250-SMTPUTF8\r\n250 ENHANCEDSTATUSCODES\r\n"
                );
                Step::Reply { text: lines, delay: Duration::ZERO, close: false }
            }
            Request::Helo { .. } => {
                self.greeted = true;
                self.transaction = None;
                self.reply(250, "sandbox.invalid")
            }
            Request::Mail { from } => self.mail(from.address, from.size),
            Request::Rcpt { to } => self.rcpt(to.address),
            Request::Data => self.data(),
            Request::Rset => {
                self.transaction = None;
                self.reply(250, "2.0.0 forgotten")
            }
            Request::Noop { .. } => self.reply(250, "2.0.0 nothing done"),
            Request::Vrfy { .. } => self.reply(252, "2.5.0 every address is taken, none delivered to"),
            Request::Help { .. } => self.reply(214, "2.0.0 this is a fake for tests, see RFC 5321"),
            Request::Quit => self.last_reply(221, "2.0.0 good bye"),
            Request::Lhlo { .. }
            | Request::Bdat { .. }
            | Request::Auth { .. }
            | Request::Expn { .. }
            | Request::Etrn { .. }
            | Request::Atrn { .. }
            | Request::Burl { .. }
            | Request::StartTls => self.reply(502, "5.5.1 not offered here"),
        }
    }

    fn mail(&mut self, from: String, size: usize) -> Step {
        if !self.greeted {
            return self.reply(503, "5.5.1 EHLO first");
        }
        if self.transaction.is_some() {
            return self.reply(503, "5.5.1 one message at a time");
        }
        if !from.is_empty() && !is_mailbox(&from) {
            return self.reply(553, NO_SENDER);
        }
        if size > MAX_MESSAGE {
            return self.reply(552, "5.3.4 the message is too large");
        }
        let verdict = self.sink.script.arrive(Stage::Mail);
        if verdict.refuse_with.is_none() {
            self.transaction = Some(Envelope { from, to: Vec::new() });
        }
        self.judged(verdict, 250, "2.1.0 sender taken")
    }

    fn rcpt(&mut self, to: String) -> Step {
        let Some(recipients) = self.transaction.as_ref().map(|envelope| envelope.to.len()) else {
            return self.reply(503, "5.5.1 MAIL first");
        };
        if !is_mailbox(&to) {
            return self.reply(553, NO_RECIPIENT);
        }
        if recipients >= MAX_RECIPIENTS {
            return self.reply(452, "4.5.3 too many recipients");
        }
        let verdict = self.sink.script.arrive(Stage::Rcpt);
        if verdict.refuse_with.is_none()
            && let Some(envelope) = &mut self.transaction
        {
            envelope.to.push(to);
        }
        self.judged(verdict, 250, "2.1.5 recipient taken")
    }

    fn data(&mut self) -> Step {
        match &self.transaction {
            None => self.reply(503, "5.5.1 MAIL first"),
            Some(envelope) if envelope.to.is_empty() => self.reply(503, "5.5.1 RCPT first"),
            Some(_) => {
                self.body = Some(Body::new());
                self.reply(354, "go on, end with a line of one dot")
            }
        }
    }

    fn read_body(&mut self) -> Option<Step> {
        let input = mem::take(&mut self.input);
        let mut rest = input.iter();
        let complete = self.body.as_mut()?.ingest(&mut rest);
        self.input = rest.as_slice().to_vec();
        if !complete {
            return None;
        }
        let body = self.body.take()?;
        let envelope = self.transaction.take().unwrap_or_default();
        Some(self.accept(envelope, body))
    }

    fn accept(&mut self, envelope: Envelope, body: Body) -> Step {
        let raw = match body.finish() {
            Ok(raw) => raw,
            Err((code, why)) => return self.reply(code, why),
        };
        let verdict = self.sink.script.arrive(Stage::Data);
        if verdict.refuse_with.is_some() {
            return self.judged(verdict, 250, "");
        }
        let id = self.sink.store.add(envelope.from, envelope.to, raw);
        if self.sink.script.drops_after_accepting() {
            return Step::Cut;
        }
        self.judged(verdict, 250, &format!("2.0.0 kept as {id}"))
    }

    /// The reply at a stage of the script: the scripted refusal, or the reply that is due.
    fn judged(&self, verdict: Verdict, code: u16, words: &str) -> Step {
        let mut step = match verdict.refuse_with {
            Some(code) => self.reply(code, &format!("{}.3.0 refused as scripted", code / 100)),
            None => self.reply(code, words),
        };
        if let Step::Reply { delay, .. } = &mut step {
            *delay = verdict.delay;
        }
        step
    }

    fn reply(&self, code: u16, words: &str) -> Step {
        if code >= 400 {
            self.sink.count_refusal();
        }
        // 421 says by itself that the connection ends.
        Step::Reply { text: format!("{code} {words}\r\n"), delay: Duration::ZERO, close: code == 421 }
    }

    fn last_reply(&self, code: u16, words: &str) -> Step {
        Step::Reply { text: format!("{code} {words}\r\n"), delay: Duration::ZERO, close: true }
    }
}

impl Body {
    fn new() -> Self {
        let mut body = Self { receiver: DataReceiver::new(), raw: Vec::new(), too_large: false };
        body.receiver.ingest(&mut LINE_START.iter(), &mut body.raw);
        body
    }

    /// Takes what belongs to the message off `bytes`; true when the message is complete.
    fn ingest(&mut self, bytes: &mut std::slice::Iter<'_, u8>) -> bool {
        let complete = self.receiver.ingest(bytes, &mut self.raw);
        // Until the end is known, the receiver may hold the CR of the last line here.
        let spare = if complete { 0 } else { 1 };
        if self.raw.len() > LINE_START.len() + MAX_MESSAGE + spare {
            self.too_large = true;
            self.raw.clear();
        }
        complete
    }

    /// The message, or why it cannot be taken.
    fn finish(self) -> Result<Bytes, (u16, &'static str)> {
        if self.too_large {
            return Err((552, "5.3.4 the message is too large"));
        }
        let raw = Bytes::from(self.raw).slice(LINE_START.len()..);
        for line in raw.split_inclusive(|byte| *byte == b'\n') {
            if line.len() > MAX_TEXT_LINE {
                return Err((500, "5.5.6 the message has a line of more than 1000 bytes"));
            }
            if line.ends_with(b"\n") && !line.ends_with(b"\r\n") {
                return Err((550, "5.6.0 the message has a line that ends with a bare LF"));
            }
        }
        Ok(raw)
    }
}

/// The parser has seen to the rest, but takes an empty domain, and an empty address for the null sender.
fn is_mailbox(address: &str) -> bool {
    address.rsplit_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty())
}

#[cfg(test)]
mod tests;
