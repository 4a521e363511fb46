//! How fast a gateway's notifications are answered, right ones and wrong ones, one after the other on a connection of its own each.
//! Against a stack whose visits are paid (`make run`).

use crate::{Fallible, http::Connection, stack::Stack};
use amrutam_crypto::SystemClock;
use amrutam_kernel::Clock;
use hdrhistogram::Histogram;
use openssl::{hash::MessageDigest, pkey::PKey, sign::Signer};
use std::time::Instant;

/// Milliseconds; the most any answer may take.
const MOST: f64 = 50.0;
const PATH: &str = "/v1/webhooks/payments/razorpay";
/// Older than the seven days for which a notification may be repeated.
const STALE: i64 = 8 * 24 * 3_600;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Notifications of each kind.
    #[arg(long, default_value_t = 300)]
    count: u32,
}

/// A kind of notification, and how it is to be answered.
struct Kind {
    name: &'static str,
    status: u16,
    /// The one of this number.
    make: fn(&Maker, u32) -> Fallible<Notification>,
}

struct Notification {
    body: String,
    signature: String,
    /// As announced.
    length: usize,
}

struct Maker {
    secret: String,
    now: i64,
}

impl Maker {
    /// A kind that nobody acts on: signed, looked at, put on the record.
    fn body(&self, number: u32, at: i64) -> String {
        let id = format!("inv_{}_{number}", self.now);
        format!(r#"{{"entity":"event","event":"invoice.paid","payload":{{"invoice":"{id}"}},"created_at":{at}}}"#)
    }

    fn signed(&self, body: &str) -> Fallible<String> {
        let key = PKey::hmac(self.secret.as_bytes())?;
        let mac = Signer::new(MessageDigest::sha256(), &key)?.sign_oneshot_to_vec(body.as_bytes())?;
        Ok(mac.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    fn right(&self, number: u32) -> Fallible<Notification> {
        let body = self.body(number, self.now);
        let (signature, length) = (self.signed(&body)?, body.len());
        Ok(Notification { body, signature, length })
    }
}

const KINDS: [Kind; 6] = [
    Kind { name: "of an unknown kind, new", status: 200, make: Maker::right },
    Kind { name: "the same again", status: 200, make: Maker::right },
    Kind {
        name: "forged",
        status: 401,
        make: |maker, number| Ok(Notification { signature: "ab".repeat(32), ..maker.right(number)? }),
    },
    Kind {
        name: "one byte changed",
        status: 401,
        make: |maker, number| {
            let right = maker.right(number)?;
            Ok(Notification { body: right.body.replacen("paid", "pard", 1), ..right })
        },
    },
    Kind {
        name: "stale",
        status: 401,
        make: |maker, number| {
            let body = maker.body(number, maker.now - STALE);
            let (signature, length) = (maker.signed(&body)?, body.len());
            Ok(Notification { body, signature, length })
        },
    },
    Kind {
        name: "announced too short",
        status: 401,
        make: |maker, number| {
            let right = maker.right(number)?;
            Ok(Notification { length: right.length - 1, ..right })
        },
    },
];

/// An error when one was answered wrongly; never for a time.
pub(crate) async fn run(options: &Options) -> Fallible<bool> {
    let stack = Stack::find()?;
    let secret = stack.value("GATEWAY_WEBHOOK_SECRET")?.to_owned();
    let maker = Maker { secret, now: SystemClock.now().as_second() };
    let mut good = true;
    println!("{:<26} {:>8} {:>10} {:>10} {:>10}", "notification", "answer", "p50, ms", "p99, ms", "max, ms");
    for kind in &KINDS {
        let mut times = Histogram::<u64>::new(3)?;
        for number in 0..options.count {
            let Notification { body, signature, length } = (kind.make)(&maker, number)?;
            let request = format!(
                "POST {PATH} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\nx-razorpay-signature: {signature}\r\n\
                 x-razorpay-event-id: evt_{number}\r\ncontent-length: {length}\r\n\r\n{body}",
                stack.api
            );
            let mut connection = Connection::open(stack.api).await?;
            let begun = Instant::now();
            let (status, answer) = connection.send(request.as_bytes()).await?;
            times.record(u64::try_from(begun.elapsed().as_micros())?)?;
            if status != kind.status {
                return Err(format!("{}: {status} {}", kind.name, String::from_utf8_lossy(answer)).into());
            }
        }
        let quantile = |quantile| times.value_at_quantile(quantile) as f64 / 1e3;
        let (median, tail, most) = (quantile(0.5), quantile(0.99), quantile(1.0));
        println!("{:<26} {:>8} {median:>10.2} {tail:>10.2} {most:>10.2}", kind.name, kind.status);
        good &= tail < MOST;
    }
    println!("target: p99 under {MOST} ms: {}", if good { "met" } else { "NOT MET" });
    Ok(true)
}
