//! The mail sink, and the provider of texts beside it.

use super::{Client, SOON, eventually};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The sandbox that takes the mails.
pub struct Sandbox {
    client: Client,
}

/// A mail that arrived.
#[derive(Debug, Clone)]
pub struct Mail {
    /// To whom.
    pub to: Vec<String>,
    /// About what.
    pub subject: String,
    /// The same for every send of one message.
    pub message_id: String,
    /// As sent.
    pub headers: BTreeMap<String, String>,
    /// What it says.
    pub text: String,
}

/// Subjects of mails with a link.
pub mod subject {
    /// Whose address is to be verified.
    pub const VERIFY: &str = "Confirm your e-mail address";
    /// Whose password is to be reset.
    pub const RESET: &str = "Reset your password";
    /// Who is invited.
    pub const INVITATION: &str = "You are invited";
}

impl Mail {
    /// The token of the link in it.
    pub fn token(&self) -> &str {
        let (_, token) = self.text.split_once("#token=").expect("a link with a token");
        token.split_whitespace().next().expect("a token")
    }
}

impl Sandbox {
    pub(crate) fn new(url: &str) -> Self {
        Self { client: Client::new(url) }
    }

    /// What has arrived for somebody, oldest first.
    pub async fn mails(&self, to: &str) -> Vec<Mail> {
        self.find(&format!("?to={}&limit=50000", to.replace('+', "%2B"))).await
    }

    /// Everything that has arrived, oldest first.
    pub async fn all(&self) -> Vec<Mail> {
        self.find("?limit=50000").await
    }

    async fn find(&self, query: &str) -> Vec<Mail> {
        let found = self.client.get(&format!("/api/messages{query}")).send().await.expect(200);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mail = |mail: &Value| Mail {
            to: mail["to"].as_array().unwrap().iter().map(text).collect(),
            subject: text(&mail["subject"]),
            message_id: text(&mail["message_id"]),
            headers: serde_json::from_value(mail["headers"].clone()).unwrap(),
            text: text(&mail["text"]),
        };
        found["items"].as_array().unwrap().iter().map(mail).collect()
    }

    /// Waits for somebody's mail with this in its subject.
    pub async fn mail(&self, to: &str, subject: &str) -> Mail {
        self.mails_about(to, subject, 1).await.swap_remove(0)
    }

    /// Everything that has arrived with this in its subject, oldest first.
    pub async fn about(&self, subject: &str) -> Vec<Mail> {
        self.all().await.into_iter().filter(|mail| mail.subject.contains(subject)).collect()
    }

    /// Somebody's mails with this in their subjects, oldest first; waits until there are so many.
    pub async fn mails_about(&self, to: &str, subject: &str, count: usize) -> Vec<Mail> {
        eventually(&format!("{count} mails to {to} about {subject}"), SOON, async || {
            let mut mails = self.mails(to).await;
            mails.retain(|mail| mail.subject.contains(subject));
            (mails.len() >= count).then_some(mails)
        })
        .await
    }

    /// How it behaves from now on; `{}` is well.
    pub async fn behave(&self, behaviour: &Value) {
        self.client.put("/api/behaviour", behaviour).send().await.expect(200);
    }

    /// Well again.
    pub async fn behave_well(&self) {
        self.behave(&json!({})).await;
    }

    /// The texts that were taken for a number, oldest first.
    pub async fn texts(&self, to: &str) -> Vec<Value> {
        let path = format!("/api/sms?to={}", to.replace('+', "%2B"));
        self.client.get(&path).send().await.expect(200)["items"].as_array().unwrap().clone()
    }

    /// Waits until so many have been.
    pub async fn texts_to(&self, to: &str, count: usize) -> Vec<Value> {
        eventually(&format!("{count} texts"), SOON, async || {
            let texts = self.texts(to).await;
            (texts.len() >= count).then_some(texts)
        })
        .await
    }

    /// How the provider of texts behaves from now on; `{}` is well.
    pub async fn texts_behave(&self, behaviour: &Value) {
        self.client.put("/api/sms/behaviour", behaviour).send().await.expect(200);
    }

    /// How many texts came to it, taken or not.
    pub async fn text_calls(&self) -> u64 {
        self.client.get("/api/sms/stats").send().await.expect(200)["calls"].as_u64().unwrap()
    }

    /// How many times it refused.
    pub async fn refused(&self) -> u64 {
        self.client.get("/api/stats").send().await.expect(200)["refused"].as_u64().unwrap()
    }
}
