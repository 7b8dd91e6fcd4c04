//! The page as one self-contained HTML file: words and tables written here, charts drawn by the
//! scripts in `assets/` from the data embedded beside them. Every string is escaped here and
//! nowhere else.

use crate::draw::paint;
use crate::picture;
use crate::view::{CALL_COLUMNS, Card, Difference, Panel, View, thin};
use crate::words::units;
use crate::words::{command, escape};
use osd_findings::Findings;
use serde_json::{Value, json};
use std::fmt::Write as _;

const SKELETON: &str = include_str!("../assets/page.html");
const CSS: &str = include_str!("../assets/page.css");
const SCRIPTS: [&str; 3] =
    [include_str!("../assets/format.js"), include_str!("../assets/charts.js"), include_str!("../assets/page.js")];
/// Columns to which a long series is thinned before it is embedded: four points each.
const EMBEDDED_COLUMNS: usize = 5_000;

pub(crate) fn page(view: &View, findings: &Findings) -> String {
    let charts = picture::charts(view);
    let title = format!("Charts of {}", view.title);
    let note = match (&view.left_out, view.cards.len()) {
        (Some(left_out), _) => left_out.as_str(),
        (None, 0) => "none",
        (None, _) => "in time order",
    };
    fill(SKELETON, |name| match name {
        "what" => "incident report".into(),
        "chips" => chips(view),
        "windows_title" => "Windows".into(),
        "figures" => figures(view),
        "static" => paint::svg(&charts.scene, picture::WIDTH as u32, charts.height as u32, &title),
        "groups" => groups(view),
        "windows_note" => escape(note),
        "windows" => windows(view),
        "data" => in_script(&data(view, findings.recording.interval_ns as f64 / 1e9)),
        name => of_every_page(view, name),
    })
}

/// The page of a comparison: the same skeleton, with a table in the place of windows.
pub(crate) fn comparison(d: &Difference) -> String {
    let view = &d.view;
    let charts = picture::both(d);
    let note = match (d.rows.len(), d.left_out) {
        (0, _) => "nothing".to_owned(),
        (_, 0) => "by kind, the most telling first".to_owned(),
        (_, n) => format!("by kind, the most telling first; {n} more in diff.json"),
    };
    // Two lines a panel, of which a reader wants to know where they part: intervals are as far apart as points.
    let interval =
        view.panels.iter().flat_map(|p| &p.lines).find_map(|l| Some(l.points.get(1)?.0 - l.points.first()?.0));
    fill(SKELETON, |name| match name {
        "what" => "comparison".into(),
        "figures" => view.panels.iter().fold(String::new(), |mut out, panel| {
            panel_figure(&mut out, view, panel);
            out
        }),
        "static" => paint::svg(&charts.scene, picture::WIDTH as u32, charts.height as u32, "Metrics of both sides"),
        "windows_title" => "What differs".into(),
        "windows_note" => escape(&note),
        "windows" => changes(d),
        "data" => in_script(&data(view, interval.unwrap_or(0.1))),
        name => of_every_page(view, name),
    })
}

fn of_every_page(view: &View, name: &str) -> String {
    match name {
        "title" => escape(&view.title),
        "command" => escape(command(&view.title)),
        "css" => CSS.trim_end().into(),
        "when" => escape(&view.when),
        "origin" => escape(&view.origin),
        "verdict" => escape(&view.verdict),
        "tiles" => tiles(view),
        "notes" => notes(view),
        "script" => SCRIPTS.concat(),
        _ => String::new(),
    }
}

fn changes(d: &Difference) -> String {
    if d.rows.is_empty() {
        return format!("<p class=\"none\">{}</p>", escape(&d.view.verdict));
    }
    let mut out = String::from("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"What differs\">");
    for rows in d.rows.chunk_by(|a, b| a.about == b.about) {
        let _ = write!(
            out,
            "<table class=\"changes\"><thead><tr><th scope=\"col\">{}</th><th scope=\"col\">number</th><th \
             scope=\"col\">before</th><th scope=\"col\">after</th><th scope=\"col\">after / before [95 %]</th><th scope=\"col\">p, \
             corrected</th></tr></thead><tbody>",
            rows[0].about
        );
        for row in rows {
            let _ = write!(out, "<tr><th scope=\"row\">{}</th>", escape(&row.name));
            for cell in [&row.quantity, &row.before, &row.after, &row.ratio, &row.p] {
                let _ = write!(out, "<td>{}</td>", escape(cell));
            }
            out.push_str("</tr>");
        }
        out.push_str("</tbody></table>\n");
    }
    out + "</div>"
}

/// `skeleton` with each `{{name}}` replaced, in one pass: what is filled in is not looked at again.
fn fill(skeleton: &str, value: impl Fn(&str) -> String) -> String {
    let mut parts = skeleton.split("{{");
    let mut page = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once("}}").unwrap_or((part, ""));
        page.push_str(&value(name));
        page.push_str(rest);
    }
    page
}

/// JSON that no HTML parser can take for markup.
fn in_script(value: &Value) -> String {
    let text = value.to_string();
    text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

fn tiles(view: &View) -> String {
    view.tiles.iter().fold(String::new(), |mut out, tile| {
        let (value, name, note) = (escape(&tile.value), escape(&tile.name), escape(&tile.note));
        let _ =
            writeln!(out, "<div><dt>{name}</dt><dd class=\"value\">{value}</dd><dd class=\"note\">{note}</dd></div>");
        out
    })
}

fn chips(view: &View) -> String {
    view.cards.iter().fold(String::new(), |mut out, card| {
        let (id, pattern) = (card.id, escape(&crate::words::clean(&card.pattern, 28)));
        let _ = write!(
            out,
            "<button type=\"button\" class=\"g{}\" data-window=\"{id}\" aria-label=\"Zoom to window {id}: {pattern}\">\
             <span class=\"number\">{id}</span> {pattern}</button>",
            card.color
        );
        out
    })
}

fn figures(view: &View) -> String {
    let mut out = String::new();
    for panel in view.panels.iter().chain([&view.runq]) {
        panel_figure(&mut out, view, panel);
    }
    let coverage = escape(&view.coverage);
    let losses: Vec<_> = view.losses.iter().take(5).map(|l| escape(&l.text)).collect();
    let losses = if losses.is_empty() { coverage.clone() } else { losses.join("; ") };
    let _ = writeln!(
        out,
        "<figure class=\"chart\" id=\"fig-loss\"><figcaption><b>Event coverage</b> <span>share of events kept as rows; counts \
         stay exact</span> <output></output><span class=\"summary\">{coverage}</span></figcaption>\
         <div class=\"plot\" tabindex=\"0\" role=\"img\" aria-label=\"Event coverage over time: {losses}\"></div></figure>"
    );
    let names = escape(&view.heat.names.join(", "));
    let _ = writeln!(
        out,
        "<figure class=\"chart\" id=\"fig-heatmap\"><figcaption><b>Busiest system calls</b> <span>calls/s, logarithmic; blank: \
         none</span> <output></output></figcaption><div class=\"colorbar\" aria-hidden=\"true\"></div>\
         <div class=\"plot\" tabindex=\"0\" role=\"img\" aria-label=\"Rates of system calls over time: {names}\"></div></figure>"
    );
    out
}

fn panel_figure(out: &mut String, view: &View, panel: &Panel) {
    let (id, title) = (escape(&panel.id), escape(&panel.title));
    let unit = escape(&units::axis_unit(&panel.unit));
    let mut keys = String::new();
    let mut summaries = Vec::new();
    for (i, line) in panel.lines.iter().enumerate() {
        let name = if panel.lines.len() > 1 {
            format!("<i class=\"k{}\"></i>{}", i % 4, escape(&line.name))
        } else {
            "".into()
        };
        let _ = write!(keys, "<span class=\"key\">{name} <output></output></span>");
        let mut values: Vec<f64> = line.points.iter().filter_map(|p| p.1).collect();
        values.sort_by(f64::total_cmp);
        if let Some(max) = values.last() {
            let of = if panel.lines.len() > 1 { format!("{}: ", line.name) } else { String::new() };
            let median = units::quantity(values[values.len() / 2], &panel.unit);
            summaries.push(format!("{of}median {median}, max {}", units::quantity(*max, &panel.unit)));
        }
    }
    let summary = escape(&if summaries.is_empty() { "not recorded".to_owned() } else { summaries.join("; ") });
    let deviating: Vec<_> = view.cards.iter().filter(|c| view.deviates(panel, c)).map(|c| c.id.to_string()).collect();
    let windows = match deviating.len() {
        0 => String::new(),
        _ => format!(". Deviates in window {}", deviating.join(", ")),
    };
    let _ = writeln!(
        out,
        "<figure class=\"chart\" id=\"fig-{id}\"><figcaption><b>{title}</b> <span>{unit}</span> {keys}\
         <span class=\"summary\">{summary}</span></figcaption><div class=\"plot\" tabindex=\"0\" role=\"img\" \
         aria-label=\"{title}, {unit}, over {}: {summary}{windows}.\"></div></figure>",
        units::span(view.span_s)
    );
}

fn groups(view: &View) -> String {
    if view.groups.is_empty() {
        return String::new();
    }
    let more = match view.groups_left_out {
        0 => String::new(),
        n => format!("; {n} more in findings.json"),
    };
    let mut out = format!(
        "<section id=\"groups\" aria-label=\"Groups of windows\">\n<h2>Groups <small>windows that are alike{more}</small></h2>\n"
    );
    for group in &view.groups {
        let windows = group.windows.iter().fold(String::new(), |mut out, (id, has_card)| {
            let _ = match has_card {
                true => write!(
                    out,
                    "<button type=\"button\" data-window=\"{id}\" aria-label=\"Zoom to window {id}\"><span \
                     class=\"number\">{id}</span></button>"
                ),
                false => write!(out, "<span>{id}</span>"),
            };
            out
        });
        let _ = writeln!(
            out,
            "<div class=\"group g{}\"><b class=\"number\">{}</b><p>{}</p><div class=\"members\">{windows}</div><small>{}</small></div>",
            group.color,
            escape(&group.name),
            escape(&group.sentence),
            escape(&group.exemplar)
        );
    }
    out.push_str("</section>\n");
    out
}

fn windows(view: &View) -> String {
    if view.cards.is_empty() {
        return format!("<p class=\"none\">{}</p>", escape(&view.verdict));
    }
    let class = if view.cards.len() == 1 { "cards one" } else { "cards" };
    let cards: String = view.cards.iter().map(article).collect();
    format!("<div class=\"{class}\">\n{cards}</div>")
}

fn article(card: &Card) -> String {
    let id = card.id;
    let mut out = format!(
        "<article id=\"w{id}\" class=\"g{}\"><header><a class=\"number\" href=\"#w{id}\" title=\"Link to this window\">{id}</a><h3>{}</h3>\
         <button type=\"button\" class=\"show\" data-window=\"{id}\">Show in charts</button>\
         <button type=\"button\" class=\"copy\" data-copy=\"{id}\">Copy as text</button><p>{} · {}</p></header>\n\
         <p class=\"sentence\">{}</p>\n",
        card.color,
        escape(&card.pattern),
        escape(&card.when),
        escape(&card.strength),
        escape(&card.sentence)
    );
    for detail in &card.details {
        let _ = writeln!(out, "<p class=\"detail\">{}</p>", escape(detail));
    }
    let shifts: String = card.shifts.iter().map(|s| format!("<span>{}</span> ", escape(s))).collect();
    let _ = writeln!(out, "<p class=\"shifts\">{shifts}</p>");
    calls(&mut out, card);
    for (head, lines) in [("Flows", &card.flows), ("Errors", &card.errors), ("New processes", &card.processes)] {
        if !lines.is_empty() {
            let items: String = lines.iter().map(|line| format!("<li>{}</li>", escape(line))).collect();
            let _ = writeln!(out, "<h4>{head}</h4><ul>{items}</ul>");
        }
    }
    sequence(&mut out, card);
    if let Some(flame) = &card.flame {
        let drawn = picture::flame(flame);
        let svg = paint::svg(&drawn.scene, picture::WIDTH as u32, drawn.height as u32, &flame.title);
        let title = escape(&flame.title);
        let _ = writeln!(
            out,
            "<div class=\"scroll flame\" tabindex=\"0\" role=\"region\" aria-label=\"{title}\">{svg}</div>"
        );
    }
    out.push_str("</article>\n");
    out
}

fn calls(out: &mut String, card: &Card) {
    if card.calls.is_empty() {
        return;
    }
    let more = match card.calls_left_out {
        0 => String::new(),
        n => format!("{n} more in findings.json; "),
    };
    let shown: Vec<usize> = (0..CALL_COLUMNS.len()).filter(|c| *c < 3 || card.has(*c)).collect();
    let heads: String = shown.iter().map(|c| format!("<th scope=\"col\">{}</th>", CALL_COLUMNS[*c])).collect();
    let _ = write!(
        out,
        "<h4 id=\"calls-{0}\">What changed <span class=\"basis\">{more}{1}</span></h4><div class=\"scroll\" tabindex=\"0\" \
         role=\"region\" aria-labelledby=\"calls-{0}\"><table aria-labelledby=\"calls-{0}\"><thead><tr><th \
         scope=\"col\">call</th>{heads}</tr></thead><tbody>",
        card.id,
        escape(&card.basis)
    );
    for row in &card.calls {
        let _ = write!(out, "<tr><th scope=\"row\">{}</th>", escape(&row.call));
        for c in &shown {
            let cell = escape(&row.cells[*c]);
            let _ = match c {
                2 => {
                    let fall = if row.share < 0.0 { " fall" } else { "" };
                    let part = row.share.abs() * 100.0;
                    write!(out, "<td class=\"share{fall}\" style=\"--part:{part:.1}%\">{cell}</td>")
                }
                _ => write!(out, "<td>{cell}</td>"),
            };
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table></div>\n");
}

fn sequence(out: &mut String, card: &Card) {
    if card.sequence.is_empty() {
        return;
    }
    let _ = write!(
        out,
        "<h4 id=\"first-{0}\">First calls <span class=\"basis\">of {1}, its busiest thread</span></h4><div class=\"scroll \
         sequence\" tabindex=\"0\" role=\"region\" aria-labelledby=\"first-{0}\"><table aria-labelledby=\"first-{0}\"><thead><tr>\
         <th scope=\"col\">after</th><th scope=\"col\">call</th><th scope=\"col\">object</th><th scope=\"col\">result</th><th \
         scope=\"col\">took</th></tr></thead><tbody>",
        card.id,
        escape(&card.thread)
    );
    for row in &card.sequence {
        let class = if row.result.starts_with('E') { " class=\"failed\"" } else { "" };
        let result = if row.result.is_empty() { String::new() } else { format!("= {}", escape(&row.result)) };
        let _ = write!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td{class}>{result}</td><td>{}</td></tr>",
            escape(&row.offset),
            escape(&row.call),
            escape(&row.object),
            escape(&row.duration)
        );
    }
    out.push_str("</tbody></table></div>\n");
}

fn notes(view: &View) -> String {
    view.notes.iter().fold(String::new(), |mut out, (head, text)| {
        let _ = writeln!(out, "<dt>{}</dt><dd>{}</dd>", escape(head), escape(text));
        out
    })
}

/// Five significant digits: more than a screen shows, a third of the bytes.
fn short(value: f64) -> Value {
    format!("{value:.4e}")
        .parse::<f64>()
        .map_or(Value::Null, |v| if v == v.trunc() && v.abs() < 1e15 { json!(v as i64) } else { json!(v) })
}

fn millis(at_s: f64) -> Value {
    json!((at_s * 1e3).round() / 1e3)
}

fn data(view: &View, interval_s: f64) -> Value {
    // Most series share their times: each set is embedded once.
    let mut times: Vec<Value> = Vec::new();
    let mut panels = Vec::new();
    for panel in view.panels.iter().chain([&view.runq]) {
        let lines: Vec<Value> = panel
            .lines
            .iter()
            .map(|line| {
                let points = thin(&line.points, view.span_s, EMBEDDED_COLUMNS);
                let at = Value::Array(points.iter().map(|p| millis(p.0)).collect());
                let index = times.iter().position(|t| *t == at).unwrap_or_else(|| {
                    times.push(at);
                    times.len() - 1
                });
                let values: Vec<Value> = points.iter().map(|p| p.1.map_or(Value::Null, short)).collect();
                json!({ "name": line.name, "t": index, "v": values })
            })
            .collect();
        panels.push(json!({ "id": panel.id, "title": panel.title, "unit": panel.unit, "lines": lines }));
    }
    let all: Vec<&Panel> = view.panels.iter().chain([&view.runq]).collect();
    let windows = view.cards.iter().map(|card| {
        let ids: Vec<&str> = all.iter().filter(|p| view.deviates(p, card)).map(|p| p.id.as_str()).collect();
        json!({
            "id": card.id, "from": card.from_s, "to": card.to_s, "again": card.again_s, "pattern": card.pattern, "panels": ids,
            "color": card.color,
        })
    });
    let labels = view.labels.iter().map(|l| json!({ "from": l.from_s, "to": l.to_s, "name": l.name, "note": l.note }));
    let losses = view.losses.iter().map(|l| json!({ "from": l.from_s, "to": l.to_s, "kept": l.kept, "text": l.text }));
    let heat = &view.heat;
    let rows = heat.per_s.iter().map(|row| row.iter().map(|v| short(*v)).collect::<Vec<_>>());
    json!({
        "span": view.span_s,
        "interval": interval_s,
        "warm_up": view.warm_up_s,
        "axis_below": view.panels.last().map(|p| p.id.as_str()),
        "times": times,
        "panels": panels,
        "windows": windows.collect::<Vec<_>>(),
        "labels": labels.collect::<Vec<_>>(),
        "losses": losses.collect::<Vec<_>>(),
        "heat": {
            "edges": heat.edges.iter().map(|at| millis(*at)).collect::<Vec<_>>(),
            "names": heat.names,
            "rows": rows.collect::<Vec<_>>(),
            "low": heat.low,
            "high": heat.high,
        },
    })
}
