//! Mail by SMTP.
//!
//! Connections are kept by hand and not in lettre's pool: that one takes a connection back also when a send was given up
//! halfway, and the next mail would get the answer that was meant for the last.

use crate::Circuit;
use amrutam_notifications::{
    Mail,
    ports::{MailError, Mailer},
    use_cases::SEND_BUDGET,
};
use async_trait::async_trait;
use lettre::{
    Address, Message,
    message::{
        Mailbox,
        header::{ContentType, HeaderName, HeaderValue},
    },
    transport::smtp::{
        Error as SmtpError,
        authentication::{Credentials, DEFAULT_MECHANISMS},
        client::{AsyncSmtpConnection, TlsParameters},
        commands,
        extension::{ClientId, Extension, MailBodyParameter, MailParameter},
        response::{Category, Response, Severity},
    },
};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use std::{
    fmt, io,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::{net::TcpStream, time::timeout};
use url::{Host, Url};

const AUTO_SUBMITTED: HeaderName = HeaderName::new_from_ascii_str("Auto-Submitted");
const CORRELATION_ID: HeaderName = HeaderName::new_from_ascii_str("X-Correlation-Id");

/// As many as send at one time.
const MAX_IDLE: usize = 8;
/// Below the minutes after which servers and the boxes between forget a connection.
const MAX_IDLE_TIME: Duration = Duration::from_secs(30);

/// Where mail goes out.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmtpSettings {
    /// `smtps://user:password@host` (TLS from the start, port 465), `smtp://user:password@host?tls=required` (STARTTLS,
    /// port 587) or, without credentials, `smtp://host` (no TLS, port 25). User and password are percent-encoded.
    pub smtp_url: String,
    /// The sender: `Amrutam <no-reply@amrutam.example>`.
    pub from: String,
    /// Bound on one mail until it is handed over, connecting included. The rest of the domain's [`SEND_BUDGET`] is for the
    /// server's last word: given up too early, a mail that was taken would be sent again.
    #[serde(default = "default_timeout_ms")]
    pub timeout_ms: u64,
    /// What follows the `@` in a `Message-ID`.
    pub message_id_domain: String,
}

const fn default_timeout_ms() -> u64 {
    5_000
}

impl fmt::Debug for SmtpSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL may hold a password.
        f.debug_struct("SmtpSettings")
            .field("smtp_url", &"***")
            .field("from", &self.from)
            .field("timeout_ms", &self.timeout_ms)
            .field("message_id_domain", &self.message_id_domain)
            .finish()
    }
}

/// Why no mailer was made of the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSmtpSettings {
    /// Not one of the three forms.
    #[error("smtp_url is smtps://[user:password@]host[:port], smtp://...?tls=required, or smtp://host[:port]")]
    Url,
    /// They could be read on the way.
    #[error("smtp_url holds credentials but no TLS")]
    CredentialsInTheOpen,
    /// Not a mailbox.
    #[error("from is a mailbox: Name <address@domain>")]
    From,
    /// Zero, or too much of what the domain allows for a send.
    #[error("timeout_ms is from 1 to 10000")]
    Timeout,
    /// Not a domain.
    #[error("message_id_domain is a domain")]
    MessageIdDomain,
}

enum Tls {
    Absent,
    Upgraded(TlsParameters),
    Immediate(TlsParameters),
}

struct Server {
    host: String,
    port: u16,
    tls: Tls,
    credentials: Option<Credentials>,
}

struct Idle {
    connection: AsyncSmtpConnection,
    since: Instant,
}

/// Sends mails through one server.
///
/// Safe to give up at any await: a connection is used again only after the server's last word about its last mail.
pub struct SmtpMailer {
    server: Server,
    from: Mailbox,
    timeout: Duration,
    /// For the answer to the final dot.
    pub(crate) answer_timeout: Duration,
    message_id_domain: String,
    idle: Mutex<Vec<Idle>>,
    circuit: Option<Circuit>,
}

impl SmtpMailer {
    /// Checks the settings; connects when the first mail is sent.
    pub fn new(settings: &SmtpSettings) -> Result<Self, InvalidSmtpSettings> {
        if !(1..=10_000).contains(&settings.timeout_ms) {
            return Err(InvalidSmtpSettings::Timeout);
        }
        let domain = &settings.message_id_domain;
        let is_domain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
        if domain.is_empty() || !domain.bytes().all(is_domain) {
            return Err(InvalidSmtpSettings::MessageIdDomain);
        }
        Ok(Self {
            server: Server::parse(&settings.smtp_url)?,
            from: settings.from.parse().map_err(|_| InvalidSmtpSettings::From)?,
            timeout: Duration::from_millis(settings.timeout_ms),
            answer_timeout: SEND_BUDGET.unsigned_abs().saturating_sub(Duration::from_millis(settings.timeout_ms)),
            message_id_domain: domain.clone(),
            idle: Mutex::default(),
            circuit: None,
        })
    }

    /// Leaves a server alone that keeps failing. What it says about one mail is no failure of the server.
    #[must_use]
    pub fn guarded(self, circuit: Circuit) -> Self {
        Self { circuit: Some(circuit), ..self }
    }

    /// One try, whatever the circuit says.
    async fn attempt(&self, message: &Message, formatted: &[u8]) -> Result<(), Failure> {
        let late = |_| Failure::of_the_server(format!("no answer within {} ms", self.timeout.as_millis()));
        let mut connection = timeout(self.timeout, self.begin(message, formatted)).await.map_err(late)??;
        self.hand_over(&mut connection, formatted).await?;
        self.keep(connection);
        Ok(())
    }

    fn compose(&self, mail: &Mail) -> Result<Message, MailError> {
        let refuse = |why: &str| MailError::Permanent(why.to_owned());
        let address: Address = mail.to.expose().parse().map_err(|_| refuse("the recipient's address is none"))?;
        let name = Some(one_line(mail.to_name.expose())).filter(|name| !name.is_empty());
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(name, address))
            .subject(one_line(&mail.subject))
            .message_id(Some(mail.message_id(&self.message_id_domain)))
            .raw_header(HeaderValue::new(AUTO_SUBMITTED, "auto-generated".to_owned()))
            .raw_header(HeaderValue::new(CORRELATION_ID, mail.correlation_id.to_string()))
            .header(ContentType::TEXT_PLAIN)
            .body(mail.body.expose().clone())
            .map_err(|_| refuse("the mail cannot be put together"))
    }

    /// Up to the server's invitation to hand the mail over. Whatever goes wrong here, it has not taken it.
    async fn begin(&self, message: &Message, formatted: &[u8]) -> Result<AsyncSmtpConnection, Failure> {
        let mut connection = self.connection().await?;
        let parameters = parameters(&connection, message, formatted)?;
        let sender = commands::Mail::new(message.envelope().from().cloned(), parameters);
        // Nothing has been said about the recipient yet: a refusal is of us.
        answer(connection.command(sender).await).map_err(Refusal::of_us)?;
        for recipient in message.envelope().to() {
            let recipient = commands::Rcpt::new(recipient.clone(), Vec::new());
            answer(connection.command(recipient).await).map_err(Refusal::of_the_mail)?;
        }
        answer(connection.command(commands::Data).await).map_err(Refusal::of_the_mail)?;
        Ok(connection)
    }

    /// Only an answer tells what became of a mail that was handed over.
    async fn hand_over(&self, connection: &mut AsyncSmtpConnection, formatted: &[u8]) -> Result<(), Failure> {
        match timeout(self.answer_timeout, connection.message(formatted)).await {
            Ok(Err(error)) if error.status().is_none() => Err(Failure::in_doubt(reason(&error))),
            Ok(said) => answer(said).map_err(Refusal::of_the_mail),
            Err(_) => {
                let waited = self.answer_timeout.as_millis();
                Err(Failure::in_doubt(format!("no answer within {waited} ms after the mail was handed over")))
            }
        }
    }

    async fn connection(&self) -> Result<AsyncSmtpConnection, Failure> {
        if let Some(mut connection) = self.take_idle() {
            // The other end may be gone without a word; that must not use up the mail's whole time.
            if timeout(self.timeout / 4, connection.test_connected()).await.unwrap_or(false) {
                return Ok(connection);
            }
            // What ended this one has most likely ended all of them, and each would take its part of the time.
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
        self.server.connect().await
    }

    fn keep(&self, connection: AsyncSmtpConnection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE {
            idle.push(Idle { connection, since: Instant::now() });
        }
    }

    fn take_idle(&self) -> Option<AsyncSmtpConnection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|kept| kept.since.elapsed() < MAX_IDLE_TIME);
        idle.pop().map(|kept| kept.connection)
    }
}

impl fmt::Debug for SmtpMailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmtpMailer")
            .field("host", &self.server.host)
            .field("port", &self.server.port)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Mailer for SmtpMailer {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let message = self.compose(mail)?;
        let formatted = message.formatted();
        let Some(circuit) = &self.circuit else {
            return self.attempt(&message, &formatted).await.map_err(|failure| failure.error);
        };
        let pass = circuit.enter().map_err(|open| MailError::Transient(open.to_string()))?;
        let sent = self.attempt(&message, &formatted).await;
        if sent.as_ref().is_err_and(|failure| !failure.answered) {
            pass.failed()
        } else {
            pass.succeeded()
        }
        sent.map_err(|failure| failure.error)
    }
}

impl Server {
    fn parse(text: &str) -> Result<Self, InvalidSmtpSettings> {
        let bad = |_| InvalidSmtpSettings::Url;
        let url = Url::parse(text).map_err(|_| InvalidSmtpSettings::Url)?;
        let host = match url.host().ok_or(InvalidSmtpSettings::Url)? {
            Host::Domain(name) => name.to_owned(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        if host.is_empty() || !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err(InvalidSmtpSettings::Url);
        }
        let parameters = || TlsParameters::new(host.clone()).map_err(bad);
        let (default_port, tls) = match (url.scheme(), url.query()) {
            ("smtp", None) => (25, Tls::Absent),
            ("smtp", Some("tls=required")) => (587, Tls::Upgraded(parameters()?)),
            ("smtps", None) => (465, Tls::Immediate(parameters()?)),
            _ => return Err(InvalidSmtpSettings::Url),
        };
        let decode =
            |part: &str| percent_decode_str(part).decode_utf8().map(String::from).map_err(|_| InvalidSmtpSettings::Url);
        let credentials = match (url.username(), url.password()) {
            ("", None) => None,
            (user, Some(password)) if !user.is_empty() => Some(Credentials::new(decode(user)?, decode(password)?)),
            _ => return Err(InvalidSmtpSettings::Url),
        };
        if credentials.is_some() && matches!(tls, Tls::Absent) {
            return Err(InvalidSmtpSettings::CredentialsInTheOpen);
        }
        Ok(Self { port: url.port().unwrap_or(default_port), host, tls, credentials })
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Failure> {
        let (hello, address) = (ClientId::default(), (self.host.as_str(), self.port));
        let connected = match &self.tls {
            Tls::Immediate(parameters) => {
                AsyncSmtpConnection::connect_tokio1(address, None, &hello, Some(parameters.clone()), None).await
            }
            Tls::Absent | Tls::Upgraded(_) => {
                let unreachable = |error: io::Error| Failure::of_the_server(format!("no connection: {}", error.kind()));
                let stream = TcpStream::connect(address).await.map_err(unreachable)?;
                // lettre writes the final dot by itself: held back until the mail's own bytes are acknowledged, which a
                // server in no hurry does after 40 ms.
                stream.set_nodelay(true).map_err(unreachable)?;
                AsyncSmtpConnection::connect_with_transport(Box::new(stream), &hello).await
            }
        };
        let mut connection = connected.map_err(|error| about_the_server(&error))?;
        if let Tls::Upgraded(parameters) = &self.tls {
            connection.starttls(parameters.clone(), &hello).await.map_err(|error| about_the_server(&error))?;
        }
        if let Some(credentials) = &self.credentials {
            let authenticated = connection.auth(DEFAULT_MECHANISMS, credentials).await;
            authenticated.map_err(|error| about_the_server(&error))?;
        }
        Ok(connection)
    }
}

// lettre panics on a control character in a name.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A server that does not let us in says nothing about the mail: another time it may.
fn about_the_server(error: &SmtpError) -> Failure {
    Failure::of_the_server(format!("no connection: {}", reason(error)))
}

/// Why a mail was not sent, and whether the server is well all the same.
struct Failure {
    error: MailError,
    answered: bool,
}

impl Failure {
    fn of_the_server(reason: String) -> Self {
        Self { error: MailError::Transient(reason), answered: false }
    }

    fn in_doubt(reason: String) -> Self {
        Self { error: MailError::Unknown(reason), answered: false }
    }

    /// The server was asked nothing, or said what it thinks.
    fn of_the_mail(error: MailError) -> Self {
        Self { error, answered: true }
    }
}

/// What the server must be able to do for this mail.
fn parameters(
    connection: &AsyncSmtpConnection,
    message: &Message,
    formatted: &[u8],
) -> Result<Vec<MailParameter>, Failure> {
    let able = |feature| connection.server_info().supports_feature(feature);
    let mut parameters = Vec::new();
    let envelope = message.envelope();
    let ascii = |address: &Address| AsRef::<str>::as_ref(address).is_ascii();
    if !envelope.from().into_iter().chain(envelope.to()).all(ascii) {
        if !able(Extension::SmtpUtfEight) {
            let error = MailError::Permanent("the server takes addresses in ASCII only".to_owned());
            return Err(Failure::of_the_mail(error));
        }
        parameters.push(MailParameter::SmtpUtfEight);
    }
    if !formatted.is_ascii() {
        if !able(Extension::EightBitMime) {
            let error = MailError::Permanent("the server takes text in ASCII only".to_owned());
            return Err(Failure::of_the_mail(error));
        }
        parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
    }
    Ok(parameters)
}

/// A server that did not say yes.
struct Refusal {
    reason: String,
    /// RFC 5321's 55x: the mail system's own word. Other 5xx (530 log in first, 503 bad sequence) are between the server
    /// and us.
    by_the_mail_system: bool,
    /// It said something, and not that it closes (421).
    answered: bool,
}

impl Refusal {
    fn of_us(self) -> Failure {
        Failure { error: MailError::Transient(self.reason), answered: self.answered }
    }

    fn of_the_mail(self) -> Failure {
        let Self { reason, by_the_mail_system, answered } = self;
        let error = if by_the_mail_system { MailError::Permanent(reason) } else { MailError::Transient(reason) };
        Failure { error, answered }
    }
}

fn answer(said: Result<Response, SmtpError>) -> Result<(), Refusal> {
    let Err(error) = said else { return Ok(()) };
    let refused = error.status().is_some_and(|code| {
        code.severity == Severity::PermanentNegativeCompletion && code.category == Category::MailSystem
    });
    let answered = error.status().is_some_and(|code| code.to_string() != "421");
    Err(Refusal { reason: reason(&error), by_the_mail_system: refused && !is_policy(&error), answered })
}

/// RFC 3463's 5.7.x: security or policy. A sender on a blocklist or an expired credential is ours to mend, and the mail goes
/// out when it is.
fn is_policy(error: &SmtpError) -> bool {
    let text = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    text.trim_start().starts_with("5.7.")
}

/// Never the server's own words: they like to repeat the recipient's address.
fn reason(error: &SmtpError) -> String {
    match error.status() {
        Some(code) => format!("the server answered {code}"),
        None if error.is_response() => "the server's answer was cut short or cannot be read".to_owned(),
        None => error.to_string(),
    }
}
