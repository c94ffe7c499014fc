//! The gate: the one place that asks whether something may be done.
//!
//! Every authenticated request passes [`Gate::admit`], which checks scopes and writes a record; every tool call then
//! passes [`Gate::call`], which types its arguments, says what they would touch, asks the policies, writes the decision,
//! and only then makes the [`View`] through which the tool reads. Nothing else makes one.

mod admitted;
mod cursor;
mod ledger;
mod listener;
mod node;
mod outcome;
mod permit;
mod record;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use glasshouse_core::access::{Decision, DenyReason, Principal, Question, SCOPES, UsageKey};
use glasshouse_core::time::Timestamp;
use serde_json::{Map, Value};

pub(crate) use self::admitted::Admitted;
use self::admitted::Unjudged;
use self::cursor::CursorKey;
use self::ledger::Ledger;
pub(crate) use self::listener::Listener;
pub(crate) use self::node::ThisNode;
use self::node::UNKNOWN;
pub(crate) use self::outcome::Called;
use self::outcome::{Stop, unknown_node, with_damage};
use self::permit::Permit;
pub(crate) use self::permit::View;
use self::record::Draft;
use crate::callers::{Caller, Rates};
use crate::http::challenge_scopes;
use crate::tools::{self, Arguments, Call, Page, Tool, ToolError};
use crate::world::FaceWorld;

/// The gate, one for a face.
pub(crate) struct Gate {
    world: FaceWorld,
    ledger: Mutex<Ledger>,
    rates: Rates,
    cursors: CursorKey,
    /// The number of the next decision. It starts at the time of the start in nanoseconds, so that no number comes twice.
    next: AtomicU64,
}

/// Why a request was turned away at the gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Turned {
    /// The token's scopes do not cover the tool; these would.
    Scope { scopes: Vec<String> },
    /// The method exists in the protocol and is not served here.
    NotServed,
    /// No.
    Denied { decision: String },
}

/// What is served, beside tool calls. Everything else is refused, with a record.
const SERVED: &[&str] = &[
    "initialize",
    "server/discover",
    "ping",
    "tools/list",
    "tools/call",
    "resources/list",
    "resources/templates/list",
    "resources/read",
    "prompts/list",
    "prompts/get",
    "completion/complete",
    "notifications/initialized",
    "notifications/cancelled",
    "notifications/progress",
    "notifications/roots/list_changed",
];

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("world", &self.world)
            .finish_non_exhaustive()
    }
}

impl Gate {
    /// A gate over the world; what was used before the start counts from now on for a day.
    pub(crate) fn new(mut world: FaceWorld) -> Self {
        let now = world.clock.now();
        // the world is cloned for every view, and this is counted here from now on
        let before = std::mem::take(&mut world.usage);
        Self {
            ledger: Mutex::new(Ledger::new(before, now)),
            rates: Rates::new(std::sync::Arc::clone(&world.clock)),
            cursors: CursorKey::random(),
            next: AtomicU64::new(now.nanos().unsigned_abs()),
            world,
        }
    }

    /// What it was given.
    pub(crate) const fn world(&self) -> &FaceWorld {
        &self.world
    }

    /// Whether this caller may ask once more now. Whoever asks more often is refused before anything is recorded.
    ///
    /// # Errors
    /// How long to wait.
    pub(crate) fn keep_to_the_rate(&self, principal: &Principal) -> Result<(), Duration> {
        self.rates.take(&Caller::of(principal))
    }

    /// Counts a refusal before authentication, or of a caller who asks too often.
    pub(crate) fn count_refusal(&self, reason: &'static str) {
        self.world.audit.refused(self.world.clock.now(), reason);
    }

    /// What a client without a token should ask for: the tool's scope, or all of them where no tool is named, and the
    /// default task.
    pub(crate) fn scopes_to_ask_for(&self, tool: Option<&str>) -> Vec<String> {
        let needed: Vec<String> = match tool.and_then(tools::find) {
            Some(tool) => vec![tool.scope().to_owned()],
            None => SCOPES.iter().map(|scope| (*scope).to_owned()).collect(),
        };
        challenge_scopes([], needed, &self.world.settings.default_task)
    }

    /// Lets an authenticated request in, or turns it away. Every method of the protocol passes here; a tool call is judged
    /// a second time by [`Gate::call`], with its arguments, and has its record from there.
    ///
    /// # Errors
    /// [`Turned`] where the scope is missing or the audit log cannot take the record.
    pub(crate) fn admit(
        &self,
        principal: Principal,
        method: &str,
        tool: Option<&str>,
    ) -> Result<Admitted, Turned> {
        let now = self.world.clock.now();
        let known = tool.and_then(tools::find);
        if let Some(known) = known
            && !principal.scopes.contains(known.scope())
        {
            return Err(self.turn_to_another_scope(&principal, known, now));
        }
        let open = if method == "tools/call" {
            let decision = self.next_decision();
            let draft = Draft::method(&principal, tool.unwrap_or(method), &decision, now);
            Some(Unjudged::new(&self.world, draft))
        } else {
            let decision = self.next_decision();
            let draft = Draft::method(&principal, method, &decision, now);
            let served = SERVED.contains(&method);
            let record = if served {
                draft.allowed()
            } else {
                draft.refused("not_served")
            };
            if self.world.audit.decided(&record).is_err() {
                tracing::error!("Refusing every request: the audit log cannot take a record.");
                return Err(Turned::Denied { decision });
            }
            if !served {
                return Err(Turned::NotServed);
            }
            None
        };
        Ok(Admitted {
            principal,
            method: method.to_owned(),
            tool: tool.map(str::to_owned),
            open,
        })
    }

    /// The tools of which the policies could allow some call; a missing scope hides nothing, because clients step up.
    pub(crate) fn listed(&self, admitted: &Admitted) -> Vec<&'static dyn Tool> {
        let now = self.world.clock.now();
        // before the node has said who it is no call is allowed, but a client that lists once must not find nothing for good
        let node = ThisNode::read(&self.world).map_or(UNKNOWN, |node| node.id);
        tools::TOOLS
            .iter()
            .copied()
            .filter(|tool| self.could_allow(&admitted.principal, *tool, node, now))
            .collect()
    }

    /// Judges one tool call and makes it. Blocks: it reads files and writes records. Where `listener` no longer waits for
    /// the answer, the record says so.
    pub(crate) fn call(
        &self,
        admitted: &Admitted,
        name: &str,
        arguments: Option<&Map<String, Value>>,
        listener: &Listener,
    ) -> Called {
        let now = self.world.clock.now();
        let decision = self.next_decision();
        let node = ThisNode::read(&self.world);
        let principal = &admitted.principal;
        let mut draft = Draft::call(principal, name, arguments, node.as_ref(), &decision, now);
        let judged = node
            .ok_or_else(|| unknown_node(&decision))
            .and_then(|node| {
                let judged = self.judge(admitted, name, arguments, &node, now, &mut draft)?;
                Ok((judged, node))
            });
        let ((tool, call, view), node) = match judged {
            Ok(judged) => judged,
            Err(stop) => {
                let stop = self.hide_what_is_denied(principal, name, now, stop);
                admitted.was_judged();
                return self.stop(&draft, stop);
            }
        };
        let answered = tool
            .answer(&call, &view)
            .map(|answer| with_damage(answer, &view))
            .and_then(|answer| self.finish(tool, &call, principal, &node, &answer));
        self.record_outcome(&decision, answered, listener)
    }

    /// Records a call that found no turn in time. Blocks.
    pub(crate) fn turn_away(
        &self,
        admitted: &Admitted,
        name: &str,
        arguments: Option<&Map<String, Value>>,
    ) -> Called {
        let (now, decision) = (self.world.clock.now(), self.next_decision());
        let node = ThisNode::read(&self.world);
        let principal = &admitted.principal;
        let draft = Draft::call(principal, name, arguments, node.as_ref(), &decision, now);
        admitted.was_judged();
        self.stop(&draft, Stop::Busy)
    }

    /// Everything up to the view: the record of the decision is written when this returns.
    fn judge(
        &self,
        admitted: &Admitted,
        name: &str,
        arguments: Option<&Map<String, Value>>,
        node: &ThisNode,
        now: Timestamp,
        draft: &mut Draft,
    ) -> Result<(&'static dyn Tool, Call, View), Stop> {
        let principal = &admitted.principal;
        let tool = tools::find(name).filter(|_| admitted.tool.as_deref() == Some(name));
        let tool = tool.ok_or(Stop::Denied(DenyReason::UnknownTool, Vec::new()))?;
        let arguments = Arguments::parse(tool.parameters(), arguments).map_err(Stop::Wrong)?;
        node.resolve(arguments.text("scope"), &self.world.settings.node_labels)
            .map_err(Stop::WrongNode)?;
        let page = self.page(tool, principal, &arguments, now)?;
        let call = Call {
            arguments,
            page,
            now,
        };
        let bounds = tool.plan(&call).map_err(Stop::Wrong)?;
        draft.rows = bounds.rows;
        let question = Question {
            principal,
            tool: tool.name(),
            node: node.id,
            input: call.arguments.typed(),
            bounds: &bounds,
            used: glasshouse_core::access::Usage::default(),
            now,
        };
        match self.decide(question) {
            Decision::Allow { policies } => draft.policies = policies,
            Decision::Deny { reason, policies } => return Err(Stop::Denied(reason, policies)),
        }
        admitted.was_judged();
        if self.world.audit.decided(&draft.allowed()).is_err() {
            return Err(Stop::Denied(DenyReason::AuditUnavailable, Vec::new()));
        }
        let permit = Permit::new(principal.clone(), tool, node.clone(), &call, bounds);
        Ok((tool, call, View::new(self.world.clone(), permit)))
    }

    /// Whoever may make no call of a tool is told nothing about its arguments. Asked only once something is wrong with
    /// them, because a good call is decided as a whole and listing costs the policies more than deciding.
    fn hide_what_is_denied(
        &self,
        principal: &Principal,
        name: &str,
        now: Timestamp,
        stop: Stop,
    ) -> Stop {
        let node = ThisNode::read(&self.world).map_or(UNKNOWN, |node| node.id);
        let may = |tool| self.could_allow(principal, tool, node, now);
        match stop {
            Stop::Wrong(_) | Stop::WrongNode(_) if !tools::find(name).is_some_and(may) => {
                Stop::Denied(DenyReason::NoPolicy, Vec::new())
            }
            stop => stop,
        }
    }

    /// Asks the policies while the counts stand still, and counts what they allow: two calls at once cannot both be the
    /// last one of a budget.
    fn decide(&self, mut question: Question<'_>) -> Decision {
        let Some(task) = &question.principal.task else {
            return Decision::Deny {
                reason: DenyReason::UnknownTask,
                policies: Vec::new(),
            };
        };
        let key = UsageKey {
            issuer: question.principal.issuer.clone(),
            subject: question.principal.subject.clone(),
            task: task.clone(),
        };
        let Ok(mut ledger) = self.ledger.lock() else {
            return trouble("the counts of use are broken");
        };
        let Some(used) = ledger.used(&key, question.now) else {
            return trouble("more callers than can be counted");
        };
        question.used = used;
        let decision = self.world.authorizer.decide(&question);
        if matches!(decision, Decision::Allow { .. }) {
            ledger.add(key, question.bounds.rows, question.now);
        }
        decision
    }

    fn page(
        &self,
        tool: &dyn Tool,
        principal: &Principal,
        arguments: &Arguments,
        now: Timestamp,
    ) -> Result<Option<Page>, Stop> {
        let Some(cursor) = arguments.text("cursor") else {
            return Ok(None);
        };
        self.cursors
            .open(cursor, tool.name(), principal, arguments, now)
            .map(Some)
            .ok_or(Stop::Wrong(ToolError::Cursor))
    }

    fn could_allow(
        &self,
        principal: &Principal,
        tool: &dyn Tool,
        node: glasshouse_core::identity::NodeId,
        now: Timestamp,
    ) -> bool {
        principal.task.is_some()
            && self
                .world
                .authorizer
                .could_allow(principal, tool.name(), node, now)
    }

    fn turn_to_another_scope(
        &self,
        principal: &Principal,
        tool: &dyn Tool,
        now: Timestamp,
    ) -> Turned {
        let decision = self.next_decision();
        let draft = Draft::method(principal, tool.name(), &decision, now);
        if self.world.audit.decided(&draft.refused("scope")).is_err() {
            return Turned::Denied { decision };
        }
        let task = principal.task.as_ref();
        Turned::Scope {
            scopes: challenge_scopes(
                principal.scopes.iter().cloned(),
                [tool.scope().to_owned()],
                task.unwrap_or(&self.world.settings.default_task),
            ),
        }
    }

    fn next_decision(&self) -> String {
        format!("d-{:016x}", self.next.fetch_add(1, Ordering::Relaxed))
    }
}

fn trouble(detail: &str) -> Decision {
    Decision::Deny {
        reason: DenyReason::Trouble(detail.to_owned()),
        policies: Vec::new(),
    }
}
