//! Opaque cursors, bound to the list and the filters they came from.

use super::{Fields, validate::is_storable};
use crate::problem::{Code, Problem};
use amrutam_booking::ports::{ByStart, DoctorKey};
use amrutam_clinical::model::ItemCode;
use amrutam_kernel::{DoctorId, Limit};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

/// A cursor holds one sort key: a name of 200 characters at most.
const MAX_CURSOR_CHARS: usize = 4 * 1024;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cursor<K> {
    /// Which list with which filters.
    of: String,
    /// The sort key of the last item seen.
    after: K,
}

/// The cursors of one list with given filters.
#[derive(Debug, Clone)]
pub(crate) struct Cursors {
    of: String,
}

/// A sort key that came back from a caller.
pub(crate) trait CursorKey: Serialize + DeserializeOwned {
    /// Whether the store can be asked with it.
    fn is_sane(&self) -> bool;
}

impl<Id: Serialize + DeserializeOwned> CursorKey for ByStart<Id> {
    fn is_sane(&self) -> bool {
        is_storable(self.0)
    }
}

/// A preparation's code.
impl CursorKey for ItemCode {
    fn is_sane(&self) -> bool {
        true
    }
}

/// The size of a checkpoint.
impl CursorKey for u64 {
    fn is_sane(&self) -> bool {
        i64::try_from(*self).is_ok()
    }
}

/// [`DoctorKey`] as it travels.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum DoctorCursor {
    Name(String, DoctorId),
    Fee(i64, DoctorId),
}

impl CursorKey for DoctorCursor {
    fn is_sane(&self) -> bool {
        match self {
            Self::Name(name, _) => !name.chars().any(char::is_control),
            Self::Fee(..) => true,
        }
    }
}

impl Cursors {
    /// `filters` are the values that make two lists different, limit and cursor not among them.
    pub(crate) fn new(list: &str, filters: &[Option<&str>]) -> Self {
        let mut hash = Sha256::new();
        for part in std::iter::once(Some(list)).chain(filters.iter().copied()) {
            // Absent is not empty, and no two lists share an encoding.
            hash.update(part.map_or(u64::MAX, |part| part.len() as u64).to_be_bytes());
            hash.update(part.unwrap_or_default().as_bytes());
        }
        let digest = hash.finalize();
        Self { of: URL_SAFE_NO_PAD.encode(digest.get(..9).unwrap_or_default()) }
    }

    /// The text of a key.
    pub(crate) fn text<K: CursorKey>(&self, after: K) -> String {
        URL_SAFE_NO_PAD.encode(super::json(&Cursor { of: self.of.clone(), after }))
    }

    /// The key of a text, if one was given.
    pub(crate) fn key<K: CursorKey>(&self, text: Option<&str>) -> Result<Option<K>, Problem> {
        let Some(text) = text else { return Ok(None) };
        let read = || {
            let json = URL_SAFE_NO_PAD.decode(Some(text).filter(|text| text.len() <= MAX_CURSOR_CHARS)?).ok()?;
            let cursor: Cursor<K> = serde_json::from_slice(&json).ok()?;
            (cursor.of == self.of && cursor.after.is_sane()).then_some(cursor.after)
        };
        read()
            .map(Some)
            .ok_or_else(|| Problem::new(Code::InvalidCursor).detail("not a cursor of this list with these filters"))
    }

    /// As [`Cursors::text`], of the directory.
    pub(crate) fn doctor_text(&self, after: DoctorKey) -> String {
        self.text(match after {
            DoctorKey::Name(name, id) => DoctorCursor::Name(name, id),
            DoctorKey::Fee(fee, id) => DoctorCursor::Fee(fee, id),
        })
    }

    /// As [`Cursors::key`], of the directory.
    pub(crate) fn doctor_key(&self, text: Option<&str>) -> Result<Option<DoctorKey>, Problem> {
        Ok(self.key(text)?.map(|key| match key {
            DoctorCursor::Name(name, id) => DoctorKey::Name(name, id),
            DoctorCursor::Fee(fee, id) => DoctorKey::Fee(fee, id),
        }))
    }
}

/// `limit`, checked.
#[derive(Debug)]
pub(crate) struct Paging;

impl Paging {
    /// 1 to 100, 20 when absent.
    pub(crate) fn limit(fields: &mut Fields, text: Option<&str>) -> Limit {
        let Some(text) = text else { return Limit::default() };
        let limit = text.parse().ok().and_then(Limit::new);
        if limit.is_none() {
            fields.refuse("/limit", "out_of_range", "1 to 100");
        }
        limit.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use amrutam_kernel::SlotId;

    fn key() -> ByStart<SlotId> {
        ("2026-11-23T03:30:00.123456Z".parse().unwrap(), "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap())
    }

    #[test]
    fn a_cursor_comes_back_as_it_went() {
        let cursors = Cursors::new("slots", &[Some("a"), None]);
        assert_eq!(cursors.key(Some(&cursors.text(key()))).unwrap(), Some(key()));
        assert_eq!(cursors.key::<ByStart<SlotId>>(None).unwrap(), None);
        let doctor = DoctorKey::Name("Vaidya Asha".into(), "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap());
        assert_eq!(cursors.doctor_key(Some(&cursors.doctor_text(doctor.clone()))).unwrap(), Some(doctor));
    }

    #[test]
    fn a_cursor_belongs_to_its_list_and_filters() {
        let text = Cursors::new("slots", &[Some("a"), None]).text(key());
        for other in [
            Cursors::new("slots", &[Some("b"), None]),
            Cursors::new("slots", &[None, Some("a")]),
            Cursors::new("slots", &[Some("a"), Some("")]),
            Cursors::new("consultations", &[Some("a"), None]),
        ] {
            assert_eq!(other.key::<ByStart<SlotId>>(Some(&text)).unwrap_err().code(), Code::InvalidCursor);
        }
    }

    #[test]
    fn rubbish_is_no_cursor() {
        let cursors = Cursors::new("doctors", &[]);
        let forged = |json: &str| URL_SAFE_NO_PAD.encode(json.replace("OF", &cursors.of));
        let long = "A".repeat(MAX_CURSOR_CHARS * 2);
        for text in [
            "",
            "x",
            "%%%",
            "e30",
            &long,
            &forged(r#"{"of":"OF","after":{"name":["a\u0000b","01890a5d-ac96-774b-bcce-b302099a8057"]}}"#),
            &forged(r#"{"of":"OF","after":{"name":["a","x"]}}"#),
            &forged(r#"{"of":"OF","after":{"name":["a","01890a5d-ac96-774b-bcce-b302099a8057"]},"x":1}"#),
        ] {
            assert_eq!(cursors.doctor_key(Some(text)).unwrap_err().code(), Code::InvalidCursor, "{text:.60}");
        }
        // A good one up to the limit, and something behind it.
        let good =
            r#"{"of":"OF","after":{"name":["a","01890a5d-ac96-774b-bcce-b302099a8057"]}}"#.replace("OF", &cursors.of);
        let spaced = |bytes: usize| URL_SAFE_NO_PAD.encode(format!("{good:<bytes$}"));
        let full = spaced(MAX_CURSOR_CHARS / 4 * 3);
        assert_eq!(full.len(), MAX_CURSOR_CHARS);
        assert!(cursors.doctor_key(Some(&full)).is_ok());
        assert_eq!(cursors.doctor_key(Some(&format!("{full}AAAA"))).unwrap_err().code(), Code::InvalidCursor);
        let far = forged(r#"{"of":"OF","after":["-009999-01-02T01:59:59Z","01890a5d-ac96-774b-bcce-b302099a8057"]}"#);
        assert!(cursors.key::<ByStart<SlotId>>(Some(&far)).is_err());
    }
}
