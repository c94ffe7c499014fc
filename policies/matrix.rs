//! Every task × tool × representative call, and the answer: the golden file `matrix.snap` shows what a change to a
//! policy changes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use glasshouse_core::access::{
    Argument, Authorizer as _, Bounds, Decision, Principal, Question, Usage,
};
use glasshouse_core::identity::NodeId;
use glasshouse_core::time::{Timestamp, Window};

use crate::engine::PolicyEngine;
use crate::schema::{Field, Kind};

/// 2026-01-01T00:00:00Z: the matrix must not change with the day.
pub(crate) const NOW: i64 = 1_767_225_600;

/// Some node.
pub(crate) const NODE: NodeId = NodeId::from_bytes([7; 16]);

/// A tool that there is not.
const UNKNOWN_TOOL: &str = "reboot";

/// A task that no policy describes.
const UNKNOWN_TASK: &str = "no-such-task";

/// What a representative call asks for, on top of its tool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    /// How it is called in the matrix.
    pub(crate) name: &'static str,
    /// Where its window begins; negative lies ahead.
    pub(crate) from_seconds_back: i64,
    /// Where its window ends.
    pub(crate) to_seconds_back: i64,
    /// Calls that were made before.
    pub(crate) calls: u64,
    /// Whether every argument of the tool is given, or only what must be.
    pub(crate) every_argument: bool,
}

impl Default for Call {
    fn default() -> Self {
        NOW_CALL
    }
}

const NOW_CALL: Call = Call {
    name: "the last hour",
    from_seconds_back: 3_600,
    to_seconds_back: 0,
    calls: 0,
    every_argument: false,
};

const DAY: i64 = 86_400;

/// At, below and beyond each limit of the built-in policies.
pub(crate) const CALLS: &[Call] = &[
    NOW_CALL,
    Call {
        name: "every argument",
        every_argument: true,
        ..NOW_CALL
    },
    Call {
        name: "24 h back",
        from_seconds_back: DAY,
        ..NOW_CALL
    },
    Call {
        name: "24 h and 1 s back",
        from_seconds_back: DAY + 1,
        ..NOW_CALL
    },
    Call {
        name: "30 d back",
        from_seconds_back: 30 * DAY,
        ..NOW_CALL
    },
    Call {
        name: "30 d and 1 s back",
        from_seconds_back: 30 * DAY + 1,
        ..NOW_CALL
    },
    Call {
        name: "since 1970",
        from_seconds_back: NOW,
        ..NOW_CALL
    },
    Call {
        name: "1 min ahead",
        to_seconds_back: -60,
        ..NOW_CALL
    },
    Call {
        name: "1 min and 1 s ahead",
        to_seconds_back: -61,
        ..NOW_CALL
    },
    Call {
        name: "all of it ahead",
        from_seconds_back: -3_600,
        to_seconds_back: -7_200,
        ..NOW_CALL
    },
    Call {
        name: "backwards",
        from_seconds_back: 3_600,
        to_seconds_back: 7_200,
        ..NOW_CALL
    },
    Call {
        name: "499 calls used",
        calls: 499,
        ..NOW_CALL
    },
    Call {
        name: "500 calls used",
        calls: 500,
        ..NOW_CALL
    },
    Call {
        name: "all calls used",
        calls: u64::MAX,
        ..NOW_CALL
    },
];

impl Call {
    /// Asks with this input.
    pub(crate) fn ask_with<T>(
        &self,
        principal: &Principal,
        tool: &str,
        input: &BTreeMap<String, Argument>,
        ask: impl FnOnce(&Question<'_>) -> T,
    ) -> T {
        let at = |back: i64| Timestamp::from_seconds(NOW.saturating_sub(back));
        let window = Window {
            from: at(self.from_seconds_back),
            to: at(self.to_seconds_back),
        };
        ask(&Question {
            principal,
            tool,
            node: NODE,
            input,
            bounds: &Bounds {
                metrics: None,
                window,
                rows: 1_000,
            },
            used: Usage {
                calls: self.calls,
                rows: 0,
            },
            now: Timestamp::from_seconds(NOW),
        })
    }
}

/// The answers to representative calls of every tool for every task, one line each, and whether the tool is listed.
#[must_use]
pub fn matrix(engine: &PolicyEngine) -> String {
    let tasks = engine.tasks();
    let names = tasks.iter().map(|task| Some(task.name.as_str()));
    let mut text = String::new();
    for task in names.chain([None, Some(UNKNOWN_TASK)]) {
        let principal = principal(task);
        for tool in engine.tools.names().chain([UNKNOWN_TOOL]) {
            let listed = engine.could_allow(&principal, tool, NODE, Timestamp::from_seconds(NOW));
            let listed = if listed { "listed" } else { "hidden" };
            let task = task.unwrap_or("(no task)");
            line(&mut text, &format!("{task} {tool}: {listed}"));
            for call in CALLS {
                let answer = answer(engine, &principal, tool, call);
                line(&mut text, &format!("    {:<20} {answer}", call.name));
            }
        }
    }
    text
}

/// One answer, as the matrix shows it.
pub(crate) fn answer(
    engine: &PolicyEngine,
    principal: &Principal,
    tool: &str,
    call: &Call,
) -> String {
    let input = engine
        .tools
        .get(tool)
        .map(|tool| record(&tool.arguments, call.every_argument));
    let decision = call.ask_with(principal, tool, &input.unwrap_or_default(), |question| {
        engine.decide(question)
    });
    let (word, policies) = match decision {
        Decision::Allow { policies } => ("allow".to_owned(), policies),
        Decision::Deny { reason, policies } => (format!("deny  {}", reason.word()), policies),
    };
    format!("{word} {}", policies.join(" "))
        .trim_end()
        .to_owned()
}

/// Somebody with that task and every scope.
pub(crate) fn principal(task: Option<&str>) -> Principal {
    Principal {
        subject: "somebody".to_owned(),
        client: "some-client".to_owned(),
        issuer: "https://issuer.example".to_owned(),
        token_id: "some-token".to_owned(),
        scopes: glasshouse_core::access::SCOPES
            .iter()
            .map(|scope| (*scope).to_owned())
            .collect(),
        task: task.map(str::to_owned),
        groups: BTreeSet::new(),
        expires: Timestamp::from_seconds(NOW).after(Duration::from_secs(300)),
    }
}

/// Some value for each argument.
pub(crate) fn record(fields: &BTreeMap<String, Field>, every: bool) -> BTreeMap<String, Argument> {
    fields
        .iter()
        .filter(|(_, field)| every || field.required)
        .map(|(name, field)| (name.clone(), some(&field.kind, every)))
        .collect()
}

fn some(kind: &Kind, every: bool) -> Argument {
    match kind {
        Kind::Text => Argument::Text("x".to_owned()),
        Kind::Integer => Argument::Integer(1),
        Kind::Bool => Argument::Bool(true),
        Kind::Set(of) => Argument::List(vec![some(of, every)]),
        Kind::Record(fields) => Argument::Record(record(fields, every)),
        Kind::Choice(_, words) => Argument::Text(words.first().cloned().unwrap_or_default()),
    }
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}
