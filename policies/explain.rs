//! Why a question was answered as it was, in plain words: for `glasshouse policy explain` and for policy writers.

use std::fmt;

use cedar_policy::{
    ActionConstraint, Authorizer as Cedar, Decision as Answer, Effect, Entities, EntityUid, Policy,
    PolicySet, PrincipalConstraint, Request,
};
use glasshouse_core::access::{Authorizer as _, Decision, DenyReason, Question};
use serde_json::{Value, json};

use crate::engine::PolicyEngine;

/// Nesting of a condition that is taken apart; deeper ones are shown as a whole.
const DEEPEST: usize = 32;

/// Why a question was answered as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The answer.
    pub decision: Decision,
    /// The policies that made it, each with its conditions and the values that met them.
    pub matched: Vec<Refusal>,
    /// The permits that did not apply, and what kept them from it.
    pub refused: Vec<Refusal>,
}

/// One policy, and what its conditions had to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The id of the policy.
    pub policy: String,
    /// Sentences, lower case, no period.
    pub why: Vec<String>,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.decision {
            Decision::Allow { .. } => writeln!(f, "allowed")?,
            Decision::Deny {
                reason: DenyReason::Trouble(detail),
                ..
            } => writeln!(f, "denied: trouble: {detail}")?,
            Decision::Deny { reason, .. } => writeln!(f, "denied: {}", reason.word())?,
        }
        for (word, policies) in [("by", &self.matched), ("not by", &self.refused)] {
            for refusal in policies {
                writeln!(f, "  {word} {}", refusal.policy)?;
                for why in &refusal.why {
                    writeln!(f, "    {why}")?;
                }
            }
        }
        Ok(())
    }
}

/// Answers a question and says why. Slow (each condition is evaluated alone); never used to decide.
#[must_use]
pub fn explain(engine: &PolicyEngine, question: &Question<'_>) -> Explanation {
    let decision = engine.decide(question);
    let mut explanation = Explanation {
        decision,
        matched: Vec::new(),
        refused: Vec::new(),
    };
    let Some(tool) = engine.tools.get(question.tool) else {
        return explanation;
    };
    let Ok(world) = engine.world(question.principal, question.node) else {
        return explanation;
    };
    let Ok(request) = engine.request(question, tool, &world) else {
        return explanation;
    };
    let asked = Asked {
        request,
        entities: world.entities.clone(),
        task: question.principal.task.as_deref(),
    };
    let loaded = engine.loaded();
    let mut policies: Vec<&Policy> = loaded.policies.policies().collect();
    policies.sort_by_key(|policy| policy.id().to_string());
    for policy in policies {
        let applies = asked.satisfies(policy);
        let why = if applies {
            asked.conditions(policy)
        } else {
            asked.obstacles(policy)
        };
        let refusal = Refusal {
            policy: policy.id().to_string(),
            why,
        };
        match (policy.effect(), applies) {
            (_, true) => explanation.matched.push(refusal),
            (Effect::Permit, false) => explanation.refused.push(refusal),
            (Effect::Forbid, false) => {}
        }
    }
    explanation
}

struct Asked<'a> {
    request: Request,
    entities: Entities,
    task: Option<&'a str>,
}

impl Asked<'_> {
    /// Whether a policy applies, whatever the others say.
    fn satisfies(&self, policy: &Policy) -> bool {
        let mut alone = PolicySet::new();
        if alone.add(policy.clone()).is_err() {
            return false;
        }
        let response = Cedar::new().is_authorized(&self.request, &alone, &self.entities);
        response.diagnostics().reason().next().is_some()
            || (policy.effect() == Effect::Permit && response.decision() == Answer::Allow)
    }

    /// What kept a permit from applying: its head, or each condition that fails.
    fn obstacles(&self, policy: &Policy) -> Vec<String> {
        let mut why = Vec::new();
        if let PrincipalConstraint::In(parent) | PrincipalConstraint::IsIn(_, parent) =
            policy.principal_constraint()
        {
            let name: &str = parent.id().as_ref();
            if self.task != Some(name) && parent.type_name().basename() == "Task" {
                why.push(format!("it is for the task `{name}`"));
            }
        }
        if !self.names_the_action(policy) {
            why.push("it does not name this tool".to_owned());
        }
        if why.is_empty() {
            why.extend(
                parts(policy)
                    .into_iter()
                    .filter(|part| !self.holds(part))
                    .map(|part| format!("it asks for `{}`{}", part.text, self.values(&part.body))),
            );
        }
        if why.is_empty() {
            why.push("its head does not fit the caller or the node".to_owned());
        }
        why
    }

    /// The conditions of a policy that applies, with the values that met them.
    fn conditions(&self, policy: &Policy) -> Vec<String> {
        parts(policy)
            .into_iter()
            .map(|part| format!("because `{}`{}", part.text, self.values(&part.body)))
            .collect()
    }

    fn names_the_action(&self, policy: &Policy) -> bool {
        let asked: Option<&EntityUid> = self.request.action();
        match policy.action_constraint() {
            ActionConstraint::Any => true,
            ActionConstraint::Eq(named) => asked == Some(&named),
            ActionConstraint::In(named) => named.iter().any(|action| asked == Some(action)),
        }
    }

    fn holds(&self, part: &Part) -> bool {
        self.satisfies(&part.policy)
    }

    /// ` (context.used.calls is 500)` for every attribute of the context that a condition reads.
    fn values(&self, body: &Value) -> String {
        let context = self
            .request
            .context()
            .and_then(|context| context.to_json_value().ok());
        let mut paths = Vec::new();
        context_paths(body, 0, &mut paths);
        paths.sort();
        paths.dedup();
        let values: Vec<String> = paths
            .iter()
            .filter_map(|path| {
                let value = context.as_ref()?.pointer(&format!("/{}", path.join("/")))?;
                Some(format!("context.{} is {value}", path.join(".")))
            })
            .collect();
        if values.is_empty() {
            String::new()
        } else {
            format!(" ({})", values.join(", "))
        }
    }
}

/// One condition that stands alone.
struct Part {
    /// It, as the only condition of a policy.
    policy: Policy,
    /// As it reads.
    text: String,
    /// As Cedar's JSON.
    body: Value,
}

/// The conditions of a policy: its clauses, a `when` with `&&` taken apart.
fn parts(policy: &Policy) -> Vec<Part> {
    let json = policy.to_json().unwrap_or_default();
    let clauses = json
        .get("conditions")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let mut parts = Vec::new();
    for clause in clauses {
        let kind = clause
            .get("kind")
            .and_then(Value::as_str)
            .unwrap_or("when")
            .to_owned();
        let mut bodies = Vec::new();
        let body = clause.get("body").cloned().unwrap_or_default();
        if kind == "when" {
            conjuncts(body, 0, &mut bodies)
        } else {
            bodies.push(body)
        }
        parts.extend(bodies.into_iter().filter_map(|body| part(&kind, body)));
    }
    parts
}

fn conjuncts(body: Value, depth: usize, into: &mut Vec<Value>) {
    let (left, right) = (body.pointer("/&&/left"), body.pointer("/&&/right"));
    match (left, right) {
        (Some(left), Some(right)) if depth < DEEPEST => {
            conjuncts(left.clone(), depth + 1, into);
            conjuncts(right.clone(), depth + 1, into);
        }
        _ => into.push(body),
    }
}

fn part(kind: &str, body: Value) -> Option<Part> {
    let all = json!({ "op": "All" });
    let json = json!({
        "effect": "permit", "principal": all, "action": all, "resource": all,
        "conditions": [{ "kind": kind, "body": body }],
    });
    let policy = Policy::from_json(None, json).ok()?;
    let text = policy.to_string();
    let inner = text
        .split_once('{')
        .and_then(|(_, rest)| rest.rsplit_once('}'))?
        .0;
    let words: Vec<&str> = inner.split_whitespace().collect();
    let prefix = if kind == "unless" { "not " } else { "" };
    Some(Part {
        text: format!("{prefix}{}", words.join(" ")),
        policy,
        body,
    })
}

/// The attributes of the context that an expression reads, as paths.
fn context_paths(body: &Value, depth: usize, into: &mut Vec<Vec<String>>) {
    if depth > DEEPEST {
        return;
    }
    if let Some(path) = context_path(body) {
        into.push(path);
        return;
    }
    match body {
        Value::Object(fields) => {
            fields
                .values()
                .for_each(|value| context_paths(value, depth + 1, into));
        }
        Value::Array(items) => items
            .iter()
            .for_each(|item| context_paths(item, depth + 1, into)),
        _ => {}
    }
}

fn context_path(body: &Value) -> Option<Vec<String>> {
    let mut path = Vec::new();
    let mut at = body;
    while let Some(access) = at.get(".") {
        path.push(access.get("attr")?.as_str()?.to_owned());
        at = access.get("left")?;
        if path.len() > DEEPEST {
            return None;
        }
    }
    path.reverse();
    (!path.is_empty() && at.get("Var")?.as_str() == Some("context")).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Call, principal};

    #[test]
    fn a_refusal_names_the_condition_and_the_value() {
        let engine = PolicyEngine::built_in().unwrap();
        let principal = principal(Some("capacity-review"));
        let call = Call {
            from_seconds_back: 3_000_000,
            calls: 500,
            ..Call::default()
        };
        let shown = call
            .ask(&principal, "query_series", |question| {
                explain(&engine, question)
            })
            .to_string();
        assert_eq!(
            shown,
            "denied: no_policy
  not by tasks/capacity-review:capacity-review
    it asks for `context.bounds.from_minutes <= 43200` (context.bounds.from_minutes is 50000)
    it asks for `context.used.calls < 500` (context.used.calls is 500)
  not by tasks/node-health:node-health
    it is for the task `node-health`
    it does not name this tool
"
        );
    }

    #[test]
    fn a_forbid_says_why_it_applies() {
        let engine = PolicyEngine::built_in().unwrap();
        let principal = principal(Some("node-health"));
        let call = Call {
            to_seconds_back: 7_200,
            ..Call::default()
        };
        let shown = call
            .ask(&principal, "node_snapshot", |question| {
                explain(&engine, question)
            })
            .to_string();
        assert!(
            shown.starts_with("denied: forbidden\n  by base:no-backwards\n"),
            "{shown}"
        );
        assert!(
            shown.contains("context.bounds.to_minutes is 120"),
            "{shown}"
        );
    }
}
