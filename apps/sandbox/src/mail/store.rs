//! The newest messages, in memory.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde::Deserialize;

use super::message::Message;
use crate::clock;

/// How many messages are kept. The oldest goes first.
const MAX_MESSAGES: usize = 50_000;
/// How many bytes of messages are kept: fifty thousand of the largest would not fit in any machine.
const MAX_BYTES: usize = 256 * 1024 * 1024;
/// How many messages one search gives when it does not say.
const DEFAULT_LIMIT: usize = 1_000;

/// Which messages to find. An absent or empty field does not filter.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// A recipient of the envelope, case aside.
    pub to: Option<String>,
    /// A part of the subject, case aside.
    pub subject: Option<String>,
    /// The whole `Message-ID`, with or without the angle brackets.
    pub message_id: Option<String>,
    /// At most this many, the newest of them; 1,000 when absent.
    pub limit: Option<usize>,
}

/// What was found.
#[derive(Debug)]
pub struct Found {
    /// The newest of the matching messages, newest last.
    pub items: Vec<Arc<Message>>,
    /// How many match, also those beyond the limit.
    pub total: usize,
}

#[derive(Debug)]
pub(super) struct Store {
    kept: Mutex<Kept>,
    max_messages: usize,
    max_bytes: usize,
}

#[derive(Debug, Default)]
struct Kept {
    messages: VecDeque<Arc<Message>>,
    bytes: usize,
    received: u64,
}

impl Default for Store {
    fn default() -> Self {
        Self::with_limits(MAX_MESSAGES, MAX_BYTES)
    }
}

impl Store {
    fn with_limits(max_messages: usize, max_bytes: usize) -> Self {
        Self { kept: Mutex::default(), max_messages, max_bytes }
    }

    /// Keeps a message, at the price of the oldest; returns its number.
    pub(super) fn add(&self, from: String, to: Vec<String>, raw: Bytes) -> u64 {
        let mut kept = self.lock();
        kept.received += 1;
        let id = kept.received;
        kept.bytes += raw.len();
        kept.messages.push_back(Arc::new(Message::new(id, clock::now(), from, to, raw)));
        while kept.messages.len() > self.max_messages || kept.bytes > self.max_bytes {
            let Some(oldest) = kept.messages.pop_front() else { break };
            kept.bytes -= oldest.raw.len();
        }
        id
    }

    pub(super) fn find(&self, filter: &Filter) -> Found {
        let matcher = Matcher::new(filter);
        let limit = filter.limit.unwrap_or(DEFAULT_LIMIT);
        let mut found = Found { items: Vec::new(), total: 0 };
        for message in self.lock().messages.iter().rev().filter(|message| matcher.matches(message)) {
            found.total += 1;
            if found.items.len() < limit {
                found.items.push(Arc::clone(message));
            }
        }
        found.items.reverse();
        found
    }

    pub(super) fn get(&self, id: u64) -> Option<Arc<Message>> {
        self.lock().messages.iter().find(|message| message.id == id).cloned()
    }

    /// Forgets the messages; the numbers go on.
    pub(super) fn clear(&self) {
        let mut kept = self.lock();
        kept.messages.clear();
        kept.bytes = 0;
    }

    pub(super) fn received(&self) -> u64 {
        self.lock().received
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A filter made ready for comparing.
struct Matcher {
    to: Option<String>,
    subject: Option<String>,
    message_id: Option<String>,
}

impl Matcher {
    fn new(filter: &Filter) -> Self {
        let given = |field: &Option<String>| field.clone().filter(|value| !value.is_empty());
        Self {
            to: given(&filter.to).map(|to| to.to_lowercase()),
            subject: given(&filter.subject).map(|part| part.to_lowercase()),
            message_id: given(&filter.message_id).map(|id| id.trim_start_matches('<').trim_end_matches('>').to_owned()),
        }
    }

    fn matches(&self, message: &Message) -> bool {
        self.to.as_ref().is_none_or(|to| message.to.iter().any(|address| address.to_lowercase() == *to))
            && self.subject.as_ref().is_none_or(|part| message.subject.to_lowercase().contains(part))
            && self.message_id.as_ref().is_none_or(|id| message.message_id.as_ref() == Some(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(store: &Store, to: &str, subject: &str) -> u64 {
        let raw = format!("Subject: {subject}\r\nMessage-ID: <{subject}@example.com>\r\n\r\n");
        store.add("bot@example.com".to_owned(), vec![to.to_owned()], Bytes::from(raw))
    }

    fn subjects(store: &Store, filter: &Filter) -> (Vec<String>, usize) {
        let found = store.find(filter);
        (found.items.iter().map(|message| message.subject.clone()).collect(), found.total)
    }

    #[test]
    fn finds_by_recipient_subject_and_id_newest_last() {
        let store = Store::default();
        add(&store, "asha@example.com", "First");
        add(&store, "ravi@example.com", "Second");
        add(&store, "Asha@Example.com", "Third");
        let by_to = Filter { to: Some("ASHA@example.com".to_owned()), ..Filter::default() };
        assert_eq!(subjects(&store, &by_to), (vec!["First".to_owned(), "Third".to_owned()], 2));
        let newest = Filter { limit: Some(1), ..by_to };
        assert_eq!(subjects(&store, &newest), (vec!["Third".to_owned()], 2));
        let by_subject = Filter { subject: Some("SEC".to_owned()), to: Some(String::new()), ..Filter::default() };
        assert_eq!(subjects(&store, &by_subject), (vec!["Second".to_owned()], 1));
        for id in ["<Second@example.com>", "Second@example.com"] {
            let by_id = Filter { message_id: Some(id.to_owned()), ..Filter::default() };
            assert_eq!(subjects(&store, &by_id), (vec!["Second".to_owned()], 1));
        }
    }

    #[test]
    fn the_oldest_goes_when_there_are_too_many_or_too_much() {
        let few = Store::with_limits(2, usize::MAX);
        let little = Store::with_limits(usize::MAX, 100);
        for store in [&few, &little] {
            for subject in ["1", "2", "3"] {
                add(store, "asha@example.com", subject);
            }
            assert_eq!(subjects(store, &Filter::default()), (vec!["2".to_owned(), "3".to_owned()], 2));
            assert!(store.get(1).is_none());
            assert_eq!(store.get(3).unwrap().subject, "3");
            store.clear();
            assert_eq!(subjects(store, &Filter::default()), (vec![], 0));
            assert_eq!(add(store, "asha@example.com", "4"), 4);
            assert_eq!(store.received(), 4);
        }
    }
}
