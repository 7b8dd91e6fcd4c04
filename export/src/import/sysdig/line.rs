//! One line of `sysdig -j`: an object whose names are those of fields.

use crate::import::time::{TimeUnit, time};
use serde::Deserialize;
use serde_json::Value;
use std::borrow::Cow;

/// An event.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Line<'a> {
    pub(super) ts_ns: i64,
    pub(super) tid: u32,
    /// `None` where sysdig was not asked for it.
    pub(super) pid: Option<u32>,
    pub(super) ppid: Option<u32>,
    pub(super) comm: Option<Cow<'a, str>>,
    pub(super) exe: Option<Cow<'a, str>>,
    /// With the program.
    pub(super) argv: Option<Cow<'a, str>>,
    pub(super) uid: Option<u32>,
    /// Which call, or what else.
    pub(super) event: Cow<'a, str>,
    /// It is the beginning of a call.
    pub(super) is_enter: bool,
    pub(super) args: Cow<'a, str>,
    /// How long the call took, where sysdig says it.
    pub(super) latency_ns: Option<u64>,
    /// What it returned, likewise.
    pub(super) ret: Option<i64>,
    pub(super) fd: Option<i32>,
}

/// Why a line is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It does not say when, or of which thread.
    Lacking,
    /// It is no event of sysdig.
    Other,
}

#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(rename = "evt.type", borrow)]
    event: Cow<'a, str>,
    #[serde(rename = "evt.dir", borrow, default)]
    dir: Option<Cow<'a, str>>,
    #[serde(rename = "evt.rawtime", default)]
    raw_time: Value,
    #[serde(rename = "evt.outputtime", default)]
    output_time: Value,
    #[serde(rename = "evt.datetime", default)]
    date_time: Value,
    #[serde(rename = "evt.time.iso8601", default)]
    iso_time: Value,
    #[serde(rename = "evt.time", default)]
    time: Value,
    #[serde(rename = "evt.info", borrow, default)]
    info: Option<Cow<'a, str>>,
    #[serde(rename = "evt.args", borrow, default)]
    args: Option<Cow<'a, str>>,
    #[serde(rename = "evt.latency", default)]
    latency: Value,
    #[serde(rename = "evt.rawres", default)]
    ret: Value,
    #[serde(rename = "fd.num", default)]
    fd: Value,
    #[serde(rename = "thread.tid", default)]
    tid: Value,
    #[serde(rename = "proc.pid", default)]
    pid: Value,
    #[serde(rename = "proc.ppid", default)]
    ppid: Value,
    #[serde(rename = "user.uid", default)]
    uid: Value,
    #[serde(rename = "proc.name", borrow, default)]
    comm: Option<Cow<'a, str>>,
    #[serde(rename = "proc.exepath", borrow, default)]
    exe: Option<Cow<'a, str>>,
    #[serde(rename = "proc.cmdline", borrow, default)]
    argv: Option<Cow<'a, str>>,
}

/// Whether it is an event of sysdig.
pub(in super::super) fn is_line(text: &str) -> bool {
    matches!(line(text), Ok(_) | Err(Wrong::Lacking))
}

/// Reads a line. A comma behind it, as in an array over lines, is no part of it.
pub(super) fn line(text: &str) -> Result<Line<'_>, Wrong> {
    let text = text.trim().trim_end_matches(',');
    if !text.starts_with('{') {
        return Err(Wrong::Other);
    }
    let raw: Raw<'_> = serde_json::from_str(text).map_err(|_| Wrong::Other)?;
    let small = |value: &Value| whole(value).and_then(|n| u32::try_from(n).ok());
    let times = [&raw.raw_time, &raw.output_time, &raw.date_time, &raw.iso_time, &raw.time];
    let ts_ns = times.into_iter().find_map(when).ok_or(Wrong::Lacking)?;
    let tid = small(&raw.tid).or_else(|| small(&raw.pid)).ok_or(Wrong::Lacking)?;
    // Whom sysdig does not know is `<NA>`, and a user whom it does not know is all ones.
    let known =
        |text: Option<Cow<'_, str>>| text.filter(|t| !t.is_empty() && t != "<NA>").map(Cow::into_owned).map(Cow::Owned);
    Ok(Line {
        ts_ns,
        tid,
        pid: small(&raw.pid),
        ppid: small(&raw.ppid),
        comm: known(raw.comm),
        exe: known(raw.exe),
        argv: known(raw.argv),
        uid: small(&raw.uid).filter(|uid| *uid != u32::MAX),
        is_enter: raw.dir.as_deref() == Some(">"),
        event: raw.event,
        args: raw.info.or(raw.args).unwrap_or_default(),
        latency_ns: whole(&raw.latency).and_then(|n| u64::try_from(n).ok()),
        ret: whole(&raw.ret),
        fd: whole(&raw.fd).and_then(|n| i32::try_from(n).ok()),
    })
}

/// A number, also as a text.
fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// Nanoseconds since 1970 as a number, or a date. The time of day alone does not say when.
fn when(value: &Value) -> Option<i64> {
    match value {
        Value::Number(n) => n.as_i64().filter(|ns| *ns > 0),
        Value::String(text) if text.contains('.') || text.contains('-') => Some(time(text, None)?.ns),
        Value::String(text) => Some(time(text, Some(TimeUnit::Ns))?.ns),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_as_sysdig_writes_them() {
        let plain = r#"{"evt.cpu":0,"evt.dir":">","evt.info":"addr=0 ","evt.num":212,"evt.outputtime":1534527348514648551,"evt.type":"brk","proc.name":"curl","thread.tid":17497}"#;
        let read = line(plain).unwrap();
        assert_eq!((read.ts_ns, read.tid, read.pid, read.is_enter), (1_534_527_348_514_648_551, 17_497, None, true));
        assert_eq!((&*read.event, &*read.args, read.comm.as_deref()), ("brk", "addr=0 ", Some("curl")));
        let asked = r#"{"evt.args":"res=0 ","evt.datetime":"2018-08-17 17:35:48.514685433","evt.dir":"<","evt.latency":2144,"evt.rawres":0,"evt.type":"fstat","fd.num":3,"proc.name":"<NA>","proc.pid":17497,"proc.ppid":3200,"thread.tid":17498,"user.uid":4294967295}"#;
        let read = line(asked).unwrap();
        assert_eq!((read.ts_ns, read.pid, read.ppid), (1_534_527_348_514_685_433, Some(17_497), Some(3_200)));
        assert_eq!(
            (read.latency_ns, read.ret, read.fd, read.uid, read.comm),
            (Some(2_144), Some(0), Some(3), None, None)
        );
        assert!(is_line(plain) && is_line(asked));
        let of_day = r#"{"evt.type":"brk","evt.time":"17:35:48.514648551","thread.tid":1}"#;
        assert_eq!(line(of_day).err(), Some(Wrong::Lacking));
        for none in ["", "{}", "[1]", r#"{"evt.type":7}"#, r#"{"evt.type":"brk""#, "17497 > brk"] {
            assert_eq!(line(none).err(), Some(Wrong::Other), "{none}");
        }
    }

    proptest! {
        #[test]
        fn any_line_is_survived(text in ".{0,120}", number in ".{0,12}") {
            let _ = line(&text);
            let _ = line(&format!("{{\"evt.type\":\"a\",\"evt.rawtime\":{number},\"thread.tid\":\"{number}\"}}"));
        }
    }
}
