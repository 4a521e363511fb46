//! The inbox as pages.

use super::message::{Contents, Message};
use super::store::Found;
use crate::http::{Text, document};

const NOTE: &str = "This is the sandbox, a fake for development and tests: these mails went nowhere.";

/// The list of the newest messages, newest first.
pub(super) fn inbox(found: &Found) -> String {
    let rows: String = found
        .items
        .iter()
        .rev()
        .map(|message| {
            let subject = if message.subject.is_empty() { "(no subject)" } else { &message.subject };
            format!(
                "<tr><td>{}</td><td>{}</td><td><a href=\"/messages/{}\">{}</a></td></tr>\n",
                Text(&message.received_at.to_string()),
                Text(&message.to.join(", ")),
                message.id,
                Text(subject)
            )
        })
        .collect();
    let body = format!(
        "<h1>Inbox</h1>\n<p>{} shown of {} kept, newest first.</p>\n\
         <table><thead><tr><th>Time (UTC)</th><th>To</th><th>Subject</th></tr></thead>\n<tbody>\n{rows}</tbody></table>\n",
        found.items.len(),
        found.total
    );
    document("Inbox", NOTE, &body)
}

/// One message.
pub(super) fn message(message: &Message, contents: &Contents) -> String {
    let headers: String =
        contents.headers.iter().map(|(name, value)| format!("{}: {}\n", Text(name), Text(value))).collect();
    let body = format!(
        "<p><a href=\"/\">Inbox</a></p>\n<h1>{}</h1>\n\
         <p>From {} to {}, received {} (UTC). <a href=\"/api/messages/{}/raw\">Raw</a></p>\n\
         <pre>{}</pre>\n<h2>Headers</h2>\n<pre>{headers}</pre>\n",
        Text(&message.subject),
        Text(&message.from),
        Text(&message.to.join(", ")),
        Text(&message.received_at.to_string()),
        message.id,
        Text(&contents.text)
    );
    document(&message.subject, NOTE, &body)
}
