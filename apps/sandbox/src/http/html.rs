//! Pages: plain HTML, no script, nothing from the network.

use std::fmt;

use actix_web::HttpResponse;
use actix_web::http::header;

const STYLE: &str = "body{font:16px/1.4 sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem}\
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #ccc;\
vertical-align:top}pre{white-space:pre-wrap;overflow-wrap:anywhere;background:#f4f4f4;padding:1rem}\
.note{background:#fff3cd;padding:.5rem .8rem}button{font:inherit;padding:.5rem 1rem;margin-right:.5rem}";

/// A page may use its own style, post to where it came from, and nothing else, whatever a text smuggles in.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'";

/// A whole page around `body`, which is HTML; `note` is said on top.
pub(crate) fn document(title: &str, note: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>{} - Amrutam sandbox</title>\
         <style>{STYLE}</style></head>\n<body>\n\
         <p class=\"note\">{}</p>\n{body}</body>\n</html>\n",
        Text(title),
        Text(note)
    )
}

pub(crate) fn page(body: String) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(body)
}

/// Text that stays text in HTML, in an element and in a quoted attribute.
pub(crate) struct Text<'a>(pub(crate) &'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}
