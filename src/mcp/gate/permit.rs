//! Proof that one call was allowed, and the only way to the data.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::Arc;

use glasshouse_core::access::{Bounds, Decision, Principal, Question, Usage};
use glasshouse_core::condition::Severity;
use glasshouse_core::finding::{Event, is_about_collection};
use glasshouse_core::reader::{
    Found, Inventory, Latest, RangeAnswer, RangeQuery, ReadError, Selector, SeriesInfo,
    TierCoverage, Truncation,
};
use glasshouse_core::time::{Timestamp, Window};

use super::node::ThisNode;
use crate::tools::{Call, Tool};
use crate::world::FaceWorld;

/// The most metric names that an error asks the policies about.
const MOST_SUGGESTIONS_ASKED: usize = 512;

/// What a token needs to be shown what the store holds.
const TELEMETRY_SCOPE: &str = "telemetry:read";
/// What a token needs to be shown facts, whichever tool it asks.
const INVENTORY_SCOPE: &str = "inventory:read";
/// The one fact that every answer has in its head anyway.
const HOST_NAME: &str = "host.name";

/// That one call was allowed, and within which bounds. Only the gate makes one.
#[derive(Debug)]
pub(crate) struct Permit {
    pub(super) principal: Principal,
    tool: &'static dyn Tool,
    node: ThisNode,
    input: std::collections::BTreeMap<String, glasshouse_core::access::Argument>,
    bounds: Bounds,
    now: Timestamp,
}

impl Permit {
    pub(super) fn new(
        principal: Principal,
        tool: &'static dyn Tool,
        node: ThisNode,
        call: &Call,
        bounds: Bounds,
    ) -> Self {
        Self {
            principal,
            tool,
            node,
            input: call.arguments.typed().clone(),
            bounds,
            now: call.now,
        }
    }
}

/// The readers, held to a permit: whatever a tool asks for, it gets no other metric, time or node, and no more rows.
#[derive(Debug)]
pub(crate) struct View {
    world: FaceWorld,
    permit: Permit,
    rows_left: Cell<u64>,
    /// Something that was asked for could not be read.
    met_damage: Cell<bool>,
    /// The tool has asked what is damaged, and says it.
    tells_damage: Cell<bool>,
}

impl View {
    pub(super) fn new(world: FaceWorld, permit: Permit) -> Self {
        let rows_left = Cell::new(permit.bounds.rows);
        Self {
            world,
            permit,
            rows_left,
            met_damage: Cell::new(false),
            tells_damage: Cell::new(false),
        }
    }

    #[cfg(test)]
    pub(super) const fn permit_mut(&mut self) -> &mut Permit {
        &mut self.permit
    }

    /// Rows that may still be read.
    pub(crate) const fn rows_left(&self) -> u64 {
        self.rows_left.get()
    }

    /// Whether something that was asked for may be missing because it is damaged, and the answer does not say so yet.
    pub(crate) const fn has_untold_damage(&self) -> bool {
        self.met_damage.get() && !self.tells_damage.get()
    }

    /// The series that match. Names and labels are not rows: nothing is counted.
    pub(crate) fn series(
        &self,
        selector: &Selector,
        window: Window,
    ) -> Result<Vec<Arc<SeriesInfo>>, ReadError> {
        let (Some(selector), Some(window)) = (self.held(selector), self.held_window(window)) else {
            return Ok(Vec::new());
        };
        let found = self.world.samples.series(&selector, window)?;
        Ok(self.noting(found))
    }

    /// The newest sample of each matching series, as many as there are rows left.
    pub(crate) fn latest(&self, selector: &Selector) -> Result<Vec<Latest>, ReadError> {
        let Some(selector) = self.held(selector) else {
            return Ok(Vec::new());
        };
        let window = self.permit.bounds.window;
        let latest = self.world.samples.latest(&selector, self.permit.now)?;
        let mut latest = self.noting(latest);
        latest.retain(|entry| window.from <= entry.sample.at && entry.sample.at <= window.to);
        latest.truncate(usize::try_from(self.rows_left()).unwrap_or(usize::MAX));
        self.take(latest.len());
        Ok(latest)
    }

    /// Values over time: the window is cut to the permit's, the budget to the rows left.
    pub(crate) fn range(&self, query: &RangeQuery) -> Result<Option<RangeAnswer>, ReadError> {
        let rows = usize::try_from(self.rows_left()).unwrap_or(usize::MAX);
        let (Some(selector), Some(window)) =
            (self.held(&query.selector), self.held_window(query.window))
        else {
            return Ok(None);
        };
        if rows == 0 {
            return Ok(None);
        }
        let mut query = RangeQuery {
            selector,
            window,
            ..query.clone()
        };
        query.budget.points = query.budget.points.min(rows);
        query.budget.series = query.budget.series.min(rows);
        let mut answer = self.world.samples.range(&query)?;
        self.note(answer.truncated.has(Truncation::Damage));
        // a reader that gives more than its budget gives it to nobody
        let mut left = query.budget.points;
        for series in &mut answer.series {
            series.values.truncate(left);
            left -= series.values.len();
        }
        self.take(query.budget.points - left);
        Ok(Some(answer))
    }

    /// What the store holds; nothing where the token may not read telemetry.
    pub(crate) fn coverage(&self) -> Result<Vec<TierCoverage>, ReadError> {
        if !self.has_scope(TELEMETRY_SCOPE) {
            return Ok(Vec::new());
        }
        self.world.samples.coverage()
    }

    /// How many files of the store are damaged. Whoever asks says it in the answer.
    pub(crate) fn damaged_files(&self) -> Result<usize, ReadError> {
        if !self.has_scope(TELEMETRY_SCOPE) {
            return Ok(0);
        }
        let damaged = self.world.samples.damaged()?.len();
        if damaged > 0 {
            self.tells_damage.set(true);
        }
        Ok(damaged)
    }

    /// The open events about the collection itself, the worst first; others have a scope of their own. Nothing where
    /// the token may not read telemetry.
    pub(crate) fn collection_events(&self) -> Result<Vec<Event>, ReadError> {
        if !self.has_scope(TELEMETRY_SCOPE) {
            return Ok(Vec::new());
        }
        let open = self.world.findings.open()?;
        let events = open.events.iter();
        Ok(events
            .filter(|event| is_about_collection(&event.finding.cause))
            .cloned()
            .collect())
    }

    /// How many events of a severity are open. What they are about is not told.
    pub(crate) fn open_events(&self, severity: Severity) -> Result<usize, ReadError> {
        let open = self.world.findings.open()?;
        let events = open.events.iter();
        Ok(events
            .filter(|event| event.finding.severity == severity)
            .count())
    }

    /// What the node is, and how its collectors do. Facts are shown to a token that may read the inventory; any other
    /// gets the host's name alone.
    pub(crate) fn inventory(&self) -> Result<Arc<Inventory>, ReadError> {
        let inventory = self.world.inventory.inventory()?;
        if self.shows_facts() {
            return Ok(inventory);
        }
        let mut rest = Inventory::clone(&inventory);
        rest.facts.retain(|fact| fact.key == HOST_NAME);
        Ok(Arc::new(rest))
    }

    /// Whether the token may read the facts of the inventory.
    pub(crate) fn shows_facts(&self) -> bool {
        self.has_scope(INVENTORY_SCOPE)
    }

    fn has_scope(&self, scope: &str) -> bool {
        self.permit.principal.scopes.contains(scope)
    }

    /// The metrics for which the policies would allow this very call: what an error may name.
    pub(crate) fn allowed_metrics(&self) -> Result<Vec<String>, ReadError> {
        let bounds = &self.permit.bounds;
        let all = self
            .world
            .samples
            .series(&Selector::default(), bounds.window)?;
        let names: BTreeSet<&str> = all
            .entries
            .iter()
            .map(|info| info.metric.as_str())
            .collect();
        Ok(names
            .into_iter()
            .take(MOST_SUGGESTIONS_ASKED)
            .filter(|name| self.would_allow(name))
            .map(str::to_owned)
            .collect())
    }

    fn would_allow(&self, metric: &str) -> bool {
        let mut bounds = self.permit.bounds.clone();
        bounds.metrics = Some(BTreeSet::from([metric.to_owned()]));
        let mut input = self.permit.input.clone();
        input.insert(
            "metric".to_owned(),
            glasshouse_core::access::Argument::Text(metric.to_owned()),
        );
        let question = Question {
            principal: &self.permit.principal,
            tool: self.permit.tool.name(),
            node: self.permit.node.id,
            input: &input,
            bounds: &bounds,
            used: Usage::default(),
            now: self.permit.now,
        };
        matches!(
            self.world.authorizer.decide(&question),
            Decision::Allow { .. }
        )
    }

    /// The selector with no metric that is not permitted; `None` where none is left, which never means all.
    fn held(&self, selector: &Selector) -> Option<Selector> {
        let Some(permitted) = &self.permit.bounds.metrics else {
            return Some(selector.clone());
        };
        let metrics: Vec<String> = if selector.metrics.is_empty() {
            permitted.iter().cloned().collect()
        } else {
            let asked = selector.metrics.iter();
            asked
                .filter(|name| permitted.contains(*name))
                .cloned()
                .collect()
        };
        (!metrics.is_empty()).then(|| Selector {
            metrics,
            labels: selector.labels.clone(),
        })
    }

    fn held_window(&self, window: Window) -> Option<Window> {
        self.permit.bounds.window.intersect(window)
    }

    fn noting<T>(&self, found: Found<T>) -> Vec<T> {
        self.note(found.damaged);
        found.entries
    }

    fn note(&self, damaged: bool) {
        self.met_damage.set(self.met_damage.get() || damaged);
    }

    fn take(&self, rows: usize) {
        let rows = u64::try_from(rows).unwrap_or(u64::MAX);
        self.rows_left
            .set(self.rows_left.get().saturating_sub(rows));
    }
}
