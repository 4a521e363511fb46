//! A message as it came, and what can be read in it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;
use mail_parser::MessageParser;

/// A message that was accepted.
#[derive(Debug, Clone)]
pub struct Message {
    /// Counts from 1 since the start.
    pub id: u64,
    /// When the last byte was there.
    pub received_at: Timestamp,
    /// The sender of the envelope (`MAIL FROM`), empty for a bounce.
    pub from: String,
    /// The recipients of the envelope (`RCPT TO`), blind copies among them.
    pub to: Vec<String>,
    /// The subject, decoded; empty when there is none.
    pub subject: String,
    /// The `Message-ID` without its angle brackets.
    pub message_id: Option<String>,
    /// The message with the dots unstuffed.
    pub raw: Bytes,
}

/// What is read only when somebody looks.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    /// The headers, unfolded, encoded words left as they are, repeated ones a line each. The names of well-known
    /// ones are in their usual spelling (`Message-ID`), the others as sent.
    pub(super) headers: BTreeMap<String, String>,
    /// The text body; if there is only HTML, that as text.
    pub(super) text: String,
}

impl Message {
    pub(super) fn new(id: u64, received_at: Timestamp, from: String, to: Vec<String>, raw: Bytes) -> Self {
        let (subject, message_id) = match MessageParser::new().parse_headers(raw.as_ref()) {
            Some(parsed) => {
                (parsed.subject().unwrap_or_default().to_owned(), parsed.message_id().map(ToOwned::to_owned))
            }
            None => (String::new(), None),
        };
        Self { id, received_at, from, to, subject, message_id, raw }
    }

    pub(super) fn contents(&self) -> Contents {
        let Some(parsed) = MessageParser::new().parse(self.raw.as_ref()) else {
            // Not even one header: all of it is text.
            return Contents { headers: BTreeMap::new(), text: String::from_utf8_lossy(&self.raw).into_owned() };
        };
        let mut headers = BTreeMap::<String, String>::new();
        for (name, value) in parsed.headers_raw() {
            let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
            headers
                .entry(name.to_owned())
                .and_modify(|known| {
                    known.push('\n');
                    known.push_str(&value);
                })
                .or_insert(value);
        }
        Contents { headers, text: parsed.body_text(0).map(Cow::into_owned).unwrap_or_default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(raw: &'static str) -> Message {
        let to = vec!["asha@example.com".to_owned()];
        Message::new(1, Timestamp::UNIX_EPOCH, "bot@example.com".to_owned(), to, Bytes::from_static(raw.as_bytes()))
    }

    #[test]
    fn reads_subject_ids_headers_and_text() {
        let message = message(concat!(
            "Message-ID: <one@example.com>\r\n",
            "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n",
            "X-Long: a\r\n b\r\n",
            "X-Twice: 1\r\nX-Twice: 2\r\n",
            "Content-Type: text/plain; charset=utf-8\r\n",
            "Content-Transfer-Encoding: quoted-printable\r\n",
            "\r\n",
            "caf=C3=A9\r\n"
        ));
        assert_eq!(message.subject, "Grüße");
        assert_eq!(message.message_id.as_deref(), Some("one@example.com"));
        let contents = message.contents();
        assert_eq!(contents.text.trim_end(), "café");
        assert_eq!(contents.headers["X-Long"], "a b");
        assert_eq!(contents.headers["X-Twice"], "1\n2");
        assert_eq!(contents.headers["Message-ID"], "<one@example.com>");
    }

    #[test]
    fn a_message_of_html_only_has_a_text() {
        let message = message("Subject: x\r\nContent-Type: text/html\r\n\r\n<p>Hello <b>you</b></p>\r\n");
        assert!(message.contents().text.contains("Hello you"), "{:?}", message.contents().text);
    }

    #[test]
    fn nonsense_is_shown_as_it_is() {
        let empty = message("");
        assert_eq!((empty.subject.as_str(), empty.message_id.clone()), ("", None));
        assert_eq!(empty.contents(), Contents::default());
    }
}
