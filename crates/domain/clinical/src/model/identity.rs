//! That what is decided on is what is printed: an item's code, name and form speak of one preparation.

use super::{
    Candidate, Circumstances, Decision, Finding, Formulary, FormularyItem, PrescribedItem, Rule, RuleSet, decide,
    search::folded,
};

/// Decides on an item as it is written; nothing when it gives a code that the formulary does not have. What has a code is called as the
/// formulary calls it. What has none and is called like a preparation is decided as that one, or else has to say its code.
pub fn decide_item(
    rules: &RuleSet,
    formulary: &Formulary,
    item: &PrescribedItem,
    at: &Circumstances,
) -> Option<Decision> {
    let course = item.course.into();
    let finding = |rule, reason| Finding { rule, reason, source: rules.source(rule).to_owned(), unavailable: false };
    let Some(code) = &item.code else {
        let known = formulary.items().find(|row| row.form == item.form && is_called(row, &item.name));
        if let Some(known) = known {
            return Some(decide(rules, Candidate::Known(known), &course, at));
        }
        let decision = decide(rules, Candidate::Unknown, &course, at);
        return Some(match formulary.items().find(|row| is_mentioned(row, &item.name)) {
            Some(row) => {
                let reason = format!("it is called like {} ({}) of the formulary: give its code", row.code, row.name);
                decision.but_denied(vec![finding(Rule::ItemCode, reason)])
            }
            None => decision,
        });
    };
    let known = formulary.get(code)?;
    let mut denials = Vec::new();
    if !is_called(known, &item.name) {
        denials.push(finding(Rule::ItemName, format!("{code} is {} ({})", known.name, known.name_deva)));
    }
    if known.form != item.form {
        denials.push(finding(Rule::ItemForm, format!("{code} is made as {}", known.form)));
    }
    Some(decide(rules, Candidate::Known(known), &course, at).but_denied(denials))
}

fn is_called(row: &FormularyItem, name: &str) -> bool {
    [&row.name, &row.name_deva].iter().any(|own| words(own) == words(name) || run_together(own) == run_together(name))
}

/// Whether the words of the preparation's name stand in `text` among others.
fn is_mentioned(row: &FormularyItem, text: &str) -> bool {
    let words = words(text);
    let is_there = |own: &[String]| words.windows(own.len().max(1)).any(|some| some == own);
    is_called(row, text) || [&row.name, &row.name_deva].iter().any(|own| is_there(&self::words(own)))
}

/// All that tells one name from another, however it is spelled in Latin letters.
fn words(name: &str) -> Vec<String> {
    parts(name).iter().map(|part| transliterated(part)).filter(|word| !word.is_empty()).collect()
}

/// The same without regard to where words end.
fn run_together(name: &str) -> String {
    transliterated(&parts(name).concat())
}

fn parts(name: &str) -> Vec<String> {
    let folded = folded(name);
    let parts = folded.split(|letter: char| letter.is_whitespace() || letter.is_ascii_punctuation() || is_dash(letter));
    parts.map(str::to_owned).collect()
}

const fn is_dash(letter: char) -> bool {
    matches!(letter, '\u{2010}'..='\u{2015}' | '\u{ad}')
}

/// What stands between letters and is not seen: combining marks of Latin letters, joiners, spaces without width.
const fn is_unseen(letter: char) -> bool {
    matches!(letter, '\u{300}'..='\u{36f}' | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}')
}

/// One spelling for the usual ones: `churna`, `choorna` and `curna`; `asava` and `asav`; `vati` and `wati`.
fn transliterated(word: &str) -> String {
    let mut plain = String::with_capacity(word.len());
    for letter in word.replace("ee", "i").replace("oo", "u").chars().filter(|letter| !is_unseen(*letter)) {
        let letter = if letter == 'w' { 'v' } else { letter };
        let breath = letter == 'h' && plain.ends_with(|before: char| before.is_ascii_alphabetic() && !is_vowel(before));
        if !(breath || letter.is_ascii_alphabetic() && plain.ends_with(letter)) {
            plain.push(letter);
        }
    }
    let short = plain.strip_suffix('a').filter(|rest| rest.ends_with(|last: char| !is_vowel(last)));
    short.map(str::to_owned).unwrap_or(plain)
}

const fn is_vowel(letter: char) -> bool {
    matches!(letter, 'a' | 'e' | 'i' | 'o' | 'u')
}
