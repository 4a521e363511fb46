//! From texts to domain values, with every invalid one named.

use crate::problem::{Code, FieldError, Problem};
use amrutam_kernel::truncate_to_micros;
use jiff::{Timestamp, civil::Date};
use std::{borrow::Cow, str::FromStr};

/// Times outside are slips, and the database's calendar ends somewhere, too.
const YEARS: std::ops::RangeInclusive<i16> = 1900..=2200;

/// Collects invalid values, so that a caller hears of all of them at once.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    errors: Vec<FieldError>,
    location: Option<&'static str>,
}

impl Fields {
    /// Of a query string.
    pub(crate) fn of_query() -> Self {
        Self { errors: Vec::new(), location: Some("query") }
    }

    /// Names an invalid value.
    pub(crate) fn refuse(
        &mut self,
        pointer: impl Into<String>,
        code: impl Into<Cow<'static, str>>,
        detail: impl Into<Cow<'static, str>>,
    ) {
        self.errors.push(FieldError {
            pointer: pointer.into(),
            location: self.location,
            code: code.into(),
            detail: detail.into(),
        });
    }

    /// As [`Fields::refuse`], unless `holds`.
    pub(crate) fn check(&mut self, holds: bool, pointer: &str, code: &'static str, detail: &'static str) {
        if !holds {
            self.refuse(pointer, code, detail);
        }
    }

    /// A value whose type knows what is wrong with it.
    pub(crate) fn parse<T: FromStr>(&mut self, pointer: &str, code: &'static str, text: &str) -> Option<T>
    where
        T::Err: std::fmt::Display,
    {
        text.parse().map_err(|error: T::Err| self.refuse(pointer, code, error.to_string())).ok()
    }

    /// As [`Fields::parse`], of a value that need not be there.
    pub(crate) fn parse_optional<T: FromStr>(
        &mut self,
        pointer: &str,
        code: &'static str,
        text: Option<&str>,
    ) -> Option<Option<T>>
    where
        T::Err: std::fmt::Display,
    {
        text.map_or(Some(None), |text| self.parse(pointer, code, text).map(Some))
    }

    /// An id in canonical form.
    pub(crate) fn id<T: FromStr>(&mut self, pointer: &str, text: &str) -> Option<T>
    where
        T::Err: std::fmt::Display,
    {
        self.parse(pointer, "invalid_id", text)
    }

    /// One of the words of an enum.
    pub(crate) fn word<T: FromStr>(&mut self, pointer: &str, words: &str, text: &str) -> Option<T> {
        let parsed = text.parse().ok();
        if parsed.is_none() {
            self.refuse(pointer, "unknown_value", format!("one of {words}"));
        }
        parsed
    }

    /// RFC 3339 with an offset, to the microsecond.
    pub(crate) fn time(&mut self, pointer: &str, text: &str) -> Option<Timestamp> {
        // In a query string a bare plus is a space, and few clients escape it.
        let parsed = if self.location.is_some() { parse_time(&text.replace(' ', "+")) } else { parse_time(text) };
        if parsed.is_none() {
            self.refuse(
                pointer,
                "invalid_time",
                "an RFC 3339 time with offset, such as 2026-11-23T09:00:00+05:30, of 1900 to 2200",
            );
        }
        parsed
    }

    /// A calendar date.
    pub(crate) fn date(&mut self, pointer: &str, text: &str) -> Option<Date> {
        let plain = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
        let parsed = text.parse::<Date>().ok().filter(|date| plain && YEARS.contains(&date.year()));
        if parsed.is_none() {
            self.refuse(pointer, "invalid_date", "a date such as 2026-11-23, of 1900 to 2200");
        }
        parsed
    }

    /// An IANA zone, in the database's own spelling.
    pub(crate) fn time_zone(&mut self, pointer: &str, text: &str) -> Option<String> {
        let zone = jiff::tz::TimeZone::get(text).ok().and_then(|zone| zone.iana_name().map(str::to_owned));
        if zone.is_none() {
            self.refuse(pointer, "invalid_time_zone", "an IANA zone such as Asia/Kolkata");
        }
        zone
    }

    /// The problem, if there is one.
    pub(crate) fn finish(self) -> Result<(), Problem> {
        if self.errors.is_empty() { Ok(()) } else { Err(self.into_problem()) }
    }

    /// The problem.
    pub(crate) fn into_problem(self) -> Problem {
        let detail = match self.errors.as_slice() {
            [one] => format!("{}: {}", one.pointer, one.detail),
            errors => format!("{} values are invalid", errors.len()),
        };
        Problem::new(Code::ValidationFailed).detail(detail).errors(self.errors)
    }
}

/// Nothing but the RFC's form: jiff reads more.
fn parse_time(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let shaped = bytes.len() >= 20
        && bytes.get(4) == Some(&b'-')
        && bytes.get(7) == Some(&b'-')
        && matches!(bytes.get(10), Some(b'T' | b't'))
        && bytes.get(13) == Some(&b':')
        && bytes.get(16) == Some(&b':')
        && !text.contains('[');
    let at = text.parse::<Timestamp>().ok().filter(|_| shaped)?;
    let year = jiff::tz::TimeZone::UTC.to_datetime(at).year();
    YEARS.contains(&year).then(|| truncate_to_micros(at))
}

/// Whether a time can be stored.
pub(crate) fn is_storable(at: Timestamp) -> bool {
    YEARS.contains(&jiff::tz::TimeZone::UTC.to_datetime(at).year())
}

/// An id in a path. One that is no id names nothing, and is answered like one that names nothing.
pub(crate) fn path_id<T: FromStr>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| Code::NotFound.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339_with_an_offset() {
        for (text, expected) in [
            ("2026-11-23T09:00:00+05:30", "2026-11-23T03:30:00Z"),
            ("2026-11-23t03:30:00.123456789z", "2026-11-23T03:30:00.123456Z"),
        ] {
            assert_eq!(parse_time(text).map(|at| at.to_string()).as_deref(), Some(expected));
        }
        for bad in [
            "",
            "2026-11-23",
            "2026-11-23T09:00:00",
            "2026-11-23 09:00:00Z",
            "20261123T090000Z",
            "tomorrow",
            "2026-11-23T09:00:00+05:30[Asia/Kolkata]",
            "9999-01-01T00:00:00Z",
            "-009999-01-01T00:00:00Z",
            "2026-13-01T00:00:00Z",
        ] {
            assert_eq!(parse_time(bad), None, "{bad}");
        }
    }

    #[test]
    fn all_invalid_values_are_named() {
        let mut fields = Fields::default();
        assert_eq!(fields.id::<amrutam_kernel::SlotId>("/slot_id", "x"), None);
        assert_eq!(fields.date("/date_of_birth", "2026-02-30"), None);
        assert_eq!(fields.time_zone("/time_zone", "Mars/Olympus"), None);
        assert_eq!(fields.time_zone("/time_zone", "Asia/Kolkata").as_deref(), Some("Asia/Kolkata"));
        let problem = fields.finish().unwrap_err();
        let body: serde_json::Value = serde_json::from_str(&problem.render_for_tests()).unwrap();
        assert_eq!(body["errors"].as_array().map(Vec::len), Some(3));
        assert_eq!(body["code"], "validation_failed");
    }
}
