//! What the control groups of a recording are called, for people:
//! `web (nginx:1.25), pod shop/web-7f`.

use crate::grid::query;
use osd_recording::{Columns, Kind, Recording, Result};
use std::collections::BTreeMap;

/// Names of containers by control group. Of the rows about a group the last that has a name counts.
///
/// # Errors
/// If the recording cannot be read.
pub fn read(recording: &Recording) -> Result<BTreeMap<u64, String>> {
    let mut names: BTreeMap<u64, (bool, String)> = BTreeMap::new();
    let columns = ["ts", "cgroup_id", "container_id", "container_name", "image", "pod", "namespace"];
    for batch in recording.read(&query(Kind::Container, &columns, None))? {
        let batch = batch?;
        let all = Columns::of(&batch, recording.path());
        let group = all.u64("cgroup_id")?;
        let [id, name, image, pod, namespace] =
            ["container_id", "container_name", "image", "pod", "namespace"].map(|column| all.text(column));
        let (id, name, image, pod, namespace) = (id?, name?, image?, pod?, namespace?);
        for row in 0..batch.num_rows() {
            let (Some(group), Some(id)) = (group.at(row), id.at(row)) else { continue };
            let has_name = name.at(row).is_some();
            if !has_name && names.get(&group).is_some_and(|(named, _)| *named) {
                continue;
            }
            let short = || id.chars().take(12).collect();
            let mut text: String = name.at(row).map_or_else(short, str::to_owned);
            if let Some(image) = image.at(row) {
                text.push_str(&format!(" ({image})"));
            }
            match (namespace.at(row), pod.at(row)) {
                (Some(namespace), Some(pod)) => text.push_str(&format!(", pod {namespace}/{pod}")),
                (None, Some(pod)) => text.push_str(&format!(", pod {pod}")),
                _ => {}
            }
            names.insert(group, (has_name, text));
        }
    }
    Ok(names.into_iter().map(|(group, (_, text))| (group, text)).collect())
}
