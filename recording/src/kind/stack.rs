//! `stack`: where threads were, function by function.

use super::common::{Owner, cgroup_id, dur_ns, kind, pid, proc, tid, ts};
use super::field::{Field, RowField};
use super::waiting::{ByRow, Rowed};
use std::sync::Arc;

/// What the stacks were taken for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StackEvent {
    /// The thread ran on a processor.
    #[default]
    Cpu,
    /// It waited within a system call.
    Wait,
}

impl StackEvent {
    /// As the file says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Wait => "wait",
        }
    }
}

/// Times in one interval in which one thread was found with the same functions on its stack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stack {
    /// The first of them.
    pub ts_ns: i64,
    /// From there to the last.
    pub dur_ns: u64,
    /// Of which process.
    pub owner: Owner,
    /// Of which thread.
    pub tid: u32,
    /// How many times.
    pub count: u64,
    /// Time that they stand for.
    pub total_ns: u64,
    /// What they were taken for.
    pub event: StackEvent,
    /// Names of the functions, the outermost first, separated by `;`. Shared, since few differ.
    pub frames: Arc<str>,
    /// The file that each is in, likewise.
    pub modules: Arc<str>,
    /// `complete`, `truncated`, `broken` or `gone`.
    pub stack_end: &'static str,
}

impl Rowed for Stack {
    const NAME: &'static str = "stack";
    const TABLE: &'static str = "stacks";
    type Waiting = Vec<Self>;
}

impl ByRow for Stack {
    const FIELDS: &'static [RowField<Self>] = &[
        kind(),
        ts(),
        dur_ns(|r| Some(r.dur_ns)),
        proc(|r| Some(r.owner.proc.0)),
        pid(|r| Some(r.owner.pid)),
        tid(|r| Some(r.tid)),
        cgroup_id(|r| r.owner.cgroup()),
        Field::u64("count", "times", "it was found so", |r| Some(r.count)),
        Field::duration("total_ns", "ns", "time that they stand for", |r| Some(r.total_ns)),
        Field::text("event", "", "what the stacks were taken for", |r| Some(r.event.as_str())),
        Field::text("frames", "", "functions, the outermost first, separated by `;`", |r| Some(&r.frames)),
        Field::text("modules", "", "the file that each is in, likewise", |r| Some(&r.modules)),
        Field::text("stack_end", "", "how the walk ended", |r| Some(r.stack_end)),
    ];

    fn ts_ns(&self) -> i64 {
        self.ts_ns
    }
}
