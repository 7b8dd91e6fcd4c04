//! The column `container` of the views: what the control group of a row's process is called, by the
//! `container` rows of its recording.
//!
//! A name may have come to light after the rows that it is about, so it is looked up when somebody asks, and then for the first time.

use arrow::array::{Array, ArrayRef, AsArray, StringDictionaryBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, UInt16Type, UInt64Type};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use datafusion::prelude::SessionContext;
use osd_recording::{Columns, Kind, Query, Recording};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

/// The function's name: `container_of(recording, cgroup_id)`.
pub(crate) const NAME: &str = "container_of";

/// Names by control group.
type Names = HashMap<u64, String>;

pub(crate) fn register(context: &SessionContext, recordings: &[Recording]) {
    let function = ContainerOf {
        signature: Signature::any(2, Volatility::Immutable),
        recordings: recordings.to_vec(),
        names: Arc::default(),
    };
    context.register_udf(ScalarUDF::from(function));
}

#[derive(Debug)]
struct ContainerOf {
    signature: Signature,
    recordings: Vec<Recording>,
    /// By the path of the recording.
    names: Arc<OnceLock<HashMap<String, Names>>>,
}

// There is one in a session.
impl PartialEq for ContainerOf {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for ContainerOf {}

impl std::hash::Hash for ContainerOf {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        NAME.hash(state);
    }
}

impl ContainerOf {
    fn names(&self) -> Result<&HashMap<String, Names>> {
        if let Some(names) = self.names.get() {
            return Ok(names);
        }
        let mut all = HashMap::new();
        for recording in &self.recordings {
            let names = read(recording).map_err(|e| DataFusionError::External(Box::new(e)))?;
            if !names.is_empty() {
                all.insert(recording.path().display().to_string(), names);
            }
        }
        Ok(self.names.get_or_init(|| all))
    }
}

/// Of the rows about a group the last that has a name counts.
fn read(recording: &Recording) -> osd_recording::Result<Names> {
    let mut names = Names::new();
    if recording.metadata().rows.get(Kind::Container.name()).is_some_and(|rows| *rows == 0) {
        return Ok(names);
    }
    for batch in recording.read(&Query::kind(Kind::Container))? {
        let batch = batch?;
        let columns = Columns::of(&batch, recording.path());
        let (group, id, name) =
            (columns.u64("cgroup_id")?, columns.text("container_id")?, columns.text("container_name")?);
        for row in 0..batch.num_rows() {
            let Some(group) = group.at(row) else { continue };
            match (name.at(row), id.at(row)) {
                (Some(name), _) => drop(names.insert(group, name.to_owned())),
                (None, Some(id)) => drop(names.entry(group).or_insert_with(|| id.chars().take(12).collect())),
                (None, None) => {}
            }
        }
    }
    Ok(names)
}

fn dictionary() -> DataType {
    DataType::Dictionary(Box::new(DataType::UInt16), Box::new(DataType::Utf8))
}

impl ScalarUDFImpl for ContainerOf {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(dictionary())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let names = self.names()?;
        let rows = args.number_rows;
        if names.is_empty() {
            return Ok(ColumnarValue::Array(arrow::array::new_null_array(&dictionary(), rows)));
        }
        let arrays = args.args.into_iter().map(|a| a.into_array(rows)).collect::<Result<Vec<_>>>()?;
        let [recording, group] = &arrays[..] else {
            return Err(DataFusionError::Plan(format!("{NAME} takes a recording and a control group")));
        };
        let recording = cast(recording, &DataType::Utf8)?;
        let group = cast(group, &DataType::UInt64)?;
        let (recording, group) = (recording.as_string::<i32>(), group.as_primitive::<UInt64Type>());
        let mut out = StringDictionaryBuilder::<UInt16Type>::new();
        let mut last: Option<(&str, Option<&Names>)> = None;
        for row in 0..rows {
            let path = if recording.is_valid(row) { recording.value(row) } else { "" };
            let own = match last {
                Some((before, own)) if before == path => own,
                _ => {
                    let own = names.get(path);
                    last = Some((path, own));
                    own
                }
            };
            let name = own.filter(|_| group.is_valid(row)).and_then(|own| own.get(&group.value(row)));
            match name {
                // More names in a batch than fit are not names of one host.
                Some(name) => drop(out.append(name).map_err(DataFusionError::from)?),
                None => out.append_null(),
            }
        }
        let out: ArrayRef = Arc::new(out.finish());
        Ok(ColumnarValue::Array(out))
    }
}
