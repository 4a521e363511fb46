//! Blocks become lines, lines become pages. All lengths are in points.

use crate::{
    content::{Block, shown},
    text::{Fonts, Weight},
};
use amrutam_clinical::{
    model::{Prescription, SignedFacts},
    ports::RenderError,
};
use jiff::tz::TimeZone;
use krilla::{
    Document, SerializeSettings,
    color::luma,
    geom::{PathBuilder, Point, Rect},
    metadata::{DateTime, Metadata},
    num::NormalizedF32,
    page::PageSettings,
    paint::{Fill, FillRule},
    surface::Surface,
    text::TextDirection,
};
use qrcode::{Color, EcLevel, QrCode};

const WIDTH: f32 = 595.0;
const HEIGHT: f32 = 842.0;
const MARGIN: f32 = 48.0;
/// What stands at the foot of each page.
const FOOT: f32 = 40.0;
/// Where the values of fields begin.
const COLUMN: f32 = 96.0;
const QR_SIDE: f32 = 150.0;
const SIZE: f32 = 9.5;

struct Line {
    x: f32,
    size: f32,
    weight: Weight,
    text: String,
    /// Room below the line's top.
    height: f32,
    /// A field's name, beside it.
    name: Option<&'static str>,
}

pub(crate) struct Layout<'a> {
    fonts: &'a Fonts,
    footer: String,
    metadata: Metadata,
}

fn fails(why: impl std::fmt::Debug) -> RenderError {
    RenderError(format!("the PDF library refuses: {why:?}"))
}

impl<'a> Layout<'a> {
    pub(crate) fn new(fonts: &'a Fonts, prescription: &Prescription, facts: &SignedFacts, zone: &TimeZone) -> Self {
        let at = facts.signed_at.to_zoned(TimeZone::UTC);
        let part = |number: i8| u8::try_from(number).unwrap_or_default();
        let date = DateTime::new(u16::try_from(at.year()).unwrap_or_default())
            .month(part(at.month()))
            .day(part(at.day()))
            .hour(part(at.hour()))
            .minute(part(at.minute()))
            .second(part(at.second()))
            .utc_offset_hour(0)
            .utc_offset_minute(0);
        let metadata = Metadata::new()
            .title(format!("Prescription {}", prescription.id))
            .creator("Amrutam".to_owned())
            .language("en".to_owned())
            .creation_date(date)
            .document_id(prescription.id.to_string());
        let footer = format!(
            "Prescription {} · {} · issued on teleconsultation · {}",
            prescription.number,
            facts.signatory.registration,
            shown(facts.signed_at, zone)
        );
        Self { fonts, footer, metadata }
    }

    pub(crate) fn render(self, blocks: &[Block], qr: &str, check: &str) -> Result<Vec<u8>, RenderError> {
        let mut lines = Vec::new();
        for block in blocks {
            self.lines_of(block, &mut lines)?;
        }
        let mut pages: Vec<Vec<(f32, Line)>> = vec![Vec::new()];
        let mut y = MARGIN;
        for line in lines {
            if y + line.height > HEIGHT - MARGIN - FOOT {
                pages.push(Vec::new());
                y = MARGIN;
            }
            let height = line.height;
            if let Some(page) = pages.last_mut() {
                page.push((y, line));
            }
            y += height;
        }
        if y + QR_SIDE + 24.0 > HEIGHT - MARGIN - FOOT {
            pages.push(Vec::new());
            y = MARGIN;
        }
        self.draw(&pages, y + 12.0, qr, check)
    }

    fn lines_of(&self, block: &Block, lines: &mut Vec<Line>) -> Result<(), RenderError> {
        let (x, size, weight, text, name) = match block {
            Block::Title(text) => (MARGIN, 16.0, Weight::Bold, text, None),
            Block::Heading(text) => (MARGIN, 11.0, Weight::Bold, text, None),
            Block::Item(text) => (MARGIN, SIZE, Weight::Bold, text, None),
            Block::Caution(text) => (MARGIN + 14.0, SIZE, Weight::Bold, text, None),
            Block::Line(text) => (MARGIN + 14.0, SIZE, Weight::Regular, text, None),
            Block::Field(name, text) => (MARGIN + COLUMN, SIZE, Weight::Regular, text, Some(*name)),
            Block::Gap => {
                let text = String::new();
                lines.push(Line { x: MARGIN, size: SIZE, weight: Weight::Regular, text, height: 8.0, name: None });
                return Ok(());
            }
        };
        if matches!(block, Block::Heading(_)) {
            self.lines_of(&Block::Gap, lines)?;
        }
        let wrapped = self.fonts.wrap(text, weight, size, WIDTH - MARGIN - x)?;
        for (n, text) in wrapped.into_iter().enumerate() {
            // Devanagari stands high and hangs low.
            lines.push(Line { x, size, weight, text, height: size * 1.5, name: name.filter(|_| n == 0) });
        }
        Ok(())
    }

    fn draw(self, pages: &[Vec<(f32, Line)>], qr_top: f32, qr: &str, check: &str) -> Result<Vec<u8>, RenderError> {
        let settings = SerializeSettings { enable_tagging: false, ..SerializeSettings::default() };
        let mut document = Document::new_with(settings);
        document.set_metadata(self.metadata.clone());
        let size = PageSettings::from_wh(WIDTH, HEIGHT).ok_or_else(|| fails("the size of a page"))?;
        for (index, page) in pages.iter().enumerate() {
            let mut sheet = document.start_page_with(size.clone());
            let mut surface = sheet.surface();
            for (y, line) in page {
                let baseline = y + line.size * 1.1;
                if let Some(name) = line.name {
                    self.write(&mut surface, MARGIN, baseline, line.size, Weight::Bold, name)?;
                }
                self.write(&mut surface, line.x, baseline, line.size, line.weight, &line.text)?;
            }
            if index + 1 == pages.len() {
                self.draw_check(&mut surface, qr_top, qr, check)?;
            }
            let foot = HEIGHT - MARGIN;
            self.write(&mut surface, MARGIN, foot, 7.5, Weight::Regular, &self.footer)?;
            let number = format!("{} / {}", index + 1, pages.len());
            self.write(&mut surface, WIDTH - MARGIN - 24.0, foot, 7.5, Weight::Regular, &number)?;
            surface.finish();
            sheet.finish();
        }
        document.finish().map_err(fails)
    }

    fn write(
        &self,
        surface: &mut Surface<'_>,
        x: f32,
        baseline: f32,
        size: f32,
        weight: Weight,
        text: &str,
    ) -> Result<(), RenderError> {
        surface.set_fill(Some(black()));
        for (offset, font, run) in self.fonts.placed(text, weight, size)? {
            let start = Point::from_xy(x + offset, baseline);
            surface.draw_text(start, font, size, run, false, TextDirection::LeftToRight);
        }
        Ok(())
    }

    /// `check` is what the code stands at the end of.
    fn draw_check(&self, surface: &mut Surface<'_>, top: f32, qr: &str, check: &str) -> Result<(), RenderError> {
        let code = QrCode::with_error_correction_level(qr.as_bytes(), EcLevel::L).map_err(fails)?;
        let modules = code.width();
        #[expect(clippy::cast_precision_loss, reason = "at most 177 modules")]
        let side = QR_SIDE / modules as f32;
        let mut path = PathBuilder::new();
        for (n, _) in code.to_colors().iter().enumerate().filter(|(_, color)| **color == Color::Dark) {
            #[expect(clippy::cast_precision_loss, reason = "at most 177 modules")]
            let (x, y) = ((n % modules) as f32 * side, (n / modules) as f32 * side);
            let square = Rect::from_xywh(MARGIN + x, top + y, side, side).ok_or_else(|| fails("a module"))?;
            path.push_rect(square);
        }
        if let Some(path) = path.finish() {
            surface.set_fill(Some(black()));
            surface.draw_path(&path);
        }
        let x = MARGIN + QR_SIDE + 16.0;
        // On a line of its own, so that nobody types half of it.
        let (address, code) = check.rsplit_once('/').unwrap_or(("", check));
        let told = [
            "Verify this prescription / इस चिकित्सा पत्र की जाँच करें",
            address,
            code,
            "The code also carries a signed payload: it can be checked offline against the published keys.",
        ];
        let mut y = top + 12.0;
        for text in told {
            for line in self.fonts.wrap(text, Weight::Regular, 8.5, WIDTH - MARGIN - x)? {
                self.write(surface, x, y, 8.5, Weight::Regular, &line)?;
                y += 13.0;
            }
        }
        Ok(())
    }
}

fn black() -> Fill {
    Fill { paint: luma::Color::black().into(), opacity: NormalizedF32::ONE, rule: FillRule::default() }
}
