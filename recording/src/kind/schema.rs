//! The table of columns: name, type, unit, meaning, and the kinds that fill each. It is put
//! together from what the kinds say of themselves; `docs/recording-format.md` says the same in
//! prose.
//!
//! A later minor version may add kinds and columns (a reader passes over those it does not know); renaming, removing or changing the
//! meaning of one takes a new [`crate::FORMAT_VERSION`].

use super::Kind;
use super::common::FIRST;
pub use crate::column::Type;
use arrow_schema::{Field, Schema, SchemaRef};
use parquet::arrow::ArrowSchemaConverter;
use parquet::errors::Result;
use parquet::schema::types::SchemaDescPtr;
use std::sync::{Arc, LazyLock};

/// One column of the wide table.
#[derive(Debug)]
pub struct Column {
    /// Name, unit last.
    pub name: &'static str,
    /// Type.
    pub ty: Type,
    /// What its numbers count; empty for names, identities and times.
    pub unit: &'static str,
    /// What it says, in a few words.
    pub doc: &'static str,
    /// Kinds that fill it.
    pub kinds: Vec<Kind>,
}

impl Column {
    /// Whether a row may be without a value.
    pub fn is_nullable(&self) -> bool {
        !matches!(self.name, "kind" | "ts")
    }
}

impl Kind {
    /// The columns that rows of this kind fill, common ones first.
    pub fn columns(self) -> impl Iterator<Item = &'static Column> {
        COLUMNS.iter().filter(move |c| c.kinds.contains(&self))
    }

    /// Where these are among all columns.
    pub(crate) fn places(self) -> impl Iterator<Item = usize> {
        COLUMNS.iter().enumerate().filter(move |(_, c)| c.kinds.contains(&self)).map(|(place, _)| place)
    }
}

/// Every column, in file order: the common ones, then those of each kind that no kind before it has.
pub static COLUMNS: LazyLock<Vec<Column>> = LazyLock::new(|| {
    let own = Kind::ALL.into_iter().flat_map(Kind::fields);
    let mut columns: Vec<Column> = Vec::new();
    for about in FIRST.into_iter().chain(own) {
        if columns.iter().all(|c| c.name != about.name) {
            let kinds = Kind::ALL.into_iter().filter(|kind| kind.fields().iter().any(|f| f.name == about.name));
            let (name, ty, unit, doc) = (about.name, about.ty, about.unit, about.doc);
            columns.push(Column { name, ty, unit, doc, kinds: kinds.collect() });
        }
    }
    columns
});

/// The Arrow schema of a recording. `kind` and `ts` are never null, everything else may be.
pub fn arrow_schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let fields = COLUMNS.iter().map(|c| Field::new(c.name, c.ty.arrow(), c.is_nullable()));
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    });
    Arc::clone(&SCHEMA)
}

/// The same as Parquet has it.
pub(crate) fn parquet_schema() -> Result<SchemaDescPtr> {
    Ok(Arc::new(ArrowSchemaConverter::new().convert(&arrow_schema())?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_unique_and_kinds_round_trip() {
        let names: HashSet<_> = COLUMNS.iter().map(|c| c.name).collect();
        assert_eq!(names.len(), COLUMNS.len());
        for kind in Kind::ALL {
            assert_eq!(Kind::from_name(kind.name()), Some(kind));
            assert!(kind.columns().count() > 2);
        }
        assert_eq!(Kind::from_name("flux"), None);
    }

    /// Groups find a column by its number in the kind, files by its number in the schema.
    #[test]
    fn kinds_list_their_columns_in_the_order_of_the_schema_and_agree_on_those_they_share() {
        for kind in Kind::ALL {
            let own: Vec<_> = kind.fields().iter().map(|f| (f.name, f.ty)).collect();
            assert_eq!(own, kind.columns().map(|c| (c.name, c.ty)).collect::<Vec<_>>(), "{kind:?}");
            assert_eq!(own[..2], [("kind", Type::Text), ("ts", Type::Time)], "{kind:?}");
        }
    }

    /// What a section says of a column: the second cell of its row in a table of units, empty if it is only named.
    fn described(section: &str, column: &str) -> Option<String> {
        let name = format!("`{column}`");
        let has_units = section.contains("| column | unit |");
        let row =
            section.lines().find(|l| l.starts_with("| ") && l.split('|').nth(1).unwrap_or_default().contains(&name));
        let unit = row.filter(|_| has_units).and_then(|row| row.split('|').nth(2)).map(|cell| cell.trim().to_owned());
        (row.is_some() || section.contains(&name)).then(|| unit.unwrap_or_default())
    }

    #[test]
    fn the_format_document_describes_every_column_of_every_kind_with_its_unit() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/recording-format.md");
        let text = std::fs::read_to_string(path).unwrap();
        let section = |title: &str| text.split("\n## ").find(|s| s.starts_with(title)).unwrap_or_default();
        let common = section("Common columns");
        for kind in Kind::ALL {
            let own = section(&format!("`{}`:", kind.name()));
            assert!(!own.is_empty(), "no section on {kind:?}");
            let has_units = own.contains("| column | unit |");
            for column in kind.columns() {
                match described(own, column.name) {
                    Some(unit) if has_units => assert_eq!(unit, column.unit, "{kind:?}: `{}`", column.name),
                    Some(_) => {}
                    None => assert!(described(common, column.name).is_some(), "{kind:?}: `{}`", column.name),
                }
            }
        }
    }
}
