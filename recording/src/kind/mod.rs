//! The kinds of rows. Each has a file: its struct, what it is called, and its columns with name,
//! type, unit, meaning and where their values come from. A kind is that file, its line in the table
//! below, and its section in `docs/recording-format.md`.
//!
//! `field.rs` is a column as one kind fills it, `common.rs` the columns that several kinds have, `waiting.rs` how rows wait to be
//! written: one by one, or column by column where they come by the million (`parts.rs`). `schema.rs` is the table of all columns,
//! derived from the kinds.

mod capability;
mod cgroup;
mod common;
mod container;
mod descriptor;
mod field;
mod file;
mod flow;
mod label;
mod loss;
mod neighbour;
mod parts;
mod process;
mod sample;
pub mod schema;
mod stack;
mod syscall;
mod system;
mod tally;
mod thread;
mod waiting;

pub use crate::column::{NO_DURATION, NO_RESULT};
pub use common::Owner;
pub use field::Number;
pub(crate) use field::Value;
pub(crate) use waiting::{Buffer, Layout, Pages, Values};
use waiting::{Rowed, Waiting as _};

/// The table of kinds. What it makes: [`Kind`], [`Row`], and the rows of each kind that wait.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident in $module:ident;)*) => {
        $(pub use $module::*;)*

        /// What a row is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $($(#[$doc])* $kind,)*
        }

        impl Kind {
            /// Every kind of this format version.
            pub const ALL: [Self; [$(stringify!($kind)),*].len()] = [$(Self::$kind),*];

            /// The text in the `kind` column.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $kind::NAME,)*
                }
            }

            /// What a table of nothing else is called, as in SQL.
            pub fn table(self) -> &'static str {
                match self {
                    $(Self::$kind => $kind::TABLE,)*
                }
            }

            /// Whether rows of it come by the million, so that pages are made of them column by column.
            pub(crate) fn is_paged(self) -> bool {
                match self {
                    $(Self::$kind => <$kind as Rowed>::Waiting::IS_PAGED,)*
                }
            }

            /// Its columns, as it says itself.
            fn fields(self) -> Vec<field::About> {
                match self {
                    $(Self::$kind => <$kind as Rowed>::Waiting::fields(),)*
                }
            }
        }

        /// A row of any kind.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Row {
            $(
                #[doc = concat!("See [`", stringify!($kind), "`].")]
                $kind($kind),
            )*
        }

        impl Row {
            /// Its kind.
            pub fn kind(&self) -> Kind {
                match self {
                    $(Self::$kind(_) => Kind::$kind,)*
                }
            }
        }

        $(impl From<$kind> for Row {
            fn from(row: $kind) -> Self {
                Self::$kind(row)
            }
        })*

        /// Rows that wait to be written, by kind.
        #[derive(Default)]
        pub(crate) struct Waiting {
            $(pub(crate) $module: <$kind as Rowed>::Waiting,)*
        }

        impl Waiting {
            /// Adds a row.
            pub(crate) fn push(&mut self, row: Row) {
                match row {
                    $(Row::$kind(row) => self.$module.push(row),)*
                }
            }

            /// Those of one kind.
            pub(crate) fn of(&mut self, kind: Kind) -> &mut dyn Buffer {
                match kind {
                    $(Kind::$kind => &mut self.$module,)*
                }
            }
        }
    };
}

kinds! {
    /// One process in one interval.
    Sample in sample;
    /// One (process, syscall) in one interval: exact, counted in the kernel.
    Tally in tally;
    /// One system call.
    Syscall in syscall;
    /// Fork, exec, exit, or "was running when the recording began".
    Process in process;
    /// The host in one interval.
    System in system;
    /// What was not recorded, where and why.
    Loss in loss;
    /// Ground truth, or a person's mark.
    Label in label;
    /// The limits of a control group in one interval, and what they came to.
    Cgroup in cgroup;
    /// Who else ran while recorded processes waited for a processor.
    Neighbour in neighbour;
    /// What a thread is called.
    Thread in thread;
    /// What a descriptor is.
    Descriptor in descriptor;
    /// The first time that a process was asked for a capability in a system call.
    Capability in capability;
    /// A control group, and the container that it stands for.
    Container in container;
    /// Where threads were, function by function.
    Stack in stack;
    /// What a process did with one of the things it has open, in one interval.
    File in file;
    /// One process and one internet socket in one interval.
    Flow in flow;
}

impl Kind {
    /// From the text in the `kind` column; `None` for a kind of a later version.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.name() == name)
    }
}
