//! Against a small SMTP server of our own.

use crate::{Circuit, CircuitPolicy, InvalidSmtpSettings, SmtpMailer, SmtpSettings};
use amrutam_kernel::{Clock, MessageId, Sensitive};
use amrutam_notifications::{
    Mail,
    ports::{MailError, Mailer},
};
use jiff::Timestamp;
use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};
use uuid::Uuid;

/// What the server does instead of what it should.
#[derive(Clone, Copy)]
enum Quirk {
    /// Answers so at this stage: `greeting`, a verb, or `end` for the end of the data.
    Says(&'static str, &'static str),
    /// Answers as it should at this stage, this much later.
    Dawdles(&'static str, Duration),
    /// Takes the mail and hangs up after it.
    HangsUp,
    /// Takes the mail and hangs up without a word about it.
    HangsUpBeforeTheEnd,
}

#[derive(Default)]
struct Seen {
    connections: usize,
    lines: Vec<String>,
    mails: Vec<String>,
}

/// One quirk per connection, in order; then none.
struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

impl Server {
    async fn start(quirks: impl IntoIterator<Item = Option<Quirk>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (shared, mut quirks): (_, VecDeque<_>) = (Arc::clone(&seen), quirks.into_iter().collect());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                shared.lock().unwrap().connections += 1;
                tokio::spawn(serve(stream, quirks.pop_front().flatten(), Arc::clone(&shared)));
            }
        });
        Self { address, seen }
    }

    fn mailer(&self) -> SmtpMailer {
        SmtpMailer::new(&settings(&format!("smtp://{}", self.address))).unwrap()
    }

    fn count(&self) -> (usize, usize) {
        let seen = self.seen.lock().unwrap();
        (seen.connections, seen.mails.len())
    }
}

async fn serve(stream: TcpStream, quirk: Option<Quirk>, seen: Arc<Mutex<Seen>>) -> Option<()> {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    let mut stage = "greeting".to_owned();
    loop {
        let usual = match stage.as_str() {
            "greeting" => "220 ready",
            "DATA" => "354 go on",
            "QUIT" => "221 bye",
            _ => "250 fine",
        };
        let answer = match quirk {
            Some(Quirk::Says(at, answer)) if at == stage => answer,
            Some(Quirk::Dawdles(at, delay)) if at == stage => {
                tokio::time::sleep(delay).await;
                usual
            }
            _ => usual,
        };
        if stage == "end" && matches!(quirk, Some(Quirk::HangsUpBeforeTheEnd)) {
            return None;
        }
        writer.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
        if stage == "end" && matches!(quirk, Some(Quirk::HangsUp)) {
            return None;
        }
        if stage == "DATA" && answer.starts_with("354") {
            let mut mail = String::new();
            loop {
                let line = lines.next_line().await.ok()??;
                if line == "." {
                    break;
                }
                mail.push_str(&line);
                mail.push('\n');
            }
            seen.lock().unwrap().mails.push(mail);
            "end".clone_into(&mut stage);
        } else {
            let line = lines.next_line().await.ok()??;
            stage = line.split([' ', ':']).next().unwrap_or_default().to_uppercase();
            seen.lock().unwrap().lines.push(line);
        }
    }
}

fn settings(url: &str) -> SmtpSettings {
    SmtpSettings {
        smtp_url: url.to_owned(),
        from: "Amrutam <no-reply@amrutam.example>".to_owned(),
        timeout_ms: 1_000,
        message_id_domain: "mail.amrutam.example".to_owned(),
    }
}

fn mail() -> Mail {
    Mail {
        message: MessageId::from_uuid(Uuid::from_u128(5)),
        correlation_id: "flow-1".parse().unwrap(),
        to: Sensitive::new("ravi@example.in".to_owned()),
        to_name: Sensitive::new("Ravi Menon".to_owned()),
        subject: "Your appointment".to_owned(),
        body: Sensitive::new("Dear Ravi,\n.\nall is well.\n".to_owned()),
    }
}

#[tokio::test]
async fn a_mail_arrives_as_it_was_written() {
    let server = Server::start([]).await;
    server.mailer().send(&mail()).await.unwrap();
    let seen = server.seen.lock().unwrap();
    assert!(seen.lines.contains(&"MAIL FROM:<no-reply@amrutam.example>".to_owned()), "{:?}", seen.lines);
    assert!(seen.lines.contains(&"RCPT TO:<ravi@example.in>".to_owned()), "{:?}", seen.lines);
    let [mail] = seen.mails.as_slice() else { panic!("{:?}", seen.mails) };
    let (head, body) = mail.split_once("\n\n").unwrap();
    for header in [
        "From: Amrutam <no-reply@amrutam.example>",
        "To: \"Ravi Menon\" <ravi@example.in>",
        "Subject: Your appointment",
        "Message-ID: <00000000-0000-0000-0000-000000000005@mail.amrutam.example>",
        "Auto-Submitted: auto-generated",
        "X-Correlation-Id: flow-1",
        "Content-Type: text/plain; charset=utf-8",
    ] {
        assert_eq!(head.lines().filter(|line| *line == header).count(), 1, "{header}\n{head}");
    }
    assert!(head.lines().any(|line| line.starts_with("Date: ")));
    // A lone dot is doubled on the wire.
    assert_eq!(body.trim_end(), "Dear Ravi,\n..\nall is well.");
}

#[tokio::test]
async fn names_of_any_script_pass_and_none_writes_headers() {
    let server = Server::start([]).await;
    let name = Sensitive::new("രവി \"x\"\r\nBcc: all@example.in".to_owned());
    let subject = "Hello\r\nBcc: all@example.in".to_owned();
    let body = Sensitive::new("നമസ്കാരം\n".to_owned());
    server.mailer().send(&Mail { to_name: name, subject, body, ..mail() }).await.unwrap();
    let seen = server.seen.lock().unwrap();
    let (head, _) = seen.mails[0].split_once("\n\n").unwrap();
    assert!(seen.mails[0].is_ascii());
    assert!(!head.lines().any(|line| line.to_lowercase().starts_with("bcc")), "{head}");
    assert_eq!(seen.lines.iter().filter(|line| line.starts_with("RCPT")).count(), 1);
}

#[tokio::test]
async fn a_connection_is_used_again_while_it_lives() {
    let server = Server::start([None, Some(Quirk::HangsUp)]).await;
    let mailer = server.mailer();
    for _ in 0..3 {
        mailer.send(&mail()).await.unwrap();
    }
    assert_eq!(server.count(), (1, 3));

    let server = Server::start([Some(Quirk::HangsUp)]).await;
    let mailer = server.mailer();
    for _ in 0..3 {
        mailer.send(&mail()).await.unwrap();
    }
    assert_eq!(server.count(), (2, 3), "what the server closed is replaced");
}

#[tokio::test]
async fn only_the_mail_system_s_own_word_is_final() {
    let table = [
        ("RCPT", "550 5.1.1 <ravi@example.in> unknown", true),
        ("RCPT", "553 no such mailbox", true),
        ("MAIL", "550 no", false),
        ("RCPT", "550 5.7.1 <ravi@example.in> you are on a blocklist", false),
        ("end", "554 5.7.1 not from ravi@example.in", false),
        ("end", "554 5.6.0 not like this", true),
        ("end", "552 too large", true),
        ("RCPT", "450 busy", false),
        ("RCPT", "452 full", false),
        ("MAIL", "421 closing", false),
        ("MAIL", "530 log in first", false),
        ("DATA", "503 bad sequence", false),
        ("end", "451 later, ravi@example.in", false),
        ("greeting", "554 not you", false),
        ("greeting", "421 full", false),
        ("EHLO", "550 not you", false),
    ];
    for (stage, answer, expected) in table {
        let server = Server::start([Some(Quirk::Says(stage, answer))]).await;
        let mailer = server.mailer();
        let error = mailer.send(&mail()).await.unwrap_err();
        assert_eq!(matches!(error, MailError::Permanent(_)), expected, "{stage} {answer}: {error}");
        assert!(!error.to_string().contains("ravi"), "{error}");
        mailer.send(&mail()).await.unwrap();
    }
}

#[tokio::test]
async fn a_server_that_is_away_may_be_back() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mailer = SmtpMailer::new(&settings(&format!("smtp://{address}"))).unwrap();
    assert!(matches!(mailer.send(&mail()).await, Err(MailError::Transient(_))));
    let odd = Mail { to: Sensitive::new("not an address".to_owned()), ..mail() };
    assert!(matches!(mailer.send(&odd).await, Err(MailError::Permanent(_))));
}

#[tokio::test]
async fn a_late_answer_is_nobody_s_answer() {
    for (stage, expected) in [
        ("greeting", MailError::Transient("no answer within 100 ms".to_owned())),
        ("RCPT", MailError::Transient("no answer within 100 ms".to_owned())),
        ("end", MailError::Unknown("no answer within 150 ms after the mail was handed over".to_owned())),
    ] {
        let slow = Quirk::Dawdles(stage, Duration::from_millis(300));
        let server = Server::start([Some(slow), Some(Quirk::Says("RCPT", "550 no"))]).await;
        let mailer =
            SmtpMailer::new(&SmtpSettings { timeout_ms: 100, ..settings(&format!("smtp://{}", server.address)) });
        let mut mailer = mailer.unwrap();
        assert_eq!(mailer.answer_timeout, Duration::from_millis(19_900), "the rest of the budget");
        mailer.answer_timeout = Duration::from_millis(150);
        assert_eq!(mailer.send(&mail()).await, Err(expected));
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(matches!(mailer.send(&mail()).await, Err(MailError::Permanent(_))), "{stage}");
        assert_eq!(server.count().0, 2, "the connection is not used again");
    }
}

#[tokio::test]
async fn a_mail_that_was_handed_over_may_have_been_taken() {
    for quirk in [Quirk::Says("end", "nonsense for ravi@example.in"), Quirk::HangsUpBeforeTheEnd] {
        let server = Server::start([Some(quirk)]).await;
        let error = server.mailer().send(&mail()).await.unwrap_err();
        assert!(matches!(&error, MailError::Unknown(reason) if !reason.contains("ravi")), "{error:?}");
    }
    // A last word that comes late is a last word.
    let server = Server::start([Some(Quirk::Dawdles("end", Duration::from_millis(300)))]).await;
    let settings = SmtpSettings { timeout_ms: 100, ..settings(&format!("smtp://{}", server.address)) };
    assert_eq!(SmtpMailer::new(&settings).unwrap().send(&mail()).await, Ok(()));
}

#[tokio::test]
async fn several_dead_connections_cost_a_mail_the_time_of_one() {
    let deaf = || Some(Quirk::Dawdles("NOOP", Duration::from_secs(60)));
    let server = Server::start([deaf(), deaf(), deaf(), deaf(), deaf()]).await;
    let mailer = server.mailer();
    let all = futures::future::join_all((0..5).map(|_| async { mailer.send(&mail()).await })).await;
    assert!(all.iter().all(Result::is_ok), "{all:?}");
    assert_eq!(mailer.send(&mail()).await, Ok(()));
    assert_eq!(server.count(), (6, 6));
}

#[tokio::test]
async fn who_gives_up_leaves_no_half_spoken_connection() {
    let slow = Quirk::Dawdles("end", Duration::from_millis(200));
    let server = Server::start([Some(slow), Some(Quirk::Says("RCPT", "550 no"))]).await;
    let mailer = server.mailer();
    drop(tokio::time::timeout(Duration::from_millis(100), mailer.send(&mail())).await);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(matches!(mailer.send(&mail()).await, Err(MailError::Permanent(_))));
    assert_eq!(server.count().0, 2);
}

struct Standing;

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}

fn guarded(mailer: SmtpMailer) -> SmtpMailer {
    mailer.guarded(Circuit::new("smtp", Arc::new(Standing), CircuitPolicy::STANDARD))
}

#[tokio::test]
async fn a_server_that_keeps_failing_is_left_alone() {
    for quirk in [
        Quirk::Says("greeting", "421 full"),
        Quirk::Says("EHLO", "550 not you"),
        Quirk::Says("MAIL", "421 closing"),
        Quirk::HangsUpBeforeTheEnd,
    ] {
        let server = Server::start((0..5).map(|_| Some(quirk))).await;
        let mailer = guarded(server.mailer());
        for _ in 0..5 {
            assert!(matches!(mailer.send(&mail()).await, Err(MailError::Transient(_) | MailError::Unknown(_))));
        }
        let error = mailer.send(&mail()).await.unwrap_err();
        assert!(matches!(&error, MailError::Transient(reason) if reason.contains("left alone")), "{error}");
        assert_eq!(server.count().0, 5, "it is not asked");
    }
}

#[tokio::test]
async fn what_a_server_says_about_mails_is_no_failure_of_it() {
    for answer in ["550 no such mailbox", "450 busy", "452 full"] {
        let server = Server::start((0..10).map(|_| Some(Quirk::Says("RCPT", answer)))).await;
        let mailer = guarded(server.mailer());
        for _ in 0..10 {
            mailer.send(&mail()).await.unwrap_err();
        }
        assert_eq!(mailer.send(&mail()).await, Ok(()), "{answer}");
    }
    let server = Server::start([]).await;
    let mailer = guarded(server.mailer());
    let odd = Mail { to: Sensitive::new("not an address".to_owned()), ..mail() };
    for _ in 0..10 {
        mailer.send(&odd).await.unwrap_err();
    }
    assert_eq!(mailer.send(&mail()).await, Ok(()), "what can't be sent is not asked for");
}

#[test]
fn settings_are_checked_and_keep_their_secret() {
    let with = |url: &str| SmtpMailer::new(&settings(url)).map(|m| format!("{m:?}"));
    let made = |host: &str, port: u16| Ok(format!("SmtpMailer {{ host: \"{host}\", port: {port}, .. }}"));
    assert_eq!(with("smtp://mail.example"), made("mail.example", 25));
    assert_eq!(with("smtp://[::1]:1025"), made("::1", 1025));
    assert_eq!(with("smtp://user:p%40ss@mail.example?tls=required"), made("mail.example", 587));
    assert_eq!(with("smtps://user:p%40ss@mail.example"), made("mail.example", 465));
    assert_eq!(with("smtp://user:pass@mail.example"), Err(InvalidSmtpSettings::CredentialsInTheOpen));
    for url in [
        "",
        "mail.example:25",
        "http://mail.example",
        "smtp://",
        "smtp://mail.example?tls=opportunistic",
        "smtps://user@mail.example",
        "smtps://:pass@mail.example",
        "smtp://mail.example/x",
        "smtps://u:%ff@mail.example",
    ] {
        assert_eq!(with(url), Err(InvalidSmtpSettings::Url), "{url}");
    }

    let good = settings("smtps://user:hunter2@mail.example");
    assert!(!format!("{good:?}").contains("hunter2"));
    let refused = |settings: SmtpSettings| SmtpMailer::new(&settings).map(drop).unwrap_err();
    assert_eq!(refused(SmtpSettings { from: "nobody".to_owned(), ..good.clone() }), InvalidSmtpSettings::From);
    for timeout_ms in [0, 10_001] {
        assert_eq!(refused(SmtpSettings { timeout_ms, ..good.clone() }), InvalidSmtpSettings::Timeout);
    }
    for domain in ["", "a b", "x>\r\nBcc: y"] {
        let settings = SmtpSettings { message_id_domain: domain.to_owned(), ..good.clone() };
        assert_eq!(refused(settings), InvalidSmtpSettings::MessageIdDomain, "{domain:?}");
    }
}
