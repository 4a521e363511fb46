//! Finding a preparation by what somebody types.

use super::{Form, Formulary, FormularyItem, ItemCode, PrescribingList};
use amrutam_kernel::{Page, PageRequest};

/// Which preparations are looked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FormularyFilter {
    /// Every word of it begins or is inside a word of the code, a name or an ingredient; as typed, without diacritics if one likes.
    pub text: Option<String>,
    /// In this dosage form.
    pub form: Option<Form>,
    /// On this list.
    pub list: Option<PrescribingList>,
}

impl FormularyFilter {
    fn wants(&self, item: &FormularyItem, words: &[String]) -> bool {
        let named = || {
            let ingredients = item.key_ingredients.iter().map(String::as_str);
            let all = [item.code.as_str(), &item.name, &item.name_deva].into_iter().chain(ingredients);
            all.map(folded).collect::<Vec<_>>()
        };
        self.form.is_none_or(|form| item.form == form)
            && self.list.is_none_or(|list| item.list == list)
            && (words.is_empty() || {
                let named = named();
                words.iter().all(|word| named.iter().any(|name| name.contains(word)))
            })
    }
}

impl Formulary {
    /// A page of what is looked for, by code.
    pub fn search(&self, filter: &FormularyFilter, page: &PageRequest<ItemCode>) -> Page<FormularyItem, ItemCode> {
        let words: Vec<_> = filter.text.as_deref().unwrap_or_default().split_whitespace().map(folded).collect();
        let found = self.items().filter(|item| page.after.as_ref().is_none_or(|after| *after < item.code));
        let found = found.filter(|item| filter.wants(item, &words)).take(usize::from(page.limit.get()) + 1);
        Page::cut(found.cloned().collect(), page.limit, |item| item.code.clone())
    }
}

/// Small letters, without the diacritics of IAST.
pub(super) fn folded(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).map(plain).collect()
}

/// The letter that people type who have no IAST keyboard.
const fn plain(letter: char) -> char {
    match letter {
        'ā' => 'a',
        'ī' => 'i',
        'ū' => 'u',
        'ṛ' | 'ṝ' => 'r',
        'ḷ' | 'ḹ' => 'l',
        'ṅ' | 'ñ' | 'ṇ' => 'n',
        'ṭ' => 't',
        'ḍ' => 'd',
        'ś' | 'ṣ' => 's',
        'ṃ' | 'ṁ' => 'm',
        'ḥ' => 'h',
        other => other,
    }
}
