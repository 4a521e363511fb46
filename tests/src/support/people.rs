//! Who uses the service: patients, doctors, administrators, with what they do first.

use super::{Call, Client, Stack, unique};
use futures::{StreamExt, stream};
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use serde_json::{Value, json};

/// Somebody with an account, signed in.
#[derive(Clone)]
pub struct Person {
    /// Their calls.
    pub client: Client,
    /// Their account.
    pub id: String,
    /// Their address.
    pub email: String,
    /// Their password.
    pub password: String,
    /// For the next pair of tokens.
    pub refresh_token: String,
}

/// A doctor who is listed.
pub struct Doctor {
    /// Their account.
    pub person: Person,
    /// Their profile.
    pub id: String,
}

/// An interval that can be booked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Its id.
    pub id: String,
    /// Whose.
    pub doctor: String,
    /// From.
    pub starts_at: Timestamp,
    /// To.
    pub ends_at: Timestamp,
}

/// The body of a booking.
pub fn booking(slot: &Slot) -> Value {
    json!({ "doctor_id": slot.doctor, "slot_id": slot.id, "mode": "video" })
}

impl Person {
    /// Logs in.
    pub async fn log_in(client: &Client, email: &str, password: &str) -> Self {
        let tokens = client
            .post("/v1/auth/login", &json!({ "email": email, "password": password }))
            .patiently()
            .await
            .expect(200);
        let client = client.with_token(tokens["access_token"].as_str().unwrap());
        let me = client.get("/v1/me").patiently().await.expect(200);
        let id = me["id"].as_str().unwrap().to_owned();
        let refresh_token = tokens["refresh_token"].as_str().unwrap().to_owned();
        Self { client, id, email: email.to_owned(), password: password.to_owned(), refresh_token }
    }

    /// The same person in another session.
    pub async fn elsewhere(&self) -> Self {
        Self::log_in(&self.client.without_token(), &self.email, &self.password).await
    }

    /// Books with a key of its own.
    pub fn book(&self, slot: &Slot) -> Call {
        self.client.post("/v1/consultations", &booking(slot)).key(&unique("key"))
    }

    /// Books, and gives the consultation's id.
    pub async fn booked(&self, slot: &Slot) -> String {
        self.book(slot).patiently().await.expect(201)["id"].as_str().unwrap().to_owned()
    }

    /// Acts on a consultation: `cancel`, `start`.
    pub fn act(&self, consultation: &str, act: &str, body: &Value) -> Call {
        self.client.post(&format!("/v1/consultations/{consultation}/{act}"), body)
    }

    /// Reads a consultation.
    pub async fn consultation(&self, id: &str) -> Value {
        self.client.get(&format!("/v1/consultations/{id}")).patiently().await.expect(200)
    }
}

impl Stack {
    /// A new patient, signed in.
    pub async fn patient(&self, name: &str) -> Person {
        self.patient_at(name, None).await
    }

    /// A new patient with a telephone, or without, signed in.
    pub async fn patient_at(&self, name: &str, phone: Option<&str>) -> Person {
        let (email, password) = (format!("{}@patients.example", unique(name)), unique("a password"));
        let client = self.anonymous();
        let mut body = json!({ "email": email, "password": password, "full_name": name });
        if let Some(phone) = phone {
            body["phone"] = json!(phone);
        }
        client.post("/v1/auth/register", &body).patiently().await.expect(201);
        Person::log_in(&client, &email, &password).await
    }

    /// Many new patients, signed in.
    pub async fn patients(&self, count: usize) -> Vec<Person> {
        // More at once would only wait in the hasher's queue, which is bounded.
        stream::iter((0..count).map(|_| self.patient("patient"))).buffered(4).collect().await
    }

    /// An account for a doctor, made by the administrator, signed in.
    pub async fn doctor_account(&self, name: &str) -> Person {
        self.staff(name, "doctor").await
    }

    /// An account of any role but patient, signed in: made by the administrator, or an administrator by the operator.
    pub async fn staff(&self, name: &str, role: &str) -> Person {
        if role == "admin" {
            return self.new_admin().await;
        }
        let (email, password) = (format!("{}@{role}.example", unique(name)), unique("a password"));
        let body = json!({ "email": email, "password": password, "full_name": name, "role": role });
        self.admin().await.client.post("/v1/admin/accounts", &body).patiently().await.expect(201);
        Person::log_in(&self.anonymous(), &email, &password).await
    }

    /// A listed doctor with 48 slots of 20 minutes on each of the next days, tomorrow the first of them.
    pub async fn doctor(&self, days: i32) -> Doctor {
        let person = self.doctor_account("doctor").await;
        let made = person.client.post("/v1/doctors", &profile()).patiently().await.expect(201);
        let doctor = Doctor { person, id: made["id"].as_str().unwrap().to_owned() };
        let verify = format!("/v1/admin/doctors/{}/verify", doctor.id);
        self.admin().await.client.call("POST", &verify).patiently().await.expect(200);
        doctor.set_rules(&daily(1, days)).await;
        doctor
    }
}

/// A profile that can be made.
pub fn profile() -> Value {
    json!({
        "full_name": "Dr. Meera Rao", "system": "ayurveda", "council": "Kerala State Medical Councils",
        "registration_number": unique("KL"), "qualifications": ["BAMS"], "specializations": ["kayachikitsa"],
        "languages": ["ml", "en"], "modes": ["video", "audio"], "fee": { "amount": 49900, "currency": "INR" },
        "time_zone": "Asia/Kolkata"
    })
}

/// Rules for each day from so many days ahead, for so many days: 06:00 to 22:00 in slots of 20 minutes.
pub fn daily(ahead: i32, days: i32) -> Value {
    let first = Timestamp::now().to_zoned(TimeZone::get("Asia/Kolkata").unwrap()).date() + ahead.days();
    let last = first + (days - 1).days();
    let weekdays = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let rule = |weekday| {
        json!({
            "weekday": weekday, "start": "06:00", "end": "22:00", "slot_minutes": 20, "modes": ["video", "audio"],
            "valid_from": first.to_string(), "valid_until": last.to_string()
        })
    };
    json!(weekdays.map(rule))
}

impl Doctor {
    /// Replaces the working hours.
    pub async fn set_rules(&self, rules: &Value) -> Value {
        let path = format!("/v1/doctors/{}/availability", self.id);
        self.person.client.put(&path, &json!({ "rules": rules })).patiently().await.expect(200)
    }

    /// The open slots, as anybody sees them.
    pub async fn slots(&self) -> Vec<Slot> {
        let to = Timestamp::now() + jiff::SignedDuration::from_hours(24 * 60);
        let mut path = format!("/v1/doctors/{}/slots?limit=100&to={to}", self.id);
        let mut slots = Vec::new();
        loop {
            let page = self.person.client.get(&path).patiently().await.expect(200);
            slots.extend(page["items"].as_array().unwrap().iter().map(Slot::of));
            let Some(cursor) = page["next_cursor"].as_str() else { return slots };
            path = format!("/v1/doctors/{}/slots?limit=100&to={to}&cursor={cursor}", self.id);
        }
    }
}

impl Slot {
    fn of(slot: &Value) -> Self {
        let text = |name: &str| slot[name].as_str().unwrap().to_owned();
        Self {
            id: text("id"),
            doctor: text("doctor_id"),
            starts_at: text("starts_at").parse().unwrap(),
            ends_at: text("ends_at").parse().unwrap(),
        }
    }
}
