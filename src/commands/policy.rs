//! `glasshouse policy check | explain | matrix`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use glasshouse_core::access::{
    Argument, Authorizer as _, Bounds, Decision, Principal, Question, Usage,
};
use glasshouse_core::identity::NodeId;
use glasshouse_core::time::{Clock as _, SystemClock, Window};
use glasshouse_policies::{
    Explanation, PolicyEngine, PolicyError, Refusal, check, explain, matrix,
};
use miette::{GraphicalReportHandler, GraphicalTheme};
use serde_json::{Value, json};

use crate::cli::{Explain, Global, Policy, PolicyCommand};
use crate::exit::{Exit, Failure};
use crate::output::{print, print_json};
use crate::places::{ConfigFiles, config_failure};
use crate::times::parse;

/// The width of a shown policy file.
const WIDTH: usize = 100;
/// The life of the token that an explained call comes with.
const TOKEN_LIFE: Duration = Duration::from_secs(300);

/// Does what was asked with the policies.
pub(crate) fn run(global: &Global, arguments: &Policy) -> Result<Exit, Failure> {
    let folder = folder(global, arguments.policies.as_ref())?;
    match &arguments.command {
        PolicyCommand::Check => check_folder(folder.as_deref()),
        PolicyCommand::Explain(asked) => explain_call(folder.as_deref(), asked),
        PolicyCommand::Matrix => {
            let engine = engine(folder.as_deref())?;
            print(&matrix(&engine))?;
            Ok(Exit::Done)
        }
    }
}

/// A policy error as the end of a command, with the place in the file.
pub(crate) fn policy_failure(error: &PolicyError) -> Failure {
    let shown = anyhow::anyhow!(show_error(error));
    match error {
        PolicyError::Read { .. } => Failure::environment(shown),
        _ => Failure::usage(shown),
    }
}

/// The error, the place in the file and the way out.
pub(crate) fn show_error(error: &PolicyError) -> String {
    let mut text = String::new();
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor());
    match handler.with_width(WIDTH).render_report(&mut text, error) {
        Ok(()) => text.trim().to_owned(),
        Err(_) => crate::output::chain(error),
    }
}

fn folder(global: &Global, asked: Option<&PathBuf>) -> Result<Option<PathBuf>, Failure> {
    if let Some(folder) = asked {
        return Ok(Some(folder.clone()));
    }
    let files = ConfigFiles::find(global.config.as_deref());
    let config = files.load_main().map_err(config_failure)?;
    Ok(config.serve.policies)
}

fn engine(folder: Option<&Path>) -> Result<PolicyEngine, Failure> {
    PolicyEngine::load(folder).map_err(|error| policy_failure(&error))
}

fn check_folder(folder: Option<&Path>) -> Result<Exit, Failure> {
    let Some(folder) = folder else {
        let tasks = engine(None)?.tasks();
        let names: Vec<&str> = tasks.iter().map(|task| task.name.as_str()).collect();
        print(&format!(
            "the built-in policies are good; tasks: {}\n",
            names.join(", ")
        ))?;
        return Ok(Exit::Done);
    };
    let report = check(folder).map_err(|error| policy_failure(&error))?;
    let tasks: Vec<&str> = report.tasks.iter().map(|task| task.name.as_str()).collect();
    let mut text = format!(
        "`{}` is good: {} policies; tasks: {}\n",
        folder.display(),
        report.policies.len(),
        tasks.join(", ")
    );
    for warning in &report.warnings {
        text.push_str(&format!("warning: {warning}\n"));
    }
    print(&text)?;
    Ok(Exit::Done)
}

fn explain_call(folder: Option<&Path>, asked: &Explain) -> Result<Exit, Failure> {
    let engine = engine(folder)?;
    let now = SystemClock.now();
    let principal = Principal {
        subject: asked.subject.clone(),
        client: asked.client.clone(),
        issuer: "https://issuer.invalid".to_owned(),
        token_id: "explained".to_owned(),
        scopes: BTreeSet::new(),
        task: asked.task.clone(),
        groups: asked.group.iter().cloned().collect(),
        expires: now.after(TOKEN_LIFE),
    };
    let input: BTreeMap<String, Argument> = asked
        .argument
        .iter()
        .map(|(key, value)| (key.clone(), argument(value)))
        .collect();
    let bounds = Bounds {
        metrics: None,
        window: Window {
            from: parse(&asked.from, now).map_err(Failure::usage)?,
            to: parse(&asked.to, now).map_err(Failure::usage)?,
        },
        rows: asked.rows,
    };
    let explanation = explain(
        &engine,
        &Question {
            principal: &principal,
            tool: &asked.tool,
            node: NodeId::from_bytes([0; 16]),
            input: &input,
            bounds: &bounds,
            used: Usage {
                calls: asked.used_calls,
                rows: asked.used_rows,
            },
            now,
        },
    );
    if asked.json {
        print_json(&as_json(&explanation))?;
    } else {
        print(&explanation.to_string())?;
    }
    Ok(match explanation.decision {
        Decision::Allow { .. } => Exit::Done,
        Decision::Deny { .. } => Exit::Findings,
    })
}

/// A whole number, `true`, `false` or a list as JSON has them; anything else is a text.
fn argument(text: &str) -> Argument {
    fn from_json(value: &Value) -> Option<Argument> {
        match value {
            Value::Bool(switch) => Some(Argument::Bool(*switch)),
            Value::Number(number) => number.as_i64().map(Argument::Integer),
            Value::String(text) => Some(Argument::Text(text.clone())),
            Value::Array(items) => items
                .iter()
                .map(from_json)
                .collect::<Option<_>>()
                .map(Argument::List),
            Value::Null | Value::Object(_) => None,
        }
    }
    serde_json::from_str(text)
        .ok()
        .and_then(|value: Value| from_json(&value))
        .unwrap_or_else(|| Argument::Text(text.to_owned()))
}

fn as_json(explanation: &Explanation) -> Value {
    let show = |refusals: &[Refusal]| -> Vec<Value> {
        refusals
            .iter()
            .map(|refusal| json!({ "policy": refusal.policy, "why": refusal.why }))
            .collect()
    };
    let (allowed, reason) = match &explanation.decision {
        Decision::Allow { .. } => (true, None),
        Decision::Deny { reason, .. } => (false, Some(reason.word())),
    };
    json!({
        "allowed": allowed,
        "reason": reason,
        "matched": show(&explanation.matched),
        "refused": show(&explanation.refused),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_typed_by_how_they_are_written() {
        assert_eq!(argument("5"), Argument::Integer(5));
        assert_eq!(argument("-1h"), Argument::Text("-1h".to_owned()));
        assert_eq!(argument("true"), Argument::Bool(true));
        let list = vec![Argument::Text("a=b".to_owned())];
        assert_eq!(argument("[\"a=b\"]"), Argument::List(list));
        assert_eq!(argument("{}"), Argument::Text("{}".to_owned()));
    }
}
