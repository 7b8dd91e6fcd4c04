//! The page of relations: the picture, and the same in words and a table for who cannot see it.

use crate::draw::paint;
use crate::picture;
use crate::words::{clean, escape, units};
use osd_findings::Relations;
use std::fmt::Write;

const STYLE: &str = "body{font:15px/1.5 'DejaVu Sans',Verdana,sans-serif;color:#181c21;max-width:1600px;margin:0 auto;padding:0 16px}\
svg{width:100%;height:auto}table{border-collapse:collapse;margin:8px 0 24px}td,th{padding:3px 14px 3px 0;text-align:left;\
border-bottom:1px solid #e4e7eb;vertical-align:top}th{color:#565e68;font-weight:normal}td.n{text-align:right;font-variant-numeric:tabular-nums}\
summary{cursor:pointer;margin:16px 0 8px}.m{color:#565e68}";

/// The page as one file that needs nothing else.
pub(crate) fn page(r: &Relations) -> String {
    let drawn = picture::relations(r);
    let svg = paint::svg(&drawn.scene, picture::WIDTH as u32, drawn.height as u32, &clean(&r.sentence, 400));
    let text = |t: &str| escape(&clean(t, 600));
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>Relations: {0}</title><style>{STYLE}</style></head><body>\n{svg}\n<h2>In words</h2>\n<p>{0}.</p>\n",
        text(&r.sentence)
    );
    let span_s = units::since(r.start_ns, r.end_ns);
    for e in &r.episodes {
        let (from, to) = (units::since(r.start_ns, e.start_ns), units::since(r.start_ns, e.end_ns));
        let _ = write!(
            out,
            "<h3>{}. {} to {} <span class=\"m\">{} UTC</span></h3>\n<p>{}.</p>\n",
            e.id,
            units::moment(from, span_s),
            units::moment(to, span_s),
            units::utc(e.start_ns),
            text(&e.sentence)
        );
        if !e.pairs.is_empty() {
            out += "<table><tr><th>relation</th><th>usual fitness</th><th>lowest</th><th>times the threshold</th><th>least fit move</th></tr>\n";
        }
        for p in &e.pairs {
            let _ = writeln!(
                out,
                "<tr><td>{} and {}</td><td class=\"n\">{:.2}</td><td class=\"n\">{:.2}</td><td class=\"n\">{}</td><td>{}</td></tr>",
                text(&p.a),
                text(&p.b),
                p.usual,
                p.lowest,
                units::digits(p.severity),
                text(&p.sentence)
            );
        }
        if !e.pairs.is_empty() {
            out += "</table>\n";
        }
    }
    let _ = writeln!(out, "<details><summary>All {} relations</summary><table>", r.pairs.len());
    out += "<tr><th>relation</th><th>rank correlation</th><th>information</th><th>usual fitness</th><th>lowest here</th></tr>\n";
    let name = |i: u32| r.metrics.get(i as usize).map_or("", |m| m.name.as_str());
    for p in &r.pairs {
        let lowest = p.lowest.map_or_else(|| "–".to_owned(), |l| format!("{l:.2}"));
        let _ = writeln!(
            out,
            "<tr><td>{} and {}</td><td class=\"n\">{:.2}</td><td class=\"n\">{:.2}</td><td class=\"n\">{:.2}</td><td class=\"n\">{lowest}</td></tr>",
            text(name(p.a)),
            text(name(p.b)),
            p.correlation,
            p.information,
            p.usual
        );
    }
    out += "</table></details>\n";
    for note in &r.notes {
        let _ = writeln!(out, "<p class=\"m\">Note: {}</p>", text(note));
    }
    out + "</body></html>\n"
}
