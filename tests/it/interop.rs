//! A recording needs no osd to be read: DuckDB, pandas and `osd sql` give the same answer on the
//! same file.

use crate::support::osd_ok;
use osd_synth::Synth;
use std::process::Command;

const SCRIPT: &str = r"
import sys, duckdb, pandas
path = sys.argv[1]
def show(pairs):
    for kind, n in sorted(pairs):
        print(f'{kind},{n}')
show(duckdb.sql(f'''SELECT kind, count(*) FROM '{path}' GROUP BY kind''').fetchall())
print()
frame = pandas.read_parquet(path)
show(frame.groupby('kind', observed=True).size().items())
print()
# Identities survive a column with nulls, which pandas makes a double.
print(int(frame['proc'].dropna().max()), duckdb.sql(f'''SELECT max(proc) FROM '{path}' ''').fetchall()[0][0])
";

#[test]
fn duckdb_pandas_and_osd_count_alike() {
    let Some(python) = std::env::var_os("OSD_PYTHON") else {
        assert!(std::env::var_os("CI").is_none(), "OSD_PYTHON is not set; `make test` sets it");
        eprintln!("SKIPPED duckdb_pandas_and_osd_count_alike: OSD_PYTHON is not set (`make test` sets it)");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run.parquet");
    Synth { duration_s: 20, fault_s: Some((5, 8)), ..Synth::default() }.write(&path).unwrap();
    let path = path.to_str().unwrap();
    let out = Command::new(python).args(["-c", SCRIPT, path]).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let theirs = String::from_utf8(out.stdout).unwrap();
    let mut parts = theirs.split("\n\n");
    let (duckdb, pandas, ids) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
    let statement = "SELECT kind, count(*) AS n FROM recording GROUP BY kind ORDER BY kind";
    let ours = osd_ok(["sql", path, statement, "--format", "csv"]);
    let ours = ours.strip_prefix("kind,n\n").unwrap().trim_end();
    assert_eq!(ours.lines().count(), 7, "every kind is there: {ours}");
    assert_eq!(duckdb, ours);
    assert_eq!(pandas, ours);
    let ids: Vec<_> = ids.split_whitespace().collect();
    assert_eq!(ids[0], ids[1]);
    assert_eq!(
        osd_ok(["sql", path, "SELECT max(proc) AS p FROM recording", "--format", "csv"]),
        format!("p\n{}\n", ids[0])
    );
}
