//! Where a statement looks, as far as its filters say: so that it can be told of losses there, and
//! not of others.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, utils::split_conjunction};
use osd_recording::Kind;
use std::ops::Range;

/// What one scan of the recordings may have to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touched {
    /// Rows of this kind only.
    pub kind: Option<Kind>,
    /// Rows that begin in this range, UTC ns; widest where nothing is said.
    pub ts_ns: Range<i64>,
}

impl Touched {
    /// What `filters`, all of which hold, leave over. A filter of another form leaves all.
    pub(crate) fn of(filters: &[Expr]) -> Self {
        let mut out = Self { kind: None, ts_ns: i64::MIN..i64::MAX };
        filters.iter().flat_map(split_conjunction).for_each(|filter| out.narrow(filter));
        out
    }

    fn narrow(&mut self, filter: &Expr) {
        let Expr::BinaryExpr(BinaryExpr { left, op, right }) = filter else { return };
        let (column, op, value) = match (left.as_ref(), right.as_ref()) {
            (Expr::Column(column), Expr::Literal(value, _)) => (column, *op, value),
            (Expr::Literal(value, _), Expr::Column(column)) => match op.swap() {
                Some(op) => (column, op, value),
                None => return,
            },
            _ => return,
        };
        let range = &mut self.ts_ns;
        match (column.name.as_str(), value) {
            ("ts", ScalarValue::TimestampNanosecond(Some(ns), _)) => match op {
                Operator::Gt => range.start = range.start.max(ns.saturating_add(1)),
                Operator::GtEq => range.start = range.start.max(*ns),
                Operator::Lt => range.end = range.end.min(*ns),
                Operator::LtEq => range.end = range.end.min(ns.saturating_add(1)),
                Operator::Eq => *range = range.start.max(*ns)..range.end.min(ns.saturating_add(1)),
                _ => {}
            },
            ("kind", value) if op == Operator::Eq => {
                let kind = value.try_as_str().flatten().and_then(Kind::from_name);
                self.kind = kind.or(self.kind);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::logical_expr::{col, lit};

    #[test]
    fn filters_bound_what_is_looked_at_and_what_is_not_understood_does_not() {
        let at = |ns: i64| Expr::Literal(ScalarValue::TimestampNanosecond(Some(ns), Some("+00:00".into())), None);
        let of = |filters: &[Expr]| Touched::of(filters);
        let all = i64::MIN..i64::MAX;
        assert_eq!(of(&[]), Touched { kind: None, ts_ns: all.clone() });
        let both = col("ts").gt_eq(at(10)).and(at(20).gt(col("ts")));
        assert_eq!(of(&[both, col("kind").eq(lit("syscall"))]), Touched { kind: Some(Kind::Syscall), ts_ns: 10..20 });
        let either = col("ts").lt(at(10)).or(col("ts").gt(at(20)));
        assert_eq!(of(&[either, col("pid").eq(lit(7))]), Touched { kind: None, ts_ns: all });
        assert_eq!(of(&[col("ts").eq(at(5))]).ts_ns, 5..6);
    }
}
