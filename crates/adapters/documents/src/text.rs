//! Fonts, runs of one script, and lines that fit.

use amrutam_clinical::ports::RenderError;
use krilla::text::Font;
use rustybuzz::{Face, UnicodeBuffer};

const LATIN: &[u8] = include_bytes!("../fonts/NotoSans-Regular.ttf");
const LATIN_BOLD: &[u8] = include_bytes!("../fonts/NotoSans-Bold.ttf");
const DEVANAGARI: &[u8] = include_bytes!("../fonts/NotoSansDevanagari-Regular.ttf");
const DEVANAGARI_BOLD: &[u8] = include_bytes!("../fonts/NotoSansDevanagari-Bold.ttf");

/// How heavy the letters are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    Regular,
    Bold,
}

struct Cut {
    font: Font,
    face: Face<'static>,
}

impl Cut {
    fn load(bytes: &'static [u8]) -> Result<Self, RenderError> {
        let broken = || RenderError("a font of this build can't be read".to_owned());
        let font = Font::new(bytes.into(), 0).ok_or_else(broken)?;
        Ok(Self { font, face: Face::from_slice(bytes, 0).ok_or_else(broken)? })
    }
}

/// The two scripts in two weights.
pub(crate) struct Fonts {
    latin: [Cut; 2],
    devanagari: [Cut; 2],
}

/// Text of one script.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Run<'a> {
    text: &'a str,
    devanagari: bool,
}

fn is_devanagari(c: char) -> bool {
    matches!(c, '\u{900}'..='\u{97f}' | '\u{a8e0}'..='\u{a8ff}' | '\u{1cd0}'..='\u{1cff}' | '\u{200c}' | '\u{200d}')
}

/// Cuts a text where its script changes; a space goes with what is before it.
fn runs(text: &str) -> Vec<Run<'_>> {
    let mut found: Vec<(usize, bool)> = Vec::new();
    for (at, c) in text.char_indices() {
        let devanagari = is_devanagari(c);
        let neutral = c == ' ';
        match found.last() {
            Some((_, last)) if *last == devanagari || neutral => {}
            _ => found.push((at, devanagari)),
        }
    }
    let ends = found.iter().skip(1).map(|(at, _)| *at).chain([text.len()]);
    let cut = |((start, devanagari), end): (&(usize, bool), usize)| {
        text.get(*start..end).map(|text| Run { text, devanagari: *devanagari })
    };
    found.iter().zip(ends).filter_map(cut).collect()
}

impl Fonts {
    pub(crate) fn load() -> Result<Self, RenderError> {
        Ok(Self {
            latin: [Cut::load(LATIN)?, Cut::load(LATIN_BOLD)?],
            devanagari: [Cut::load(DEVANAGARI)?, Cut::load(DEVANAGARI_BOLD)?],
        })
    }

    fn cut(&self, devanagari: bool, weight: Weight) -> &Cut {
        let [regular, bold] = if devanagari { &self.devanagari } else { &self.latin };
        match weight {
            Weight::Regular => regular,
            Weight::Bold => bold,
        }
    }

    /// How wide a run is at that size.
    fn advance(&self, run: &Run<'_>, weight: Weight, size: f32) -> Result<f32, RenderError> {
        let face = &self.cut(run.devanagari, weight).face;
        let mut buffer = UnicodeBuffer::new();
        buffer.push_str(run.text);
        buffer.guess_segment_properties();
        let shaped = rustybuzz::shape(face, &[], buffer);
        if let Some(missing) = shaped.glyph_infos().iter().find(|glyph| glyph.glyph_id == 0) {
            let place = usize::try_from(missing.cluster).unwrap_or_default();
            let letter = run.text.get(place..).and_then(|rest| rest.chars().next()).unwrap_or('\u{fffd}');
            return Err(RenderError(format!("no font has U+{:04X}", u32::from(letter))));
        }
        let units: i64 = shaped.glyph_positions().iter().map(|glyph| i64::from(glyph.x_advance)).sum();
        #[expect(clippy::cast_precision_loss, reason = "a line is a few thousand units wide")]
        let width = units as f32 * size / face.units_per_em() as f32;
        Ok(width)
    }

    /// Whether every word of it can be set, however heavy.
    pub(crate) fn has(&self, text: &str) -> bool {
        let set = |word| [Weight::Regular, Weight::Bold].iter().all(|weight| self.width(word, *weight, 1.0).is_ok());
        text.split_whitespace().all(set)
    }

    pub(crate) fn width(&self, text: &str, weight: Weight, size: f32) -> Result<f32, RenderError> {
        runs(text).iter().map(|run| self.advance(run, weight, size)).sum()
    }

    /// The runs of a line, each with its font and where it begins.
    pub(crate) fn placed<'a>(
        &self,
        text: &'a str,
        weight: Weight,
        size: f32,
    ) -> Result<Vec<(f32, Font, &'a str)>, RenderError> {
        let mut x = 0.0;
        let mut placed = Vec::new();
        for run in runs(text) {
            placed.push((x, self.cut(run.devanagari, weight).font.clone(), run.text));
            x += self.advance(&run, weight, size)?;
        }
        Ok(placed)
    }

    /// Lines no wider than `most`. A word that is wider stands alone and is cut.
    pub(crate) fn wrap(&self, text: &str, weight: Weight, size: f32, most: f32) -> Result<Vec<String>, RenderError> {
        let mut lines = Vec::new();
        for paragraph in text.lines() {
            let mut line = String::new();
            for word in paragraph.split_whitespace() {
                for piece in self.pieces(word, weight, size, most)? {
                    let longer = if line.is_empty() { piece.clone() } else { format!("{line} {piece}") };
                    if !line.is_empty() && self.width(&longer, weight, size)? > most {
                        lines.push(std::mem::replace(&mut line, piece));
                    } else {
                        line = longer;
                    }
                }
            }
            if !line.is_empty() {
                lines.push(line);
            }
        }
        Ok(lines)
    }

    fn pieces(&self, word: &str, weight: Weight, size: f32, most: f32) -> Result<Vec<String>, RenderError> {
        if self.width(word, weight, size)? <= most {
            return Ok(vec![word.to_owned()]);
        }
        let mut pieces = vec![String::new()];
        for letter in word.chars() {
            let Some(last) = pieces.last_mut() else { break };
            let longer = format!("{last}{letter}");
            // A mark stays with its letter.
            if !is_mark(letter) && self.width(&longer, weight, size)? > most && !last.is_empty() {
                pieces.push(letter.to_string());
            } else {
                *last = longer;
            }
        }
        Ok(pieces)
    }
}

fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{900}'..='\u{903}' | '\u{93a}'..='\u{94f}' | '\u{951}'..='\u{957}' | '\u{962}' | '\u{963}' | '\u{200c}' | '\u{200d}')
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_where_its_script_changes() {
        let text = "Triphalā चूर्ण 3 g त्रिफला";
        let cut: Vec<_> = runs(text).into_iter().map(|run| (run.text, run.devanagari)).collect();
        assert_eq!(cut, [("Triphalā ", false), ("चूर्ण ", true), ("3 g ", false), ("त्रिफला", true)]);
        assert_eq!(runs(""), []);
    }

    #[test]
    fn lines_fit_and_nothing_is_lost() {
        let fonts = Fonts::load().unwrap();
        let text = "to be taken with warm water, गुनगुने पानी के साथ, before food, and not with milk\nसात दिन";
        let lines = fonts.wrap(text, Weight::Regular, 10.0, 120.0).unwrap();
        assert!(lines.len() > 3, "{lines:?}");
        for line in &lines {
            assert!(fonts.width(line, Weight::Regular, 10.0).unwrap() <= 120.0, "{line}");
        }
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(&lines.join(" ")), words(text));
        let long = "x".repeat(200);
        let lines = fonts.wrap(&long, Weight::Bold, 10.0, 120.0).unwrap();
        assert_eq!(lines.concat(), long);
    }

    #[test]
    fn devanagari_is_shaped() {
        let fonts = Fonts::load().unwrap();
        let run = |text: &str| {
            let mut buffer = UnicodeBuffer::new();
            buffer.push_str(text);
            rustybuzz::shape(&fonts.devanagari[0].face, &[], buffer).glyph_infos().len()
        };
        assert!(run("क्ष") < "क्ष".chars().count(), "a conjunct is one glyph");
    }

    #[test]
    fn a_letter_without_a_glyph_is_an_error() {
        let fonts = Fonts::load().unwrap();
        let error = fonts.width("മീര", Weight::Regular, 10.0).unwrap_err();
        assert_eq!(error, RenderError("no font has U+0D2E".to_owned()));
    }
}
