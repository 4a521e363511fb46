use super::*;
use crate::mail::{Behaviour, Filter};

struct Talk {
    dialogue: Dialogue,
    sink: Arc<MailSink>,
}

impl Talk {
    fn new() -> Self {
        Self::with(Behaviour::default())
    }

    fn with(behaviour: Behaviour) -> Self {
        let sink = Arc::new(MailSink::new());
        sink.behave(behaviour).unwrap();
        Self { dialogue: Dialogue::new(Arc::clone(&sink)), sink }
    }

    fn greeted() -> Self {
        let mut talk = Self::new();
        talk.say("EHLO client.example\r\n", "250-");
        talk
    }

    fn steps(&mut self, bytes: impl AsRef<[u8]>) -> Vec<Step> {
        self.dialogue.feed(bytes.as_ref());
        std::iter::from_fn(|| self.dialogue.step()).collect()
    }

    /// The codes of the replies, `0` for a cut.
    fn codes(&mut self, bytes: impl AsRef<[u8]>) -> Vec<u16> {
        self.steps(bytes).iter().map(code).collect()
    }

    #[track_caller]
    fn say(&mut self, bytes: &str, reply: &str) {
        let steps = self.steps(bytes);
        let [Step::Reply { text, .. }] = steps.as_slice() else { panic!("{bytes:?}: {steps:?}") };
        assert!(text.starts_with(reply), "{bytes:?}: {text:?}, not {reply:?}");
    }

    #[track_caller]
    fn begin_data(&mut self) {
        self.say("MAIL FROM:<bot@example.com>\r\n", "250 ");
        self.say("RCPT TO:<asha@example.com>\r\n", "250 ");
        self.say("DATA\r\n", "354 ");
    }

    fn stored(&self) -> Vec<String> {
        let found = self.sink.find(&Filter::default());
        found.items.iter().map(|message| String::from_utf8(message.raw.to_vec()).unwrap()).collect()
    }
}

fn code(step: &Step) -> u16 {
    match step {
        Step::Reply { text, .. } => text[..3].parse().unwrap(),
        Step::Cut => 0,
    }
}

fn closes(step: &Step) -> bool {
    matches!(step, Step::Cut | Step::Reply { close: true, .. })
}

#[test]
fn a_message_is_taken_with_its_envelope() {
    let mut talk = Talk::new();
    assert_eq!(code(&talk.dialogue.greet()), 220);
    talk.say("EHLO client.example\r\n", "250-sandbox.invalid\r\n250-PIPELINING\r\n250-SIZE 1048576\r\n");
    talk.say("mail from:<bot@example.com> SIZE=20 BODY=8BITMIME\r\n", "250 ");
    talk.say("rcpt to:<asha@example.com>\r\n", "250 ");
    talk.say("RCPT TO:<ravi@example.com>\r\n", "250 ");
    talk.say("DATA\r\n", "354 ");
    talk.say("Subject: x\r\n\r\nhello\r\n.\r\n", "250 2.0.0 kept as 1");
    let found = talk.sink.find(&Filter::default());
    assert_eq!(found.items[0].from, "bot@example.com");
    assert_eq!(found.items[0].to, ["asha@example.com", "ravi@example.com"]);
    assert_eq!(found.items[0].subject, "x");
    let quit = talk.steps("QUIT\r\n");
    assert_eq!((code(&quit[0]), closes(&quit[0])), (221, true));
    assert_eq!(talk.sink.stats().refused, 0);
}

#[test]
fn dots_are_unstuffed_wherever_the_bytes_are_cut() {
    let wire = b"..first\r\n..\r\na.b\r\n...\r\n\r\n.\r\nNOOP\r\n";
    for size in 1..=wire.len() {
        let mut talk = Talk::greeted();
        talk.begin_data();
        let codes: Vec<u16> = wire.chunks(size).flat_map(|chunk| talk.codes(chunk)).collect();
        assert_eq!(codes, [250, 250], "in pieces of {size}");
        assert_eq!(talk.stored(), [".first\r\n.\r\na.b\r\n..\r\n\r\n"], "in pieces of {size}");
    }
}

#[test]
fn an_empty_message_ends_at_once() {
    let mut talk = Talk::greeted();
    talk.begin_data();
    talk.say(".\r\n", "250 ");
    assert_eq!(talk.stored(), [""]);
}

#[test]
fn only_crlf_dot_crlf_ends_a_message() {
    for smuggled in ["a\n.\nMAIL FROM:<x@example.com>\r\n", "a\n.\r\n", "a\r.\r\n"] {
        let mut talk = Talk::greeted();
        talk.begin_data();
        assert_eq!(talk.codes(smuggled), [0_u16; 0], "{smuggled:?}");
    }
    let mut talk = Talk::greeted();
    talk.begin_data();
    talk.say("a\nb\r\n.\r\n", "550 ");
    assert!(talk.stored().is_empty());
}

#[test]
fn commands_may_come_all_at_once() {
    let mut talk = Talk::new();
    let codes = talk.codes(concat!(
        "EHLO client.example\r\nMAIL FROM:<bot@example.com>\r\nRCPT TO:<asha@example.com>\r\nDATA\r\n",
        "one\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<asha@example.com>\r\nDATA\r\ntwo\r\n.\r\nQUIT\r\n"
    ));
    assert_eq!(codes, [250, 250, 250, 354, 250, 250, 250, 354, 250, 221]);
    assert_eq!(talk.stored(), ["one\r\n", "two\r\n"]);
}

#[test]
fn the_order_of_commands_is_kept() {
    let mut talk = Talk::new();
    talk.say("MAIL FROM:<bot@example.com>\r\n", "503 ");
    talk.say("HELO client.example\r\n", "250 ");
    talk.say("RCPT TO:<asha@example.com>\r\n", "503 ");
    talk.say("DATA\r\n", "503 ");
    talk.say("MAIL FROM:<bot@example.com>\r\n", "250 ");
    talk.say("MAIL FROM:<bot@example.com>\r\n", "503 ");
    talk.say("DATA\r\n", "503 ");
    talk.say("RSET\r\n", "250 ");
    talk.say("RCPT TO:<asha@example.com>\r\n", "503 ");
    talk.say("NOOP\r\n", "250 ");
    assert_eq!(talk.sink.stats().refused, 6);
}

#[test]
fn what_is_not_offered_or_wrong_is_refused() {
    let mut talk = Talk::greeted();
    talk.say("STARTTLS\r\n", "502 ");
    talk.say("AUTH PLAIN AGEAYg==\r\n", "502 ");
    talk.say("BDAT 3 LAST\r\n", "502 ");
    talk.say("HELLO\r\n", "500 ");
    talk.say("\r\n", "500 ");
    talk.say("NOOP\n", "500 5.5.2");
    talk.say("MAIL FROM:<a\r@example.com>\r\n", "500 5.5.2");
    talk.say("MAIL FROM:bot@example.com\r\n", "501 ");
    talk.say("MAIL FROM:<bot@example.com> WHAT=EVER\r\n", "555 ");
    talk.say("MAIL FROM:<bot>\r\n", "553 ");
    talk.say("MAIL FROM:<>\r\n", "250 ");
    talk.say("RCPT TO:<>\r\n", "553 ");
    talk.say("RCPT TO:<asha>\r\n", "553 ");
    talk.say("RCPT TO:<asha@>\r\n", "553 ");
}

#[test]
fn every_prefix_of_a_command_is_answered_once() {
    for command in ["MAIL FROM:<bot@example.com> SIZE=20 BODY=8BITMIME", "RCPT TO:<a@example.com>", "EHLO x", "VRFY x"]
    {
        for end in 0..command.len() {
            let mut talk = Talk::greeted();
            assert_eq!(talk.codes(format!("{}\r\nNOOP\r\n", &command[..end])).len(), 2, "{}", &command[..end]);
        }
    }
}

#[test]
fn a_line_too_long_is_refused_and_the_next_one_heard() {
    let mut talk = Talk::greeted();
    let long = "x".repeat(5_000);
    talk.say(&format!("NOOP {long}\r\n"), "500 5.5.6");
    assert_eq!(talk.codes(format!("NOOP {long}")), [0_u16; 0]);
    assert!(talk.dialogue.input.is_empty(), "an endless line is not kept");
    assert_eq!(talk.codes("NOOP\r\nNOOP\r\n"), [500, 250]);
}

#[test]
fn a_text_line_may_have_a_thousand_bytes() {
    for (length, reply) in [(998, "250 "), (999, "500 ")] {
        let mut talk = Talk::greeted();
        talk.begin_data();
        talk.say(&format!("{}\r\n.\r\n", "x".repeat(length)), reply);
    }
}

#[test]
fn a_message_too_large_is_refused_however_it_comes() {
    let lines = |bytes: usize| "x".repeat(62).add_crlf().repeat(bytes / 64);
    let mut talk = Talk::greeted();
    talk.begin_data();
    assert_eq!(talk.codes(format!("{}.\r", lines(MAX_MESSAGE))), [0_u16; 0]);
    talk.say("\n", "250 ");
    for size in [MAX_MESSAGE * 2, 16 * 1024, 1_001] {
        talk.begin_data();
        let wire = format!("{}x\r\n.\r\n", lines(MAX_MESSAGE));
        let codes: Vec<u16> = wire.as_bytes().chunks(size).flat_map(|chunk| talk.codes(chunk)).collect();
        assert_eq!(codes, [552], "in pieces of {size}");
    }
    talk.say("MAIL FROM:<bot@example.com> SIZE=1048577\r\n", "552 ");
    assert_eq!(talk.stored().len(), 1);
    talk.begin_data();
    talk.say("x\r\n.\r\n", "250 ");
}

trait AddCrlf {
    fn add_crlf(self) -> String;
}

impl AddCrlf for String {
    fn add_crlf(self) -> String {
        self + "\r\n"
    }
}

#[test]
fn too_many_recipients_are_refused() {
    let mut talk = Talk::greeted();
    talk.say("MAIL FROM:<bot@example.com>\r\n", "250 ");
    for n in 0..MAX_RECIPIENTS {
        talk.say(&format!("RCPT TO:<asha{n}@example.com>\r\n"), "250 ");
    }
    talk.say("RCPT TO:<ravi@example.com>\r\n", "452 ");
}

#[test]
fn each_stage_fails_as_scripted_and_only_as_often() {
    for (stage, expected) in [
        (Stage::Mail, [vec![250, 451, 503, 503], vec![250, 250, 354]]),
        (Stage::Rcpt, [vec![250, 250, 451, 503], vec![250, 250, 354]]),
    ] {
        let mut talk = Talk::with(Behaviour { fail_next: 1, fail_stage: stage, ..Behaviour::default() });
        let transaction = "MAIL FROM:<bot@example.com>\r\nRCPT TO:<asha@example.com>\r\nDATA\r\n";
        assert_eq!(talk.codes(format!("EHLO x\r\n{transaction}")), expected[0]);
        talk.codes("RSET\r\n");
        assert_eq!(talk.codes(transaction), expected[1]);
    }
    let mut talk = Talk::with(Behaviour { fail_next: 1, fail_with: 550, ..Behaviour::default() });
    talk.codes("EHLO x\r\n");
    talk.begin_data();
    talk.say("x\r\n.\r\n", "550 5.3.0");
    assert!(talk.stored().is_empty());
    talk.begin_data();
    talk.say("x\r\n.\r\n", "250 ");
}

#[test]
fn a_refused_greeting_and_421_close() {
    let refuse = Behaviour { fail_next: 1, fail_with: 554, fail_stage: Stage::Connect, ..Behaviour::default() };
    let mut talk = Talk::with(refuse);
    let greeting = talk.dialogue.greet();
    assert_eq!((code(&greeting), closes(&greeting)), (554, true));
    let greeting = talk.dialogue.greet();
    assert_eq!((code(&greeting), closes(&greeting)), (220, false));
    let busy = Behaviour { fail_next: 1, fail_with: 421, fail_stage: Stage::Mail, ..Behaviour::default() };
    let mut talk = Talk::with(busy);
    let steps = talk.steps("EHLO x\r\nMAIL FROM:<bot@example.com>\r\n");
    assert_eq!((code(&steps[1]), closes(&steps[1])), (421, true));
}

#[test]
fn the_delay_is_at_its_stage_only_and_after_storing() {
    let mut talk = Talk::with(Behaviour { delay_ms: 70, ..Behaviour::default() });
    talk.codes("EHLO x\r\n");
    talk.begin_data();
    let steps = talk.steps("x\r\n.\r\nNOOP\r\n");
    let delays: Vec<u128> = steps
        .iter()
        .map(|step| match step {
            Step::Reply { delay, .. } => delay.as_millis(),
            Step::Cut => panic!("cut"),
        })
        .collect();
    assert_eq!(delays, [70, 0]);
    assert_eq!(talk.stored(), ["x\r\n"]);
}

#[test]
fn accepts_and_drops() {
    let mut talk = Talk::with(Behaviour { accept_then_drop: true, fail_next: 1, ..Behaviour::default() });
    talk.codes("EHLO x\r\n");
    talk.begin_data();
    talk.say("x\r\n.\r\n", "451 ");
    assert!(talk.stored().is_empty());
    talk.begin_data();
    assert_eq!(talk.steps("x\r\n.\r\n"), [Step::Cut]);
    assert_eq!(talk.stored(), ["x\r\n"]);
}
