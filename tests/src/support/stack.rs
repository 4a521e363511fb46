//! The service as a whole: its processes and what they work with.

use super::{
    Client, Database, Gateway, Person, Process, SOON, Sandbox, Servers, Sql, WEBHOOK_SECRET, environment, eventually,
    free_port,
    gateway::{KEY_ID, KEY_SECRET},
    unique, until,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{Mutex, OnceCell};

/// As much as can be set. Tests ask more often than people, all from one address; those of limits set what they are about.
const UNLIMITED: &str = "1000000";
const LIMIT_CLASSES: [&str; 8] = ["DEFAULT", "LOGIN", "MFA", "REGISTER", "RESET", "REFRESH", "WEBHOOKS", "HEALTH"];
/// They count what they are about beside from where they come.
const SUBJECT_CLASSES: [&str; 5] = ["LOGIN", "MFA", "REGISTER", "RESET", "REFRESH"];

/// What a stack is made of.
#[derive(Default)]
pub struct Options {
    pub(crate) name: &'static str,
    pub(crate) apis: usize,
    pub(crate) more_workers: usize,
    pub(crate) alone: bool,
    pub(crate) own: &'static [&'static str],
    pub(crate) keys_apart: bool,
    pub(crate) log_apart: bool,
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) paid: bool,
    pub(crate) texts: bool,
}

impl Options {
    /// One API process, one worker, a sandbox, on the servers that all tests share.
    pub fn named(name: &'static str) -> Self {
        Self { name, apis: 1, ..Self::default() }
    }

    /// So many API processes.
    pub fn apis(self, apis: usize) -> Self {
        Self { apis, ..self }
    }

    /// So many workers beside the first.
    pub fn more_workers(self, more_workers: usize) -> Self {
        Self { more_workers, ..self }
    }

    /// Where visits are paid at the sandbox's gateway. What waits for minutes elsewhere waits for a part of a second here.
    pub fn paid(mut self) -> Self {
        for (key, value) in [
            ("PAYMENTS__MODE", "required"),
            ("PAYMENTS__TIMEOUT_MS", "1000"),
            ("PAYMENTS__LEASE_MS", "4000"),
            ("PAYMENTS__SLOW_LANE_MIN_MS", "100"),
            ("PAYMENTS__SLOW_LANE_MAX_MS", "500"),
            ("PAYMENTS__FIRST_POLL_MS", "1000"),
            ("WORKER__SWEEP_MS", "200"),
        ] {
            self = self.with(key, value);
        }
        Self { paid: true, ..self }
    }

    /// Where texts go out, to the sandbox's provider.
    pub fn texts(self) -> Self {
        Self { texts: true, ..self }
    }

    /// While no other test runs: for tests that measure time, or take all there is of the machine.
    pub fn alone(self) -> Self {
        Self { alone: true, ..self }
    }

    /// With servers of its own: `postgres`, `redis`, `rabbitmq`.
    pub fn own(self, own: &'static [&'static str]) -> Self {
        Self { own, ..self }
    }

    /// With the data keys of people in a database of their own.
    pub fn keys_apart(self) -> Self {
        Self { keys_apart: true, ..self }
    }

    /// With the log of accesses in a database of its own.
    pub fn log_apart(self) -> Self {
        Self { log_apart: true, ..self }
    }

    /// With a setting of its own: `PAYMENTS__MODE`.
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.settings.push((format!("AMRUTAM__{key}"), value.to_owned()));
        self
    }
}

/// A running service. Everything in it ends when it is dropped.
pub struct Stack {
    /// The API processes.
    pub apis: Vec<Api>,
    /// The worker.
    pub worker: Process,
    /// Those beside it.
    pub more_workers: Vec<Process>,
    /// The sandbox's process.
    pub sandbox: Process,
    /// The mail sink.
    pub mail: Sandbox,
    /// The payment gateway; only where visits are paid does it know us.
    pub gateway: Gateway,
    /// The database.
    pub database: Database,
    /// Where the log of accesses lies, when that is elsewhere.
    pub log: Option<Database>,
    /// First part of the queues' names.
    pub prefix: String,
    name: &'static str,
    common: Vec<(String, String)>,
    worker_url: String,
    redis_urls: String,
    amqp_url: String,
    lock_prefix: String,
    admin: Mutex<Option<(Instant, &'static Person)>>,
    servers: Option<Servers>,
}

/// One API process.
pub struct Api {
    /// The process.
    pub process: Process,
    /// Where it answers.
    pub url: String,
    /// Where it is measured.
    pub metrics_url: String,
}

impl Stack {
    pub(crate) async fn start(options: Options) -> Self {
        let environment = environment();
        let keys = keys().await;
        let servers = if options.own.is_empty() { None } else { Some(Servers::start(options.name, options.own).await) };
        let own = |kind: &str| servers.as_ref().filter(|_| options.own.contains(&kind));
        let database = match own("postgres") {
            Some(own) => Database::migrated(own.variable("ADMIN_DATABASE_URL"), own.variable("DATABASE_URL")).await,
            None => Database::of_template().await,
        };
        let keys_url = if options.keys_apart { Some(database.keys_apart().await) } else { None };
        let log = if options.log_apart { Some(database.log_apart().await) } else { None };
        let redis_urls = own("redis").map_or(&*environment.redis_urls, |own| own.variable("REDIS_URLS")).to_owned();
        let amqp_url = own("rabbitmq").map_or(&*environment.amqp_url, |own| own.variable("AMQP_URL")).to_owned();
        let name = unique(&format!("it-{}-{}", environment.run, options.name));
        environment.bequeath("amqp", &name);
        let lock_prefix = format!("{name}:slot:");

        let (http, smtp, worker_port, gateway) = (free_port(), free_port(), free_port(), free_port());
        let listen = |port: u16| format!("127.0.0.1:{port}");
        let limit =
            |class: &str, field: &str| (format!("AMRUTAM__LIMITS__CLASSES__{class}__{field}"), UNLIMITED.to_owned());
        let limits = LIMIT_CLASSES.map(|class| limit(class, "REQUESTS")).into_iter();
        let limits = limits.chain(SUBJECT_CLASSES.map(|class| limit(class, "ADDRESS_REQUESTS")));
        // As infra/dev/stack does, every process gets everybody's settings.
        let common: Vec<(String, String)> = [
            ("AMRUTAM__ENVIRONMENT", "development"),
            ("AMRUTAM__DATABASE__URL", &database.url),
            ("AMRUTAM__REDIS__URLS", &redis_urls),
            ("AMRUTAM__REDIS__PREFIX", &lock_prefix),
            ("AMRUTAM__REDIS__CACHE_PREFIX", &format!("{name}:")),
            ("AMRUTAM__AMQP__URL", &amqp_url),
            ("AMRUTAM__AMQP__PREFIX", &name),
            ("AMRUTAM__MAIL__SMTP_URL", &format!("smtp://{}", listen(smtp))),
            ("AMRUTAM__TOKENS__KEY_DIR", keys),
            // Those who test it ask for it.
            ("AMRUTAM__MFA__REQUIRED_ROLES", ""),
            // Most of them read no mail.
            ("AMRUTAM__ACCOUNTS__LOG_IN_UNVERIFIED", "true"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into_iter()
        .chain(limits)
        .chain(if options.paid { merchant(&listen(gateway)) } else { Vec::new() })
        .chain(if options.texts { texter(&listen(http)) } else { Vec::new() })
        .chain(keys_url.map(|url| ("AMRUTAM__KEYS__DATABASE_URL".to_owned(), url)))
        .chain(log.iter().map(|log| ("AMRUTAM__AUDIT__URL".to_owned(), log.url.clone())))
        .chain(options.settings)
        .collect();
        let process = |part: &str, program: &str, own: &[(&str, &str)]| {
            let own = own.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
            Process::new(&format!("{}-{part}", options.name), program, common.iter().cloned().chain(own).collect())
        };
        let sandbox = process(
            "sandbox",
            "amrutam-sandbox",
            &[
                ("AMRUTAM__SANDBOX__HTTP_LISTEN", &listen(http)),
                ("AMRUTAM__SANDBOX__SMTP_LISTEN", &listen(smtp)),
                ("AMRUTAM__SANDBOX__GATEWAY_LISTEN", &listen(gateway)),
                ("AMRUTAM__SANDBOX__GATEWAY_KEY_ID", KEY_ID),
                ("AMRUTAM__SANDBOX__GATEWAY_KEY_SECRET", KEY_SECRET),
                ("AMRUTAM__SANDBOX__GATEWAY_WEBHOOK_SECRET", WEBHOOK_SECRET),
            ],
        );
        let worker = process("worker", "amrutam-worker", &[("AMRUTAM__WORKER__LISTEN", &listen(worker_port))]);
        let more_workers = (0..options.more_workers).map(|index| {
            let own = [("AMRUTAM__WORKER__LISTEN", &*listen(free_port()))];
            process(&format!("worker-{}", index + 1), "amrutam-worker", &own)
        });
        let more_workers = more_workers.collect();
        let api = |index: usize| Api::new(&format!("{}-api-{index}", options.name), &common, &[]);
        let apis = (0..options.apis).map(api).collect();
        let stack = Self {
            apis,
            worker,
            more_workers,
            sandbox,
            mail: Sandbox::new(&format!("http://{}", listen(http))),
            gateway: Gateway::new(&format!("http://{}", listen(http))),
            name: options.name,
            database,
            log,
            prefix: name,
            common,
            worker_url: format!("http://{}", listen(worker_port)),
            redis_urls,
            amqp_url,
            lock_prefix,
            admin: Mutex::default(),
            servers,
        };
        for process in stack.processes() {
            process.start();
        }
        answers(&stack.sandbox, &format!("http://{}/healthz", listen(http))).await;
        for api in &stack.apis {
            api.ready().await;
        }
        if options.paid {
            stack.gateway.tell(&format!("{}/v1/webhooks/payments/razorpay", stack.apis[0].url)).await;
        }
        stack.worker_ready().await;
        stack
    }

    fn processes(&self) -> impl Iterator<Item = &Process> {
        let workers = std::iter::once(&self.worker).chain(&self.more_workers);
        std::iter::once(&self.sandbox).chain(workers).chain(self.apis.iter().map(|api| &api.process))
    }

    pub(crate) fn print_tails(&self) {
        for process in self.processes() {
            process.print_tail(25);
        }
    }

    /// Waits until the worker does its whole job, and not a part of it.
    pub async fn worker_ready(&self) {
        answers(&self.worker, &format!("{}/healthz", self.worker_url)).await;
        until("the worker is ready", SOON, async || self.worker_state().await == "ready").await;
    }

    /// What the worker says of itself: `ready`, `degraded`, `unavailable`; empty when it says nothing.
    pub async fn worker_state(&self) -> String {
        state_of(&self.worker_url).await
    }

    /// One more API process, with settings of its own: `("TLS__KEY", "/path")`. Not started.
    pub fn another_api(&self, part: &str, settings: &[(&str, &str)]) -> Api {
        Api::new(&format!("{}-{part}", self.name), &self.common, settings)
    }

    /// One more worker, with settings of its own, and where it answers. Not started.
    pub fn another_worker(&self, part: &str, settings: &[(&str, &str)]) -> (Process, String) {
        let listen = format!("127.0.0.1:{}", free_port());
        let own = [("WORKER__LISTEN", &*listen)];
        let own = own.iter().chain(settings).map(|(key, value)| (format!("AMRUTAM__{key}"), (*value).to_owned()));
        let variables = self.common.iter().cloned().chain(own).collect();
        (Process::new(&format!("{}-{part}", self.name), "amrutam-worker", variables), format!("http://{listen}"))
    }

    /// The settings that all its processes get, for one more.
    pub fn settings(&self) -> Vec<(String, String)> {
        self.common.clone()
    }

    /// The servers of its own.
    pub fn servers(&self) -> &Servers {
        self.servers.as_ref().expect("this stack has servers of its own")
    }

    /// Nobody in particular, at the first API process.
    pub fn anonymous(&self) -> Client {
        Client::new(&self.apis[0].url)
    }

    /// A side connection to the database.
    pub async fn sql(&self) -> Sql {
        self.database.sql().await
    }

    /// The administrator; another one when the last one's access token, of fifteen minutes, is about to end.
    pub async fn admin(&self) -> &Person {
        let mut kept = self.admin.lock().await;
        match *kept {
            Some((since, admin)) if since.elapsed() < Duration::from_secs(600) => admin,
            _ => {
                // As long as the process: whoever has borrowed the one before goes on with it.
                let admin: &'static Person = Box::leak(Box::new(self.new_admin().await));
                *kept = Some((Instant::now(), admin));
                admin
            }
        }
    }

    /// Another administrator, made by the operator.
    pub async fn new_admin(&self) -> Person {
        let (email, password) = (format!("{}@amrutam.example", unique("admin")), unique("a password"));
        let arguments = ["admin", "create", "--email", &email, "--name", "Administrator"];
        self.operate(&arguments, &password).await;
        Person::log_in(&self.anonymous(), &email, &password).await
    }

    /// Runs `amrutamctl` with the settings of the processes, and gives what it wrote.
    pub async fn operate(&self, arguments: &[&str], input: &str) -> String {
        let variables: Vec<_> = self.common.iter().map(|(key, value)| (&**key, &**value)).collect();
        Process::output("amrutamctl", arguments, &variables, input).await
    }

    /// What the operator's command line says when it does not do what it is asked.
    pub async fn operate_in_vain(&self, arguments: &[&str]) -> String {
        let variables: Vec<_> = self.common.iter().map(|(key, value)| (&**key, &**value)).collect();
        match Process::outcome("amrutamctl", arguments, &variables, "").await {
            Ok(done) => panic!("{arguments:?}: {done}"),
            Err(refused) => refused,
        }
    }

    /// Where the worker answers.
    pub fn worker_url(&self) -> &str {
        &self.worker_url
    }

    /// Where its Redis servers and its broker are.
    pub fn others(&self) -> (&str, &str) {
        (&self.redis_urls, &self.amqp_url)
    }

    /// Where the locks are: a client per node, and what their names begin with.
    pub(crate) fn locks(&self) -> (Vec<redis::Client>, &str) {
        let client = |url: &str| redis::Client::open(url).expect("a Redis URL");
        (self.redis_urls.split(',').map(client).collect(), &self.lock_prefix)
    }

    /// Everything that its Redis servers know is gone. For servers of its own.
    pub async fn forget_redis(&self) {
        self.servers();
        for node in self.locks().0 {
            let mut connection = node.get_multiplexed_async_connection().await.expect("a Redis node");
            redis::cmd("FLUSHALL").query_async::<()>(&mut connection).await.expect("flushed");
        }
    }

    pub(crate) fn amqp_url(&self) -> &str {
        &self.amqp_url
    }

    /// How many events are dead, in the broker or where they are kept.
    pub async fn dead_letters(&self) -> u32 {
        let broker = self.broker().await;
        let in_broker = broker.dead_letters().await;
        broker.close().await;
        let kept = "SELECT count(*) FROM dead_letters WHERE source = 'event' AND state = 'dead'";
        in_broker + self.sql().await.value::<u32>(kept).await
    }

    /// What the operator's command line writes, with the settings of this stack.
    pub async fn operator(&self, arguments: &[&str], input: &str) -> String {
        let variables: Vec<_> = self.common.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        Process::output("amrutamctl", arguments, &variables, input).await
    }

    /// What the worker measures, in Prometheus' words.
    pub async fn worker_metrics(&self) -> String {
        Client::new(&self.worker_url).get("/metrics").send().await.text()
    }
}

impl Api {
    fn new(name: &str, common: &[(String, String)], settings: &[(&str, &str)]) -> Self {
        let (http, metrics) = (format!("127.0.0.1:{}", free_port()), format!("127.0.0.1:{}", free_port()));
        let listen = [("HTTP__LISTEN", &*http), ("HTTP__METRICS_LISTEN", &*metrics)];
        let own = listen.iter().chain(settings).map(|(key, value)| (format!("AMRUTAM__{key}"), (*value).to_owned()));
        let process = Process::new(name, "amrutam-api", common.iter().cloned().chain(own).collect());
        Self { process, url: format!("http://{http}"), metrics_url: format!("http://{metrics}") }
    }

    /// Waits until it listens, whatever it speaks there.
    pub async fn alive(&self) {
        answers(&self.process, &format!("{}/healthz", self.metrics_url)).await;
    }

    /// Waits until it can be sent requests.
    pub async fn ready(&self) {
        answers(&self.process, &format!("{}/readyz", self.url)).await;
    }
}

/// How the sandbox's gateway is called.
fn merchant(gateway: &str) -> Vec<(String, String)> {
    let settings = [
        ("GATEWAY", "razorpay"),
        ("BASE_URL", &format!("http://{gateway}")),
        ("CHECKOUT_URL", &format!("http://{gateway}/checkout/{{order}}")),
        ("KEY_ID", KEY_ID),
        ("KEY_SECRET", KEY_SECRET),
        ("WEBHOOK_SECRET", WEBHOOK_SECRET),
    ];
    settings.map(|(key, value)| (format!("AMRUTAM__PAYMENTS__{key}"), value.to_owned())).into()
}

/// How the sandbox's provider of texts is called. Each kind of text has an id of its own: `1707` and its place.
fn texter(provider: &str) -> Vec<(String, String)> {
    let settings = [
        ("URL", &*format!("http://{provider}")),
        ("ACCOUNT_SID", "amrutam1"),
        ("API_KEY", "key"),
        ("API_TOKEN", "a texter's token"),
        ("SENDER", "AMRTAM"),
        ("DLT_ENTITY_ID", "1701"),
        ("TIMEOUT_MS", "1000"),
        ("TEMPLATES__BOOKING_CONFIRMED", "17070"),
        ("TEMPLATES__BOOKING_CANCELLED", "17071"),
        ("TEMPLATES__REMINDER_1H", "17072"),
        ("TEMPLATES__REFUND_MADE", "17073"),
        ("TEMPLATES__REFUND_MADE_IN_PART", "17074"),
        ("TEMPLATES__PAYMENT_RETURNED", "17075"),
    ];
    settings.map(|(key, value)| (format!("AMRUTAM__SMS__{key}"), value.to_owned())).into()
}

/// What a process says of itself; empty when it says nothing.
pub async fn state_of(url: &str) -> String {
    let Ok(reply) = Client::new(url).get("/readyz").try_send().await else { return String::new() };
    reply.json()["status"].as_str().unwrap_or_default().to_owned()
}

async fn answers(process: &Process, url: &str) {
    let http = reqwest::Client::new();
    eventually(&format!("{url} answers"), SOON, async || {
        if let Some(status) = process.exit_status() {
            process.print_tail(25);
            panic!("{url}: the process has ended: {status}");
        }
        let answer = http.get(url).timeout(Duration::from_secs(2)).send().await.ok()?;
        answer.status().is_success().then_some(())
    })
    .await;
}

/// Made once and kept: drawing an RSA key takes seconds. Kinds of keys that have come since are added.
async fn keys() -> &'static str {
    static KEYS: OnceCell<Arc<str>> = OnceCell::const_new();
    let made = KEYS.get_or_init(async || {
        let environment = environment();
        let directory = environment.cache.join("keys");
        if directory.is_dir() {
            Process::output("amrutamctl", &["keys", "generate", "--dir", &directory.to_string_lossy()], &[], "").await;
        } else {
            let new = environment.cache.join(unique("keys"));
            Process::output("amrutamctl", &["keys", "generate", "--dir", &new.to_string_lossy()], &[], "").await;
            // Whoever comes second uses the first's.
            if std::fs::rename(&new, &directory).is_err() {
                std::fs::remove_dir_all(&new).expect("our own directory");
            }
        }
        directory.to_string_lossy().into()
    });
    made.await
}
