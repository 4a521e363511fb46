//! Whatever is sent, there is one precise answer, and nothing changes.

use crate::path::unknown_id;
use amrutam_tests::support::{
    Client, Doctor, Options, Person, Slot, Stack, booking, on_stack, profile, raw_exchange, raw_request, unique,
};
use serde_json::{Value, json};

/// Not looked at: what was refused is on the record, and a refusal that is final for its key is kept.
const MAY_GROW: &[&str] = &["audit_log", "idempotency_keys"];

struct Cast {
    stack_client: Client,
    patient: Person,
    doctor: Doctor,
    other_doctor: Doctor,
    admin: Client,
    visit: String,
    open: Slot,
    taken: Slot,
    past: String,
    foreign: Slot,
    cursor: String,
}

#[derive(Clone, Copy)]
enum Who {
    Anonymous,
    Patient,
    Doctor,
    Admin,
}

struct Case {
    what: &'static str,
    who: Who,
    method: &'static str,
    path: String,
    headers: Vec<(&'static str, Vec<u8>)>,
    body: Vec<u8>,
    expected: (u16, &'static str, &'static str),
}

impl Case {
    fn new(who: Who, method: &'static str, path: impl Into<String>, what: &'static str) -> Self {
        Self { what, who, method, path: path.into(), headers: vec![], body: vec![], expected: (0, "", "") }
    }

    fn bytes(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("content-type", "application/json")
    }

    fn json(self, body: &Value) -> Self {
        self.bytes(body.to_string())
    }

    fn header(mut self, name: &'static str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.retain(|(known, _)| *known != name || name == "authorization");
        self.headers.push((name, value.into()));
        self
    }

    /// The answer; `pointer` to the value at fault, empty when it is about the whole.
    fn is(mut self, status: u16, code: &'static str, pointer: &'static str) -> Self {
        self.expected = (status, code, pointer);
        self
    }
}

fn book(what: &'static str, body: &Value) -> Case {
    Case::new(Who::Patient, "POST", "/v1/consultations", what).header("idempotency-key", unique("key")).json(body)
}

fn register(what: &'static str, change: impl FnOnce(&mut Value)) -> Case {
    let mut body =
        json!({ "email": format!("{}@x.example", unique("new")), "password": "a password", "full_name": "New" });
    change(&mut body);
    Case::new(Who::Anonymous, "POST", "/v1/auth/register", what).json(&body)
}

fn rules(cast: &Cast, what: &'static str, change: impl FnOnce(&mut Value)) -> Case {
    let mut rule =
        json!({ "weekday": "monday", "start": "09:00", "end": "12:00", "slot_minutes": 20, "modes": ["video"] });
    change(&mut rule);
    let path = format!("/v1/doctors/{}/availability", cast.doctor.id);
    Case::new(Who::Doctor, "PUT", path, what).json(&json!({ "rules": [rule] }))
}

fn apply(what: &'static str, change: impl FnOnce(&mut Value)) -> Case {
    let mut body = profile();
    change(&mut body);
    Case::new(Who::Doctor, "POST", "/v1/doctors", what).json(&body)
}

fn get(who: Who, path: impl Into<String>, what: &'static str) -> Case {
    Case::new(who, "GET", path, what)
}

fn bodies(cast: &Cast) -> Vec<Case> {
    let good = booking(&cast.open);
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body
    };
    let without = |name: &str| {
        let mut body = good.clone();
        body.as_object_mut().unwrap().remove(name);
        body
    };
    let raw = |what, bytes: &[u8]| book(what, &good).bytes(bytes);
    vec![
        raw("nothing", b"").is(400, "malformed_body", ""),
        raw("half of a body", b"{\"doctor_id\":").is(400, "malformed_body", ""),
        raw("two bodies", b"{} {}").is(422, "validation_failed", "/doctor_id"),
        raw("not UTF-8", b"{\"doctor_id\":\"\xff\xfe\"}").is(400, "malformed_body", ""),
        raw("an overlong encoding", b"{\"doctor_id\":\"\xc0\xaf\"}").is(400, "malformed_body", ""),
        raw("half of a surrogate pair", br#"{"doctor_id":"\ud800"}"#).is(400, "malformed_body", ""),
        raw("a field twice", br#"{"doctor_id":"a","doctor_id":"b"}"#).is(400, "malformed_body", "/doctor_id"),
        raw("too deep", "[".repeat(5_000).as_bytes()).is(400, "invalid_type", ""),
        book("an array in place of an object", &json!([cast.doctor.id, cast.open.id, "video", null, null])).is(
            400,
            "invalid_type",
            "",
        ),
        raw("a text in place of an object", b"\"x\"").is(400, "invalid_type", ""),
        raw("null", b"null").is(400, "invalid_type", ""),
        raw("a large body", " ".repeat(70_000).as_bytes()).is(413, "payload_too_large", ""),
        book("a form", &good).header("content-type", "application/x-www-form-urlencoded").is(
            415,
            "unsupported_media_type",
            "",
        ),
        book("another charset", &good).header("content-type", "application/json; charset=utf-16").is(
            415,
            "unsupported_media_type",
            "",
        ),
        book("compressed", &good).header("content-encoding", "gzip").is(415, "unsupported_media_type", ""),
        Case::new(Who::Patient, "POST", "/v1/consultations", "no content type")
            .header("idempotency-key", unique("key"))
            .is(415, "unsupported_media_type", ""),
        book("an unknown field", &with("price", json!(1))).is(400, "unknown_field", "/price"),
        book("a field of the server's", &with("status", json!("confirmed"))).is(400, "unknown_field", "/status"),
        book("a name to be escaped", &with("a/b~c", json!(1))).is(400, "unknown_field", "/a~1b~0c"),
        book("a number for an id", &with("slot_id", json!(7))).is(400, "invalid_type", "/slot_id"),
        book("an object for a mode", &with("mode", json!({}))).is(400, "invalid_type", "/mode"),
        book("no slot", &without("slot_id")).is(422, "validation_failed", "/slot_id"),
        book("no id", &with("slot_id", json!("x"))).is(422, "validation_failed", "/slot_id"),
        book("an id in braces", &with("slot_id", json!(format!("{{{}}}", cast.open.id)))).is(
            422,
            "validation_failed",
            "/slot_id",
        ),
        book("an unknown mode", &with("mode", json!("hologram"))).is(422, "validation_failed", "/mode"),
        book("an empty reason", &with("reason", json!(""))).is(422, "validation_failed", "/reason"),
        book("a long reason", &with("reason", json!("x".repeat(2_001)))).is(422, "validation_failed", "/reason"),
    ]
}

fn bookings(cast: &Cast) -> Vec<Case> {
    let slot = |doctor: &str, slot: &str| json!({ "doctor_id": doctor, "slot_id": slot, "mode": "video" });
    let own = &cast.doctor.id;
    let mode = json!({ "doctor_id": own, "slot_id": cast.open.id, "mode": "chat" });
    let mut dependent = booking(&cast.open);
    dependent["for_dependent"] = json!(unknown_id());
    vec![
        book("an unknown slot", &slot(own, &unknown_id())).is(422, "unknown_slot", "/slot_id"),
        book("another doctor's slot", &slot(own, &cast.foreign.id)).is(422, "slot_of_another_doctor", "/doctor_id"),
        book("an unknown doctor", &slot(&unknown_id(), &cast.open.id)).is(422, "slot_of_another_doctor", "/doctor_id"),
        book("a slot in the past", &slot(own, &cast.past)).is(422, "slot_in_past", "/slot_id"),
        book("a taken slot", &booking(&cast.taken)).is(409, "slot_unavailable", ""),
        book("a mode that is not offered", &mode).is(422, "mode_not_offered", "/mode"),
        book("somebody else's child", &dependent).is(422, "unknown_dependent", "/for_dependent"),
        book("an empty key", &booking(&cast.open)).header("idempotency-key", "").is(400, "invalid_idempotency_key", ""),
        book("a long key", &booking(&cast.open)).header("idempotency-key", "k".repeat(256)).is(
            400,
            "invalid_idempotency_key",
            "",
        ),
        book("a key that is not ASCII", &booking(&cast.open)).header("idempotency-key", vec![0xc3, 0xa9]).is(
            400,
            "invalid_idempotency_key",
            "",
        ),
    ]
}

fn acts(cast: &Cast) -> Vec<Case> {
    let act =
        |act: &str, what| Case::new(Who::Patient, "POST", format!("/v1/consultations/{}/{act}", cast.visit), what);
    let start = |what| Case::new(Who::Doctor, "POST", format!("/v1/consultations/{}/start", cast.visit), what);
    vec![
        act("cancel", "an unknown reason").json(&json!({ "reason": "bored" })).is(422, "validation_failed", "/reason"),
        act("cancel", "the doctor's reason").json(&json!({ "reason": "doctor_other" })).is(
            422,
            "reason_not_allowed",
            "/reason",
        ),
        act("cancel", "no reason").json(&json!({})).is(422, "validation_failed", "/reason"),
        act("reschedule", "to no slot").json(&json!({ "slot_id": "x" })).is(422, "validation_failed", "/slot_id"),
        act("reschedule", "to another doctor").json(&json!({ "slot_id": cast.foreign.id })).is(
            422,
            "slot_of_another_doctor",
            "/slot_id",
        ),
        act("reschedule", "into the past").json(&json!({ "slot_id": cast.past })).is(422, "slot_in_past", "/slot_id"),
        act("reschedule", "to where it is").json(&json!({ "slot_id": cast.taken.id })).is(409, "slot_unavailable", ""),
        act("sing", "an unknown act").json(&json!({})).is(404, "not_found", ""),
        start("a body that says something").json(&json!({ "now": true })).is(400, "unknown_field", "/now"),
        start("a body that is no JSON").bytes("x").is(400, "malformed_body", ""),
        start("before its time").is(409, "too_early", ""),
    ]
}

fn accounts() -> Vec<Case> {
    let log_in = |what, body: &Value| Case::new(Who::Anonymous, "POST", "/v1/auth/login", what).json(body);
    vec![
        register("no address", |b| b["email"] = json!("nobody")).is(422, "validation_failed", "/email"),
        register("a second recipient", |b| b["email"] = json!("a@x.example\r\nBcc: b@x.example")).is(
            422,
            "validation_failed",
            "/email",
        ),
        register("a short password", |b| b["password"] = json!("1234567")).is(422, "validation_failed", "/password"),
        register("a long password", |b| b["password"] = json!("x".repeat(129))).is(
            422,
            "validation_failed",
            "/password",
        ),
        register("no name", |b| b["full_name"] = json!("  ")).is(422, "validation_failed", "/full_name"),
        register("a name of two lines", |b| b["full_name"] = json!("a\nb")).is(422, "validation_failed", "/full_name"),
        register("a role", |b| b["role"] = json!("admin")).is(400, "unknown_field", "/role"),
        register("a local phone number", |b| b["phone"] = json!("9812345678")).is(422, "validation_failed", "/phone"),
        register("a birthday to come", |b| b["date_of_birth"] = json!("2199-01-01")).is(
            422,
            "validation_failed",
            "/date_of_birth",
        ),
        register("no date", |b| b["date_of_birth"] = json!("1990-02-30")).is(
            422,
            "validation_failed",
            "/date_of_birth",
        ),
        register("an unknown sex", |b| b["sex"] = json!("x")).is(422, "validation_failed", "/sex"),
        register("an unknown zone", |b| b["time_zone"] = json!("Mars/Olympus")).is(
            422,
            "validation_failed",
            "/time_zone",
        ),
        log_in("no password", &json!({ "email": "a@x.example" })).is(422, "validation_failed", "/password"),
        log_in("what is no address", &json!({ "email": "x", "password": "y" })).is(401, "invalid_credentials", ""),
        log_in("an endless password", &json!({ "email": "a@x.example", "password": "x".repeat(60_000) })).is(
            401,
            "invalid_credentials",
            "",
        ),
        Case::new(Who::Admin, "POST", "/v1/admin/accounts", "a patient made by an admin")
            .json(&json!({ "email": "a@x.example", "password": "a password", "full_name": "A", "role": "patient" }))
            .is(422, "validation_failed", "/role"),
    ]
}

fn schedules(cast: &Cast) -> Vec<Case> {
    let away = |what, from: &str, to: &str| {
        let path = format!("/v1/doctors/{}/time-off", cast.doctor.id);
        Case::new(Who::Doctor, "POST", path, what).json(&json!({ "from": from, "to": to }))
    };
    let many = json!({ "rules": vec![json!({ "weekday": "monday", "start": "09:00", "end": "12:00", "slot_minutes": 20, "modes": ["video"] }); 101] });
    let path = format!("/v1/doctors/{}/availability", cast.doctor.id);
    vec![
        rules(cast, "no weekday", |r| r["weekday"] = json!("someday")).is(422, "validation_failed", "/rules/0/weekday"),
        rules(cast, "no time", |r| r["start"] = json!("9:00")).is(422, "validation_failed", "/rules/0/start"),
        rules(cast, "a 25th hour", |r| r["end"] = json!("25:00")).is(422, "validation_failed", "/rules/0/end"),
        rules(cast, "an end before the start", |r| r["end"] = json!("08:00")).is(
            422,
            "validation_failed",
            "/rules/0/end",
        ),
        rules(cast, "too short for a slot", |r| r["end"] = json!("09:10")).is(422, "validation_failed", "/rules/0/end"),
        rules(cast, "no minutes", |r| r["slot_minutes"] = json!(0)).is(
            422,
            "validation_failed",
            "/rules/0/slot_minutes",
        ),
        rules(cast, "negative minutes", |r| r["slot_minutes"] = json!(-20)).is(
            422,
            "validation_failed",
            "/rules/0/slot_minutes",
        ),
        rules(cast, "half a minute", |r| r["slot_minutes"] = json!(20.5)).is(
            400,
            "invalid_type",
            "/rules/0/slot_minutes",
        ),
        rules(cast, "no mode", |r| r["modes"] = json!([])).is(422, "validation_failed", "/rules/0/modes"),
        rules(cast, "an unknown mode", |r| r["modes"] = json!(["video", "smoke"])).is(
            422,
            "validation_failed",
            "/rules/0/modes/1",
        ),
        rules(cast, "valid in no year", |r| r["valid_from"] = json!("9999-12-31")).is(
            422,
            "validation_failed",
            "/rules/0/valid_from",
        ),
        Case::new(Who::Doctor, "PUT", path.clone(), "too many rules").json(&many).is(
            422,
            "validation_failed",
            "/rules",
        ),
        Case::new(Who::Doctor, "PUT", path.clone(), "a stale version")
            .json(&json!({ "rules": [] }))
            .header("if-match", "\"77\"")
            .is(412, "precondition_failed", ""),
        Case::new(Who::Doctor, "PUT", path.clone(), "no version at all")
            .json(&json!({ "rules": [] }))
            .header("if-match", "rubbish")
            .is(412, "precondition_failed", ""),
        Case::new(Who::Doctor, "PUT", path, "a weak version")
            .json(&json!({ "rules": [] }))
            .header("if-match", "W/\"1\"")
            .is(412, "precondition_failed", ""),
        away("an end before the start", "2190-01-02T00:00:00Z", "2190-01-01T00:00:00Z").is(
            422,
            "validation_failed",
            "/to",
        ),
        away("an absence of years", "2190-01-01T00:00:00Z", "2195-01-01T00:00:00Z").is(422, "validation_failed", "/to"),
        away("a time without a zone", "2190-01-01T00:00:00", "2190-01-02T00:00:00Z").is(
            422,
            "validation_failed",
            "/from",
        ),
        apply("no fee", |b| b["fee"] = json!({ "amount": -1, "currency": "INR" })).is(
            422,
            "validation_failed",
            "/fee/amount",
        ),
        apply("an absurd fee", |b| b["fee"] = json!({ "amount": i64::MAX, "currency": "INR" })).is(
            422,
            "validation_failed",
            "/fee/amount",
        ),
        apply("a fee beyond numbers", |b| b["fee"] = json!({ "amount": 1e300, "currency": "INR" })).is(
            422,
            "validation_failed",
            "/fee/amount",
        ),
        apply("an unknown currency", |b| b["fee"] = json!({ "amount": 1, "currency": "XXX" })).is(
            422,
            "validation_failed",
            "/fee/currency",
        ),
        apply("a field inside", |b| b["fee"] = json!({ "amount": 1, "currency": "INR", "vat": 1 })).is(
            400,
            "unknown_field",
            "/fee/vat",
        ),
        apply("an unknown speciality", |b| b["specializations"] = json!(["alchemy"])).is(
            422,
            "validation_failed",
            "/specializations",
        ),
        apply("no qualification", |b| b["qualifications"] = json!([])).is(422, "validation_failed", "/qualifications"),
        apply("an unknown system", |b| b["system"] = json!("alchemy")).is(422, "validation_failed", "/system"),
    ]
}

fn profiles(cast: &Cast) -> Vec<Case> {
    let change = |what, body: Value| {
        Case::new(Who::Doctor, "PATCH", format!("/v1/doctors/{}", cast.doctor.id), what).json(&body)
    };
    let others = format!("/v1/doctors/{}", cast.other_doctor.id);
    vec![
        change("an unknown field", json!({ "rating": 5 })).is(400, "unknown_field", "/rating"),
        change("a field of the server's", json!({ "status": "listed" })).is(400, "unknown_field", "/status"),
        change("an array of changes", json!([{ "bio": "x" }])).is(400, "invalid_type", ""),
        change("a number for a text", json!({ "bio": 7 })).is(400, "invalid_type", "/bio"),
        change("a negative fee", json!({ "fee": { "amount": -1, "currency": "INR" } })).is(
            422,
            "validation_failed",
            "/fee/amount",
        ),
        change("no mode", json!({ "modes": [] })).is(422, "validation_failed", "/modes"),
        change("another registration", json!({ "registration_number": "KL-0" })).is(
            422,
            "validation_failed",
            "/registration_number",
        ),
        change("a stale version", json!({ "bio": "x" })).header("if-match", "\"77\"").is(
            412,
            "precondition_failed",
            "",
        ),
        change("a form", json!({ "bio": "x" })).header("content-type", "application/x-www-form-urlencoded").is(
            415,
            "unsupported_media_type",
            "",
        ),
        Case::new(Who::Doctor, "PATCH", others.clone(), "another's profile").json(&json!({ "bio": "x" })).is(
            404,
            "not_found",
            "",
        ),
        Case::new(Who::Anonymous, "PATCH", others, "nobody's change").json(&json!({ "bio": "x" })).is(
            401,
            "unauthenticated",
            "",
        ),
    ]
}

fn operations() -> Vec<Case> {
    let nothing = unknown_id();
    let letters = |act: &str, what, body: Value| {
        Case::new(Who::Admin, "POST", format!("/v1/admin/dead-letters/{nothing}/{act}"), what).json(&body)
    };
    let resolve = |what, body: Value| {
        Case::new(Who::Admin, "POST", format!("/v1/admin/reviews/{nothing}/resolve"), what).json(&body)
    };
    let list = |path: &str, what| get(Who::Admin, format!("/v1/admin/{path}"), what);
    vec![
        letters("discard", "no reason", json!({})).is(422, "validation_failed", "/reason"),
        letters("discard", "an unknown reason", json!({ "reason": "bored" })).is(422, "validation_failed", "/reason"),
        letters("discard", "an unknown field", json!({ "reason": "obsolete", "note": "x" })).is(
            400,
            "unknown_field",
            "/note",
        ),
        letters("discard", "no such letter", json!({ "reason": "obsolete" })).is(404, "not_found", ""),
        letters("requeue", "a body that says something", json!({ "force": true })).is(400, "unknown_field", "/force"),
        letters("requeue", "no such letter", json!({})).is(404, "not_found", ""),
        letters("revive", "an unknown act", json!({})).is(404, "not_found", ""),
        resolve("no choice", json!({})).is(422, "validation_failed", "/choice"),
        resolve("a number for a choice", json!({ "choice": 7 })).is(400, "invalid_type", "/choice"),
        resolve("an empty note", json!({ "choice": "retry", "note": "" })).is(422, "validation_failed", "/note"),
        resolve("a long note", json!({ "choice": "retry", "note": "x".repeat(1_001) })).is(
            422,
            "validation_failed",
            "/note",
        ),
        resolve("an amount", json!({ "choice": "retry", "amount": 1 })).is(400, "unknown_field", "/amount"),
        resolve("no such case", json!({ "choice": "retry" })).is(404, "not_found", ""),
        list("dead-letters?state=alive", "an unknown state").is(422, "validation_failed", "/state"),
        list("dead-letters?source=mail", "an unknown source").is(422, "validation_failed", "/source"),
        list("dead-letters?consumer=a%20b", "no consumer's name").is(422, "validation_failed", "/consumer"),
        list("dead-letters?limit=101", "too many").is(422, "validation_failed", "/limit"),
        list("dead-letters?order=asc", "an unknown parameter").is(400, "unknown_field", "/order"),
        list("dead-letters?cursor=x", "no cursor").is(400, "invalid_cursor", ""),
        list("dead-letters/x", "no id").is(404, "not_found", ""),
        list("reviews?state=closed", "an unknown state").is(422, "validation_failed", "/state"),
        list("reviews?kind=A", "no kind").is(422, "validation_failed", "/kind"),
        list("reviews?cursor=x", "no cursor").is(400, "invalid_cursor", ""),
    ]
}

fn queries(cast: &Cast) -> Vec<Case> {
    let slots = |query: &str, what| get(Who::Anonymous, format!("/v1/doctors/{}/slots?{query}", cast.doctor.id), what);
    let visits = |query: &str, what| get(Who::Patient, format!("/v1/consultations?{query}"), what);
    let cursor = &cast.cursor;
    vec![
        slots("limit=0", "no items").is(422, "validation_failed", "/limit"),
        slots("limit=101", "too many items").is(422, "validation_failed", "/limit"),
        slots("limit=x", "no number").is(422, "validation_failed", "/limit"),
        slots("limit=99999999999999999999", "a number beyond numbers").is(422, "validation_failed", "/limit"),
        slots("cursor=x", "a made-up cursor").is(400, "invalid_cursor", ""),
        slots(&format!("cursor={cursor}&mode=audio"), "a cursor of other filters").is(400, "invalid_cursor", ""),
        visits(&format!("cursor={cursor}"), "a cursor of another list").is(400, "invalid_cursor", ""),
        slots("from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "backwards").is(422, "validation_failed", "/to"),
        slots("from=2026-01-01T00:00:00Z&to=2036-01-01T00:00:00Z", "ten years").is(422, "validation_failed", "/to"),
        slots("from=yesterday", "no time").is(422, "validation_failed", "/from"),
        slots("from=-009999-01-02T01:59:59Z", "before history").is(422, "validation_failed", "/from"),
        slots("mode=smoke", "an unknown mode").is(422, "validation_failed", "/mode"),
        slots("offset=1", "an unknown parameter").is(400, "unknown_field", "/offset"),
        slots("mode=video&mode=audio", "a parameter twice").is(400, "malformed_query", "/mode"),
        slots("mode=%ff", "not UTF-8").is(400, "malformed_query", ""),
        slots("mode=%00", "a control character").is(400, "malformed_query", ""),
        visits("status=done", "an unknown status").is(422, "validation_failed", "/status"),
        get(Who::Anonymous, "/v1/doctors?max_fee=-1", "a negative fee").is(422, "validation_failed", "/max_fee"),
        get(Who::Anonymous, "/v1/doctors?sort=luck", "an unknown order").is(422, "validation_failed", "/sort"),
        get(Who::Anonymous, "/v1/doctors?available_from=2026-01-01T00:00:00Z", "half of a range").is(
            422,
            "validation_failed",
            "/available_to",
        ),
        get(Who::Anonymous, format!("/v1/doctors?q={}", "x".repeat(201)), "a long text").is(
            422,
            "validation_failed",
            "/q",
        ),
        get(Who::Patient, format!("/v1/consultations/{}", unknown_id()), "an unknown visit").is(404, "not_found", ""),
        get(Who::Patient, format!("/v1/consultations/{}/payment", unknown_id()), "its payment").is(
            404,
            "not_found",
            "",
        ),
        get(Who::Patient, "/v1/consultations/no-id/cancellation", "no id").is(404, "not_found", ""),
        Case::new(Who::Patient, "POST", format!("/v1/consultations/{}/payment/retry", cast.visit), "without a key").is(
            400,
            "idempotency_key_required",
            "",
        ),
        Case::new(Who::Patient, "POST", format!("/v1/consultations/{}/payment/retry", cast.visit), "with a field")
            .header("idempotency-key", unique("key"))
            .json(&json!({ "amount": 1 }))
            .is(400, "unknown_field", "/amount"),
        Case::new(Who::Anonymous, "POST", "/v1/webhooks/payments/nobody", "no gateway of ours").is(
            404,
            "not_found",
            "",
        ),
        get(Who::Patient, "/v1/consultations/ffffffff-ffff-4fff-8fff-ffffffffffff", "an id of no time").is(
            404,
            "not_found",
            "",
        ),
        get(Who::Patient, "/v1/consultations/1%20OR%201=1", "an id of another kind").is(404, "not_found", ""),
        get(Who::Anonymous, "/v1/doctors/%00", "an id with a control character").is(404, "not_found", ""),
        get(Who::Anonymous, "/v1/nothing", "a path that is not there").is(404, "not_found", ""),
        get(Who::Anonymous, "/v1/doctors/../../etc/passwd", "a way out").is(404, "not_found", ""),
        Case::new(Who::Patient, "DELETE", "/v1/consultations", "a method it has not").is(405, "method_not_allowed", ""),
        Case::new(Who::Patient, "TRACE", "/v1/me", "an odd method").is(405, "method_not_allowed", ""),
        get(Who::Patient, "/v1/me", "two tokens").header("authorization", "Bearer x").is(401, "unauthenticated", ""),
        get(Who::Anonymous, "/v1/me", "an oversized token")
            .header("authorization", format!("Bearer {}", "a".repeat(9_000)))
            .is(401, "unauthenticated", ""),
        get(Who::Anonymous, "/v1/me", "an oversized head")
            .header("authorization", format!("Bearer {}", "a".repeat(20_000)))
            .is(431, "headers_too_large", ""),
    ]
}

async fn cast(stack: &Stack) -> Cast {
    let (doctor, other_doctor) = (stack.doctor(2).await, stack.doctor(1).await);
    let patient = stack.patient("asha").await;
    let mut slots = doctor.slots().await;
    let (taken, past, open) = (slots.remove(0), slots.remove(0), slots.remove(0));
    let visit = patient.booked(&taken).await;
    let statement = format!(
        "UPDATE slots SET starts_at = now() - interval '2 days', ends_at = now() - interval '47 hours' WHERE id = '{}'",
        past.id
    );
    assert_eq!(stack.sql().await.execute(&statement).await, 1);
    let page = stack.anonymous().get(&format!("/v1/doctors/{}/slots?limit=1", doctor.id)).send().await.expect(200);
    Cast {
        stack_client: stack.anonymous(),
        foreign: other_doctor.slots().await.remove(5),
        admin: stack.admin().await.client.clone(),
        cursor: page["next_cursor"].as_str().unwrap().to_owned(),
        past: past.id,
        patient,
        doctor,
        other_doctor,
        visit,
        open,
        taken,
    }
}

async fn refusal(cast: &Cast, case: &Case, correlation: &str) -> Result<(), String> {
    let client = match case.who {
        Who::Anonymous => &cast.stack_client,
        Who::Patient => &cast.patient.client,
        Who::Doctor => &cast.doctor.person.client,
        Who::Admin => &cast.admin,
    };
    let mut call = client.call(case.method, &case.path).header("x-correlation-id", correlation);
    for (name, value) in &case.headers {
        call = call.header(name, value);
    }
    let reply = call.body(case.body.clone()).send().await;
    let body = reply.json();
    let pointer = body["errors"][0]["pointer"].as_str().unwrap_or_default();
    let got = (reply.status, body["code"].as_str().unwrap_or_default(), pointer);
    if got != case.expected {
        return Err(format!("{}: {got:?}, not {:?} ({})", case.what, case.expected, reply.text()));
    }
    reply.assert_is_problem();
    if reply.header("x-correlation-id") != correlation {
        return Err(format!("{}: the correlation id is not the caller's", case.what));
    }
    if reply.status == 405 && reply.header("allow").is_empty() {
        return Err(format!("{}: 405 without Allow", case.what));
    }
    Ok(())
}

#[test]
fn bad_input_has_its_precise_answer_and_changes_nothing() {
    // Of its own, since all tables are compared.
    on_stack(Options::named("bad-input"), async |stack| {
        let cast = cast(stack).await;
        let sql = stack.sql().await;
        let quiet = "SELECT count(*) FROM scheduled_messages WHERE status = 'scheduled' AND due_at <= now()";
        amrutam_tests::support::until("the booking's mail is sent", amrutam_tests::support::SOON, async || {
            sql.value::<i64>("SELECT count(*) FROM outbox").await == 0
                && sql.value::<i64>("SELECT count(*) FROM inbox").await >= 2
                && sql.value::<i64>(quiet).await == 0
        })
        .await;
        let before = sql.digests(MAY_GROW).await;

        let cases = [
            bodies(&cast),
            bookings(&cast),
            acts(&cast),
            accounts(),
            operations(),
            schedules(&cast),
            profiles(&cast),
            queries(&cast),
        ];
        let cases: Vec<_> = cases.into_iter().flatten().collect();
        let mut wrong = Vec::new();
        for (number, case) in cases.iter().enumerate() {
            if let Err(error) = refusal(&cast, case, &format!("bad-input-{number}")).await {
                wrong.push(error);
            }
        }
        raw_cases(&cast, &mut wrong).await;
        assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
        assert_eq!(sql.digests(MAY_GROW).await, before);
        assert!(!cast.other_doctor.slots().await.is_empty());
    });
}

/// What no client library sends.
async fn raw_cases(cast: &Cast, wrong: &mut Vec<String>) {
    let token = format!("Bearer {}", cast.patient.client.token().unwrap());
    let auth = [("authorization", token.as_str()), ("idempotency-key", "raw"), ("connection", "close")];
    let good = booking(&cast.open).to_string();
    let length = format!("content-length: {}", good.len());
    let normal = String::from_utf8(raw_request("POST", "/v1/consultations", &auth, &good)).unwrap();
    let chunks = format!("{}\r\n{}\r\n", "3fff", "x".repeat(0x3fff)).repeat(6);
    let cases: Vec<(&str, String, &str)> = vec![
        (
            "endless chunks",
            normal.replace(&length, "transfer-encoding: chunked").replace(&good, &format!("{chunks}0\r\n\r\n")),
            "413",
        ),
        ("two lengths", normal.replace(&length, &format!("{length}\r\ncontent-length: 1")), "400"),
        ("length and chunks", normal.replace(&length, &format!("{length}\r\ntransfer-encoding: chunked")), "400"),
        ("a negative length", normal.replace(&length, "content-length: -1"), "400"),
        ("a space before the colon", normal.replace("connection: close", "connection : close"), "400"),
        ("a folded header", normal.replace("connection: close", "x-a: b\r\n c"), "400"),
        ("two keys", normal.replace("connection: close", "idempotency-key: b\r\nconnection: close"), "400"),
        (
            "two content types",
            normal.replace("connection: close", "content-type: text/plain\r\nconnection: close"),
            "415",
        ),
        ("not HTTP", "hello\r\n\r\n".to_owned(), "400"),
        (
            "a hundred headers",
            normal
                .replace("connection: close", &"x-a: b\r\n".repeat(98))
                .replace("\r\n\r\ncontent-length", "\r\ncontent-length"),
            "431",
        ),
    ];
    for (what, request, status) in cases {
        let answer = raw_exchange(cast.stack_client.base(), request.as_bytes()).await;
        let first = answer.lines().next().unwrap_or_default();
        if !first.starts_with(&format!("HTTP/1.1 {status} ")) {
            wrong.push(format!("{what}: {first:?}, not {status}"));
        }
    }
    for senseless in ["", "a b", &"x".repeat(129), "tab\there"] {
        let reply = cast.stack_client.get("/healthz").header("x-correlation-id", senseless).send().await;
        let given = reply.header("x-correlation-id");
        if given == senseless || uuid::Uuid::parse_str(given).is_err() {
            wrong.push(format!("the correlation id {senseless:?} became {given:?}"));
        }
    }
}
