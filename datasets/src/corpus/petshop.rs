//! Issues of a system of many components, with the component that caused each: the layout of
//! `PetShop` (Hardt et al., 2023).
//!
//! A folder for each kind of traffic: `graph.csv` (a row for who calls, a column for who is called), `noissue/metrics.csv` (all is well; may be
//! missing) and `train/issue_N/`, `test/issue_N/` with `metrics.csv` and `target.json` (where the symptom was, since when, and its cause). A
//! table of metrics has four lines of heads: component, metric, statistic, and `unix_timestamp`.

use super::error::{Error, Result};
use super::text::{lines, number, shown};
use std::path::{Path, PathBuf};

/// One metric of one component.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Whose.
    pub component: String,
    /// `latency`, `availability`, `requests`.
    pub metric: String,
    /// `Average`, `Sum`, `p99`.
    pub statistic: String,
    /// A value a row, NaN where there is none.
    pub values: Vec<f64>,
}

/// Metrics of all components over time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics {
    /// Begin of each row, seconds since 1970.
    pub times_s: Vec<f64>,
    /// As in the file.
    pub columns: Vec<Column>,
}

/// Something that went wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Issue {
    /// Traffic, part and number: `low_traffic/test/issue_3`.
    pub name: String,
    /// Whether methods may be made on it.
    pub to_learn: bool,
    /// Rows before and after it began.
    pub metrics: Metrics,
    /// Where it was noticed.
    pub symptom: String,
    /// By what.
    pub metric: String,
    /// Since when, seconds since 1970.
    pub since_s: f64,
    /// The component that was made to fail.
    pub cause: String,
}

/// One kind of traffic.
#[derive(Clone, Debug, PartialEq)]
pub struct Traffic {
    /// The folder.
    pub name: String,
    /// When all was well, if that is there.
    pub normal: Option<Metrics>,
    /// Who calls whom.
    pub calls: Vec<(String, String)>,
    /// By name.
    pub issues: Vec<Issue>,
}

const GRAPH: &str = "graph.csv";

/// Whether `root` has this layout.
pub fn is_here(root: &Path) -> bool {
    folders(root).is_ok_and(|folders| folders.iter().any(|f| f.join(GRAPH).is_file()))
}

/// Reads all of it: seven megabytes of text.
///
/// # Errors
/// If there is no issue, or a file is none of these.
pub fn read(root: &Path) -> Result<Vec<Traffic>> {
    if !root.is_dir() {
        return Err(Error::NoFolder { path: root.to_owned() });
    }
    let traffic: Vec<Traffic> =
        folders(root)?.into_iter().filter(|f| f.join(GRAPH).is_file()).map(|f| traffic(&f)).collect::<Result<_>>()?;
    if traffic.iter().all(|t| t.issues.is_empty()) {
        let found = format!("no folder with {GRAPH} and test/issue_N/target.json");
        return Err(Error::Layout { path: root.to_owned(), found });
    }
    Ok(traffic)
}

/// By name, `issue_2` before `issue_10`.
fn folders(root: &Path) -> Result<Vec<PathBuf>> {
    let failed = |source| Error::Read { path: root.to_owned(), source };
    let mut out = vec![];
    for entry in std::fs::read_dir(root).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            out.push(path);
        }
    }
    out.sort_by_key(|p| (name(p).len(), name(p)));
    Ok(out)
}

fn name(path: &Path) -> String {
    path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}

fn traffic(folder: &Path) -> Result<Traffic> {
    let normal = folder.join("noissue/metrics.csv");
    let mut issues = vec![];
    for (part, to_learn) in [("train", true), ("test", false)] {
        let part = folder.join(part);
        if part.is_dir() {
            for path in folders(&part)? {
                issues.push(issue(folder, &path, to_learn)?);
            }
        }
    }
    Ok(Traffic {
        name: name(folder),
        normal: if normal.is_file() { Some(metrics(&normal)?) } else { None },
        calls: calls(&folder.join(GRAPH))?,
        issues,
    })
}

#[derive(serde::Deserialize)]
struct Target {
    target: Symptom,
    root_cause: Cause,
}

#[derive(serde::Deserialize)]
struct Symptom {
    node: String,
    metric: String,
    timestamp: f64,
}

#[derive(serde::Deserialize)]
struct Cause {
    node: String,
}

fn issue(traffic: &Path, folder: &Path, to_learn: bool) -> Result<Issue> {
    let path = folder.join("target.json");
    let text = std::fs::read_to_string(&path).map_err(|source| Error::Read { path: path.clone(), source })?;
    let found: Target = serde_json::from_str(&text).map_err(|e| Error::Mismatch {
        path: path.clone(),
        found: format!("not where the symptom and its cause are: {e}"),
    })?;
    let metrics = metrics(&folder.join("metrics.csv"))?;
    let known = |node: &str| metrics.columns.iter().any(|c| c.component == node);
    if let Some(node) = [&found.target.node, &found.root_cause.node].into_iter().find(|node| !known(node)) {
        return Err(Error::Mismatch { path, found: format!("`{}` has no metrics beside it", shown(node)) });
    }
    let part = if to_learn { "train" } else { "test" };
    Ok(Issue {
        name: format!("{}/{part}/{}", name(traffic), name(folder)),
        to_learn,
        metrics,
        symptom: found.target.node,
        metric: found.target.metric,
        since_s: found.target.timestamp,
        cause: found.root_cause.node,
    })
}

/// The tables have no quotes: a name with a comma would shift all that follows.
fn fields<'a>(path: &Path, line: usize, text: &'a str) -> Result<Vec<&'a str>> {
    if text.contains('"') {
        let found = "quoted fields are not read here".to_owned();
        return Err(Error::Line { path: path.to_owned(), line, found });
    }
    Ok(text.split(',').collect())
}

fn metrics(path: &Path) -> Result<Metrics> {
    let mut out = Metrics::default();
    let mut heads: Vec<Vec<String>> = vec![];
    lines(path, |line, text| {
        let wrong = |found: String| Error::Line { path: path.to_owned(), line, found };
        let fields = fields(path, line, text)?;
        if heads.len() < 4 {
            let wanted = ["microservice", "metric", "statistic", "unix_timestamp"][heads.len()];
            // The first head is empty where the index has no name.
            if fields[0] != wanted && !(heads.is_empty() && fields[0].is_empty()) {
                return Err(wrong(format!("a head that begins with `{}`, not `{wanted}`", shown(fields[0]))));
            }
            if heads.first().is_some_and(|h| h.len() != fields.len()) {
                return Err(wrong(format!("{} fields in a table of {}", fields.len(), heads[0].len())));
            }
            heads.push(fields.into_iter().map(str::to_owned).collect());
            if heads.len() == 4 {
                let column = |i: usize| Column {
                    component: heads[0][i].clone(),
                    metric: heads[1][i].clone(),
                    statistic: heads[2][i].clone(),
                    values: vec![],
                };
                out.columns = (1..heads[0].len()).map(column).collect();
            }
            return Ok(());
        }
        if fields.len() != out.columns.len() + 1 {
            return Err(wrong(format!("{} fields in a table of {}", fields.len(), out.columns.len() + 1)));
        }
        let values: Vec<f64> = fields
            .iter()
            .map(|f| number(f).ok_or_else(|| wrong(format!("not a number: `{}`", shown(f)))))
            .collect::<Result<_>>()?;
        out.times_s.push(values[0]);
        out.columns.iter_mut().zip(&values[1..]).for_each(|(column, value)| column.values.push(*value));
        Ok(())
    })?;
    Ok(out)
}

fn calls(path: &Path) -> Result<Vec<(String, String)>> {
    let mut called: Vec<String> = vec![];
    let mut out = vec![];
    lines(path, |line, text| {
        let fields = fields(path, line, text)?;
        if called.is_empty() {
            called = fields[1..].iter().map(|f| (*f).to_owned()).collect();
            return Ok(());
        }
        if fields.len() != called.len() + 1 {
            let found = format!("{} fields in a table of {}", fields.len(), called.len() + 1);
            return Err(Error::Line { path: path.to_owned(), line, found });
        }
        let ones = fields[1..].iter().zip(&called).filter(|(f, _)| number(f).is_some_and(|v| v != 0.0 && !v.is_nan()));
        out.extend(ones.map(|(_, callee)| (fields[0].to_owned(), callee.clone())));
        Ok(())
    })?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRICS: &str = "microservice,web,web,db\nmetric,latency,requests,latency\nstatistic,Average,Sum,Average\nunix_timestamp,,,\n300.0,0.1,5,0.01\n600.0,0.2,,0.02\n";
    const TARGET: &str = r#"{"target": {"node": "web", "metric": "latency", "agg": "Average", "timestamp": 650}, "root_cause": {"node": "db", "metric": null}}"#;

    fn corpus(metrics: &str, target: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let issue = dir.path().join("busy/test/issue_2");
        std::fs::create_dir_all(&issue).unwrap();
        std::fs::write(dir.path().join("busy/graph.csv"), ",web,db\nweb,0,1\ndb,0,0\n").unwrap();
        std::fs::write(issue.join("metrics.csv"), metrics).unwrap();
        std::fs::write(issue.join("target.json"), target).unwrap();
        dir
    }

    #[test]
    fn a_folder_of_issues_is_read() {
        let dir = corpus(METRICS, TARGET);
        assert!(is_here(dir.path()) && !is_here(&dir.path().join("busy")));
        let [traffic] = &read(dir.path()).unwrap()[..] else { panic!() };
        assert_eq!((traffic.name.as_str(), traffic.normal.as_ref()), ("busy", None));
        assert_eq!(traffic.calls, [("web".to_owned(), "db".to_owned())]);
        let issue = &traffic.issues[0];
        assert_eq!((issue.name.as_str(), issue.to_learn), ("busy/test/issue_2", false));
        assert_eq!((issue.symptom.as_str(), issue.metric.as_str(), issue.cause.as_str()), ("web", "latency", "db"));
        assert_eq!(issue.metrics.times_s, [300.0, 600.0]);
        assert_eq!(issue.metrics.columns[2].values, [0.01, 0.02]);
        assert!(issue.metrics.columns[1].values[1].is_nan());
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let of = |metrics: &str, target: &str| {
            let dir = corpus(metrics, target);
            let text = read(dir.path()).unwrap_err().to_string();
            text.replace(&*dir.path().to_string_lossy(), "DIR")
        };
        assert_eq!(
            of(&METRICS.replace("600.0,0.2,,0.02", "600.0,0.2,0.02"), TARGET),
            "DIR/busy/test/issue_2/metrics.csv:6: 3 fields in a table of 4"
        );
        assert!(of(&METRICS.replace("0.02", "slow"), TARGET).ends_with(":6: not a number: `slow`"));
        assert!(of(&METRICS.replace("statistic", "kind"), TARGET).contains(":3: a head that begins with `kind`"));
        assert!(of(&METRICS.replace("web,web", "\"a,b\",web"), TARGET).contains(":1: quoted fields"));
        assert!(of(METRICS, &TARGET.replace("\"db\"", "\"cache\"")).contains("`cache` has no metrics beside it"));
        assert!(of(METRICS, "{}").contains("target.json: not where the symptom"));
        let empty = tempfile::tempdir().unwrap();
        assert!(matches!(read(empty.path()), Err(Error::Layout { .. })));
    }
}
