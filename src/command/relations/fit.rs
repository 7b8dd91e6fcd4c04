//! `osd relations fit`: from recordings to a model in a folder.

use super::args::Fit;
use super::members;
use crate::failure::{Failure, Result};
use crate::format::{self, plural};
use crate::output::{Output, say};
use osd_relations::{Model, Settings};
use std::process::ExitCode;

/// Relations that are printed.
const SHOWN: usize = 12;

pub(super) fn run(args: &Fit) -> Result<ExitCode> {
    // Before what may take long.
    let path = args.output.join(osd_relations::FILE);
    if path.exists() && !args.force {
        return Err(Failure::new(format!("{} is there already", path.display()))
            .hint("choose another folder, or replace the model with --force"));
    }
    let settings = Settings {
        published: args.published,
        intervals: args.intervals,
        partners: args.partners,
        window: args.window,
        false_alarms_per_hour: args.false_alarms,
        seed: args.seed,
        ..Settings::default()
    };
    let step_ns = args.step.map(|ns| i64::try_from(ns).unwrap_or(i64::MAX));
    let members = members::read(&args.recordings)?;
    let (history, about) = osd_relations::read(&members, step_ns, args.all_metrics)?;
    let model = osd_relations::learn(&history, &settings, about.into_iter().map(|r| r.path).collect())?;
    let path = model.write(&args.output, args.force)?;
    let mut out = Output::stdout();
    words(&model).iter().try_for_each(|line| out.line(line))?;
    out.finish()?;
    say(format_args!("model: {}", path.display()));
    Ok(ExitCode::SUCCESS)
}

/// What was learnt, by lines.
fn words(model: &Model) -> Vec<String> {
    let relations = model.relations();
    let mut out = vec![format!(
        "{} between {} from {} of {}",
        plural(relations.len(), "relation"),
        plural(model.metrics().count(), "metric"),
        plural(model.points, "point"),
        format::duration(model.step_ns.unsigned_abs())
    )];
    let wide = relations.iter().take(SHOWN).map(|r| r.0.len() + r.1.len() + 5).max().unwrap_or(0);
    for (a, b, correlation, information, usual) in relations.iter().take(SHOWN) {
        let pair = format!("{a} and {b}");
        out.push(format!(
            "  {pair:wide$}  rank correlation {correlation:5.2}, information {information:.2}, fitness {usual:.2}"
        ));
    }
    if relations.len() > SHOWN {
        out.push(format!("  and {} more", relations.len() - SHOWN));
    }
    match model.groups() {
        Some(groups) => {
            let apart =
                if groups.len() > 1 { format!(", silhouette {:.2}", model.silhouette()) } else { String::new() };
            out.push(format!("{}{apart}:", plural(groups.len(), "group")));
            out.extend(groups.iter().enumerate().map(|(i, g)| format!("  {}: {}", i + 1, g.join(", "))));
        }
        None => out.push("too little for groups of metrics".to_owned()),
    }
    let list = |what: &str, names: &[String]| (!names.is_empty()).then(|| format!("{what}: {}", names.join(", ")));
    out.extend(list("related to nothing", &model.unrelated));
    out.extend(list("constant, or not known for most of the time", &model.constant));
    if model.left_out > 0 {
        out.push(format!("{} weaker left out (--partners)", plural(model.left_out, "relation")));
    }
    out
}
