//! `GROUP BY` over columns of text that lie in a dictionary, and of whole numbers: a plan in place
//! of the first half of DataFusion's aggregate.
//!
//! Which group a row is in is found by [`GroupNumbers`]; what is summed up there is DataFusion's own. The second half, which joins what the
//! threads found, sees the same columns as before.

use crate::group_numbers::GroupNumbers;
use arrow::array::{ArrayRef, AsArray};
use arrow::record_batch::RecordBatch;
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::{GroupsAccumulatorAdapter, PhysicalExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode, aggregate_expressions, evaluate_many};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, InputOrderMode, PlanProperties, ReplaceChildrenOptions,
};
use std::fmt;
use std::sync::Arc;

/// As DataFusion's own: where this many rows have shown that more than this share of them are groups of their own, grouping them here is of
/// no use, and rows are handed on each as a group.
const TRIAL_ROWS: usize = 100_000;
const MOST_SHARE: f64 = 0.8;

/// Groups held at most before they are handed on as they are: the second half joins them.
const MOST_GROUPS: usize = 1 << 17;

/// Likewise bytes: of percentiles, which keep every value, small parts stay in memory that the processor has at hand.
const MOST_BYTES: usize = 16 << 20;

/// Puts [`DictionaryAggregateExec`] where it can be.
#[derive(Debug)]
pub(crate) struct DictionaryAggregates;

impl PhysicalOptimizerRule for DictionaryAggregates {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let replace = |node: Arc<dyn ExecutionPlan>| {
            let own = node.downcast_ref::<AggregateExec>().filter(|a| fits(a)).cloned();
            Ok(match own {
                Some(aggregate) => Transformed::yes(Arc::new(DictionaryAggregateExec::new(aggregate)) as _),
                None => Transformed::no(node),
            })
        };
        plan.transform_up(replace).data()
    }

    fn name(&self) -> &str {
        "dictionary_aggregates"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn fits(aggregate: &AggregateExec) -> bool {
    *aggregate.mode() == AggregateMode::Partial
        && aggregate.group_expr().is_single()
        && *aggregate.input_order_mode() == InputOrderMode::Linear
        && aggregate.limit_options().is_none()
        && aggregate.required_input_ordering().iter().all(Option::is_none)
        && numbers(aggregate).is_some()
}

fn numbers(aggregate: &AggregateExec) -> Option<GroupNumbers> {
    let schema = aggregate.schema();
    let n = aggregate.group_expr().num_group_exprs();
    let types: Vec<_> = schema.fields().iter().take(n).map(|f| f.data_type().clone()).collect();
    GroupNumbers::of(&types)
}

/// The first half of an aggregate, by numbers of groups.
#[derive(Debug)]
struct DictionaryAggregateExec {
    aggregate: AggregateExec,
    metrics: ExecutionPlanMetricsSet,
}

impl DictionaryAggregateExec {
    fn new(aggregate: AggregateExec) -> Self {
        Self { aggregate, metrics: ExecutionPlanMetricsSet::new() }
    }
}

impl DisplayAs for DictionaryAggregateExec {
    fn fmt_as(&self, form: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // In a tree, the name stands in another place than what it does.
        if !matches!(form, DisplayFormatType::TreeRender) {
            write!(f, "Dictionary")?;
        }
        self.aggregate.fmt_as(form, f)
    }
}

impl ExecutionPlan for DictionaryAggregateExec {
    fn name(&self) -> &str {
        "DictionaryAggregateExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.aggregate.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.aggregate.children()
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let options = ReplaceChildrenOptions::new(datafusion::physical_plan::ChildrenPropertiesMode::Recompute);
        let aggregate = Arc::new(self.aggregate.clone()).replace_children(children, options)?;
        // Of other children it may be another aggregate.
        Ok(match aggregate.downcast_ref::<AggregateExec>().filter(|a| fits(a)) {
            Some(own) => Arc::new(Self::new(own.clone())),
            None => aggregate,
        })
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.aggregate.apply_expressions(f)
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let mut input = self.aggregate.input().execute(partition, Arc::clone(&context))?;
        let mut table = Table::new(&self.aggregate)?;
        let schema = self.aggregate.schema();
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let reservation =
            MemoryConsumer::new(format!("DictionaryAggregate[{partition}]")).register(context.memory_pool());
        let batch_rows = context.session_config().batch_size();
        let mut stream = RecordBatchReceiverStream::builder(Arc::clone(&schema), 2);
        let out = stream.tx();
        stream.spawn(async move {
            loop {
                let batch = std::future::poll_fn(|cx| input.as_mut().poll_next(cx)).await.transpose()?;
                let work = metrics.elapsed_compute().timer();
                let is_last = batch.is_none();
                if let Some(batch) = batch {
                    table.add(&batch)?;
                }
                // What does not fit is handed on: the second half knows how to spill.
                let full = table.is_full() || reservation.try_resize(table.size()).is_err();
                let found = if is_last || full { table.take()? } else { vec![] };
                drop(work);
                if found.first().is_some_and(|column| !column.is_empty()) {
                    let all = RecordBatch::try_new(Arc::clone(&schema), found)?;
                    metrics.record_output(all.num_rows());
                    for from in (0..all.num_rows()).step_by(batch_rows) {
                        let part = all.slice(from, batch_rows.min(all.num_rows() - from));
                        if out.send(Ok(part)).await.is_err() {
                            return Ok(());
                        }
                    }
                    reservation.free();
                }
                if is_last {
                    return Ok(());
                }
            }
        });
        Ok(stream.build())
    }
}

/// Groups and what is known of each.
struct Table {
    by: Vec<Arc<dyn PhysicalExpr>>,
    groups: GroupNumbers,
    /// The group of each row of a batch.
    rows: Vec<usize>,
    sums: Vec<Box<dyn GroupsAccumulator>>,
    arguments: Vec<Vec<Arc<dyn PhysicalExpr>>>,
    filters: Vec<Option<Arc<dyn PhysicalExpr>>>,
    /// Rows and groups of them so far; none from when rows are handed on as they are.
    trial: Option<(usize, usize)>,
    /// The batch that is handed on as it is.
    passed: Vec<ArrayRef>,
}

impl Table {
    fn new(aggregate: &AggregateExec) -> Result<Self> {
        let unfit = || datafusion::error::DataFusionError::Internal("groups that have no numbers".into());
        let sums = aggregate.aggr_expr().iter().map(accumulator).collect::<Result<Vec<_>>>()?;
        Ok(Self {
            by: aggregate.group_expr().input_exprs(),
            groups: numbers(aggregate).ok_or_else(unfit)?,
            rows: vec![],
            sums,
            trial: Some((0, 0)),
            passed: vec![],
            arguments: aggregate_expressions(aggregate.aggr_expr(), aggregate.mode(), 0)?,
            filters: aggregate.filter_expr().to_vec(),
        })
    }

    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let rows = batch.num_rows();
        let evaluate = |e: &Arc<dyn PhysicalExpr>| e.evaluate(batch).and_then(|v| v.into_array(rows));
        let by = self.by.iter().map(evaluate).collect::<Result<Vec<ArrayRef>>>()?;
        let arguments = evaluate_many(&self.arguments, batch)?;
        let filters = self.filters.iter().map(|f| f.as_ref().map(evaluate).transpose());
        let filters = filters.collect::<Result<Vec<_>>>()?;
        let filters = filters.iter().map(|f| f.as_ref().map(|f| f.as_boolean()));
        if self.trial.is_none() {
            self.passed = by;
            for ((sum, arguments), filter) in self.sums.iter().zip(&arguments).zip(filters) {
                self.passed.extend(sum.convert_to_state(arguments, filter)?);
            }
            return Ok(());
        }
        let before = self.groups.len();
        self.groups.number(&by, &mut self.rows)?;
        for ((sum, arguments), filter) in self.sums.iter_mut().zip(&arguments).zip(filters) {
            sum.update_batch(arguments, &self.rows, filter, self.groups.len())?;
        }
        self.trial = self.trial.map(|(n, groups)| (n + rows, groups + self.groups.len() - before));
        Ok(())
    }

    fn is_useless(&self) -> bool {
        let useless = |(rows, groups)| rows >= TRIAL_ROWS && groups as f64 > rows as f64 * MOST_SHARE;
        self.trial.is_some_and(useless)
    }

    fn is_full(&self) -> bool {
        !self.passed.is_empty()
            || self.groups.len() >= MOST_GROUPS
            || self.is_useless()
            || (self.groups.len() > 0 && self.size() >= MOST_BYTES)
    }

    fn size(&self) -> usize {
        self.groups.size()
            + self.rows.capacity() * size_of::<usize>()
            + self.sums.iter().map(|s| s.size()).sum::<usize>()
    }

    /// What the second half wants of all groups, and forgets them.
    fn take(&mut self) -> Result<Vec<ArrayRef>> {
        if !self.passed.is_empty() {
            return Ok(std::mem::take(&mut self.passed));
        }
        if self.groups.len() == 0 {
            return Ok(vec![]);
        }
        if self.is_useless() {
            self.trial = None;
        }
        let mut out = self.groups.take()?;
        for sum in &mut self.sums {
            out.extend(sum.state(EmitTo::All)?);
        }
        Ok(out)
    }
}

/// As DataFusion makes it for its own aggregates.
fn accumulator(function: &Arc<AggregateFunctionExpr>) -> Result<Box<dyn GroupsAccumulator>> {
    if function.groups_accumulator_supported() {
        return function.create_groups_accumulator();
    }
    let function = Arc::clone(function);
    Ok(Box::new(GroupsAccumulatorAdapter::new(move || function.create_accumulator())))
}
