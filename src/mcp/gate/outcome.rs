//! What becomes of a call: an answer within its budget, or a word for why there is none; in the record either way.

use glasshouse_core::access::{DenyReason, Principal};
use glasshouse_core::audit::OutcomeRecord;

use super::Gate;
use super::listener::Listener;
use super::node::ThisNode;
use super::permit::View;
use super::record::Draft;
use crate::answer::{Answer, Rendered};
use crate::tools::{Call, Page, Tool, ToolError};

/// Said where a reader left out what is damaged and the tool does not say so itself.
const DAMAGE: &str = "Something in the store is damaged: series or values may be missing here; `telemetry_health` and `glasshouse store stat` say more.";

/// The answer, which says that something may be missing from it where that is so.
pub(super) fn with_damage(mut answer: Answer, view: &View) -> Answer {
    if view.has_untold_damage() {
        answer.notes.push(DAMAGE.to_owned());
    }
    answer
}

/// What became of a call.
#[derive(Debug)]
pub(crate) enum Called {
    /// The answer in both forms.
    Answered(Rendered),
    /// Not permitted or not found: the caller is told the decision and nothing else.
    Denied { decision: String },
    /// The call was wrong or could not be answered, and this says how to do better.
    Failed(String),
}

impl Gate {
    /// The output stage: one page within the token budget, checked against the tool's schema.
    pub(super) fn finish(
        &self,
        tool: &dyn Tool,
        call: &Call,
        principal: &Principal,
        node: &ThisNode,
        answer: &Answer,
    ) -> Result<Rendered, ToolError> {
        let first = call.page.map_or(0, |page| page.offset);
        let seal = |offset: usize, answer: &Answer| {
            let page = Page {
                offset,
                window: answer.window?,
            };
            tool.pages().then(|| {
                self.cursors
                    .seal(page, tool.name(), principal, &call.arguments, call.now)
            })
        };
        let rendered = answer.render(node, call.now, first, call.max_tokens(), &seal)?;
        crate::answer::check(&rendered.structured, &tool.output_schema())
            .map_err(|problem| ToolError::Malformed { problem })?;
        Ok(rendered)
    }

    pub(super) fn record_outcome(
        &self,
        decision: &str,
        answered: Result<Rendered, ToolError>,
        listener: &Listener,
    ) -> Called {
        let heard = listener.takes_the_answer();
        let (outcome, rows, bytes, truncated) = match &answered {
            _ if !heard => ("abandoned", 0, 0, false),
            Ok(rendered) => (
                "answered",
                rendered.rows,
                rendered.bytes(),
                rendered.truncated,
            ),
            Err(error) => (error.word(), 0, 0, false),
        };
        let record = OutcomeRecord {
            decision: decision.to_owned(),
            at: self.world.clock.now(),
            outcome: outcome.to_owned(),
            rows,
            bytes,
            truncated,
        };
        if self.world.audit.ended(&record).is_err() {
            tracing::error!(
                decision,
                "Withholding an answer: the audit log cannot take its outcome."
            );
            return Called::Denied {
                decision: decision.to_owned(),
            };
        }
        match answered {
            Ok(rendered) => Called::Answered(rendered),
            Err(error) => {
                error.log(decision);
                Called::Failed(error.to_string())
            }
        }
    }

    /// Records why a call went no further and says so to the caller.
    pub(super) fn stop(&self, draft: &Draft, stop: Stop) -> Called {
        let decision = draft.decision.clone();
        let denied = Called::Denied {
            decision: decision.clone(),
        };
        let (record, told) = match stop {
            Stop::Denied(reason, policies) => {
                if let DenyReason::Trouble(detail) = &reason {
                    tracing::warn!(decision, detail, "Denied a call because of trouble.");
                }
                let mut record = draft.refused(reason.word());
                record.policies = policies;
                (record, denied.clone_denial())
            }
            Stop::Busy => (draft.refused("busy"), Called::busy()),
            Stop::Wrong(error) => (
                draft.refused("arguments"),
                Called::Failed(error.to_string()),
            ),
            Stop::WrongNode(error) => (
                draft.refused(DenyReason::UnknownNode.word()),
                Called::Failed(error.to_string()),
            ),
        };
        if self.world.audit.decided(&record).is_err() {
            tracing::error!(
                decision,
                "Denying a call: the audit log cannot take a record."
            );
            return denied;
        }
        told
    }
}

/// Why a call goes no further.
pub(super) enum Stop {
    /// The policies, or what stands in their place, said no.
    Denied(DenyReason, Vec<String>),
    /// An argument is wrong.
    Wrong(ToolError),
    /// `scope` names no node here, or this node is not known yet.
    WrongNode(ToolError),
    /// It found no turn in time.
    Busy,
}

impl Called {
    /// What a caller is told who gets no answer in time.
    pub(crate) fn busy() -> Self {
        Self::Failed(
            "the server is busy and gave no answer in time; ask for less or try again later"
                .to_owned(),
        )
    }

    fn clone_denial(&self) -> Self {
        match self {
            Self::Denied { decision } => Self::Denied {
                decision: decision.clone(),
            },
            _ => Self::Failed(String::new()),
        }
    }
}

/// No policy about a node, a rack or a site can be judged for nobody.
pub(super) fn unknown_node(decision: &str) -> Stop {
    tracing::warn!(
        decision,
        "Denied a call: the node's inventory cannot be read, so it is not known which node this is."
    );
    Stop::WrongNode(ToolError::NodeUnknown)
}
