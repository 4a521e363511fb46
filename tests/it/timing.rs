//! How long an answer takes tells nobody whether an address is known.

use amrutam_tests::support::{Client, Options, on_stack, unique};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const ROUNDS: usize = 200;
/// A machine that is busy with something else may disturb one comparison, or two.
const COMPARISONS: usize = 3;
/// Standard deviations; one honest comparison in 16,000 is beyond.
const MOST_Z: f64 = 4.0;
/// Of one median from the other.
const MOST_APART: f64 = 0.05;

/// Two kinds of request, their times taken in turn, one after the other.
struct Compared {
    times: [Vec<Duration>; 2],
}

impl Compared {
    async fn of(mut ask: impl AsyncFnMut(usize)) -> Self {
        let mut times = [const { Vec::new() }; 2];
        for round in 0..ROUNDS {
            // Neither is always first.
            for kind in if round % 2 == 0 { [0, 1] } else { [1, 0] } {
                let begun = Instant::now();
                ask(kind).await;
                times[kind].push(begun.elapsed());
            }
        }
        for times in &mut times {
            times.sort();
        }
        Self { times }
    }

    /// Mann-Whitney's U of the first against the second, in standard deviations: how far the one tends to be quicker.
    fn z(&self) -> f64 {
        let [one, other] = &self.times;
        let below: usize = one.iter().map(|time| other.partition_point(|than| than < time)).sum();
        let equal: usize = one.iter().map(|time| other.iter().filter(|than| *than == time).count()).sum();
        let (n, m) = (one.len() as f64, other.len() as f64);
        let u = below as f64 + equal as f64 / 2.0;
        (u - n * m / 2.0) / (n * m * (n + m + 1.0) / 12.0).sqrt()
    }

    fn medians(&self) -> [Duration; 2] {
        self.times.each_ref().map(|times| times[times.len() / 2])
    }

    fn apart(&self) -> f64 {
        let [one, other] = self.medians().map(|median| median.as_secs_f64());
        (one - other).abs() / one.max(other)
    }
}

/// What both kinds are answered is the same, and so is the time it takes.
async fn indistinguishable(client: &Client, path: &str, status: u16, bodies: [&dyn Fn() -> Value; 2]) {
    let ask = async |kind: usize| {
        let reply = client.post(path, &bodies[kind]()).send().await;
        assert_eq!(reply.status, status, "{}", reply.text());
    };
    for _ in 0..10 {
        ask(0).await;
        ask(1).await;
    }
    let mut seen = Vec::new();
    for _ in 0..COMPARISONS {
        let compared = Compared::of(ask).await;
        let (z, apart) = (compared.z(), compared.apart());
        seen.push(format!("z {z:.1}, medians {:?}", compared.medians()));
        if z.abs() < MOST_Z && apart < MOST_APART {
            eprintln!("{path}: {seen:?}");
            return;
        }
    }
    panic!("{path} tells known from unknown addresses: {seen:?}");
}

#[test]
fn a_log_in_takes_as_long_for_an_unknown_address() {
    on_stack(Options::named("log-in-timing").alone(), async |stack| {
        let known = stack.patient("asha").await.email;
        let log_in = |email: &str| json!({ "email": email, "password": "not the password" });
        let unknown = || log_in(&format!("{}@patients.example", unique("asha")));
        indistinguishable(&stack.anonymous(), "/v1/auth/login", 401, [&|| log_in(&known), &unknown]).await;
    });
}

#[test]
fn a_forgotten_password_takes_as_long_for_an_unknown_address() {
    on_stack(Options::named("forgot-timing").alone(), async |stack| {
        let known = stack.patient("asha").await.email;
        let forgot = |email: &str| json!({ "email": email });
        let unknown = || forgot(&format!("{}@patients.example", unique("asha")));
        indistinguishable(&stack.anonymous(), "/v1/auth/password/forgot", 202, [&|| forgot(&known), &unknown]).await;
    });
}

#[test]
fn a_registration_takes_as_long_for_a_known_address() {
    on_stack(Options::named("register-timing").alone(), async |stack| {
        let known = stack.patient("asha").await.email;
        let register =
            |email: &str| json!({ "email": email, "password": "correct horse battery staple", "full_name": "Asha" });
        let unknown = || register(&format!("{}@patients.example", unique("asha")));
        indistinguishable(&stack.anonymous(), "/v1/auth/register", 201, [&|| register(&known), &unknown]).await;
    });
}
