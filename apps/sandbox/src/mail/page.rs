//! The inbox as plain HTML: no script, nothing from the network.

use std::fmt;

use super::message::{Contents, Message};
use super::store::Found;

const STYLE: &str = "body{font:16px/1.4 sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem}\
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #ccc;\
vertical-align:top}pre{white-space:pre-wrap;overflow-wrap:anywhere;background:#f4f4f4;padding:1rem}\
.note{background:#fff3cd;padding:.5rem .8rem}";

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
    document("Inbox", &body)
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
    document(&message.subject, &body)
}

fn document(title: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>{} - Amrutam sandbox</title>\
         <style>{STYLE}</style></head>\n<body>\n\
         <p class=\"note\">This is the sandbox, a fake for development and tests: these mails went nowhere.</p>\n\
         {body}</body>\n</html>\n",
        Text(title)
    )
}

/// Text that stays text in HTML, in an element and in a quoted attribute.
struct Text<'a>(&'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}
