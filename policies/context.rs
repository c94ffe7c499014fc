//! What a question asks for, as Cedar's context: typed arguments, bounds, use and time.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{Context, EntityId, EntityUid, RestrictedExpression};
use glasshouse_core::access::{Argument, Bounds, Question, Usage};
use glasshouse_core::time::Timestamp;

use crate::schema::{Field, Kind, Tool};

/// A question names one node; a fleet's tools will name several.
const NODES: i64 = 1;

/// The context of a question.
///
/// Every argument must be one that the tool has, of the type that the schema gives it: a policy must never judge
/// something else than what the tool then gets.
pub(crate) fn context(question: &Question<'_>, tool: &Tool) -> Result<Context, String> {
    let input = record(question.input, &tool.arguments, "")?;
    let pairs = [
        ("input".to_owned(), input),
        ("bounds".to_owned(), bounds(question.bounds, question.now)?),
        ("used".to_owned(), used(question.used)?),
        ("now".to_owned(), now(question.now)?),
    ];
    Context::from_pairs(pairs).map_err(|error| error.to_string())
}

/// Minutes from `at` to `now`, every started one counted, less than a second of slack: what was asked as `-24h` a
/// moment ago is 1440 minutes back. Negative where `at` lies ahead.
pub(crate) const fn minutes_back(at: Timestamp, now: Timestamp) -> i64 {
    let seconds = now
        .nanos()
        .saturating_sub(at.nanos())
        .div_euclid(NANOS_PER_SECOND);
    seconds.saturating_add(59).div_euclid(60)
}

const NANOS_PER_SECOND: i64 = 1_000_000_000;

fn bounds(bounds: &Bounds, now: Timestamp) -> Result<RestrictedExpression, String> {
    let nothing = BTreeSet::new();
    let metrics = bounds.metrics.as_ref().unwrap_or(&nothing);
    let metrics = metrics
        .iter()
        .cloned()
        .map(RestrictedExpression::new_string);
    let numbers = [
        ("from_minutes", minutes_back(bounds.window.from, now)),
        ("to_minutes", ahead_first(bounds.window.to, now)),
        (
            "window_minutes",
            minutes_back(bounds.window.from, bounds.window.to).max(0),
        ),
        ("rows", number(bounds.rows)),
        ("nodes", NODES),
    ];
    let rest = [
        (
            "all_metrics".to_owned(),
            RestrictedExpression::new_bool(bounds.metrics.is_none()),
        ),
        ("metrics".to_owned(), RestrictedExpression::new_set(metrics)),
    ];
    RestrictedExpression::new_record(numbers.into_iter().map(long).chain(rest))
        .map_err(|error| error.to_string())
}

/// As [`minutes_back`], but rounded towards the future: an end that lies ahead by a second is a minute ahead.
const fn ahead_first(at: Timestamp, now: Timestamp) -> i64 {
    let seconds = now
        .nanos()
        .saturating_sub(at.nanos())
        .div_euclid(NANOS_PER_SECOND);
    seconds.div_euclid(60)
}

fn used(used: Usage) -> Result<RestrictedExpression, String> {
    let numbers = [("calls", number(used.calls)), ("rows", number(used.rows))];
    RestrictedExpression::new_record(numbers.map(long)).map_err(|error| error.to_string())
}

fn now(now: Timestamp) -> Result<RestrictedExpression, String> {
    let time = jiff::Timestamp::from_millisecond(now.nanos().div_euclid(1_000_000))
        .map_err(|error| error.to_string())?;
    Ok(RestrictedExpression::new_datetime(
        time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string(),
    ))
}

fn long((name, value): (&str, i64)) -> (String, RestrictedExpression) {
    (name.to_owned(), RestrictedExpression::new_long(value))
}

/// Counts beyond what Cedar can hold are as good as the largest.
fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn record(
    given: &BTreeMap<String, Argument>,
    fields: &BTreeMap<String, Field>,
    path: &str,
) -> Result<RestrictedExpression, String> {
    if let Some((name, _)) = fields
        .iter()
        .find(|(name, field)| field.required && !given.contains_key(*name))
    {
        return Err(format!("argument `{path}{name}` is missing"));
    }
    let pairs: Result<Vec<_>, String> = given
        .iter()
        .map(|(name, argument)| {
            let field = fields
                .get(name)
                .ok_or_else(|| format!("argument `{path}{}` is unknown", name.escape_debug()))?;
            Ok((
                name.clone(),
                value(argument, &field.kind, &format!("{path}{name}"))?,
            ))
        })
        .collect();
    RestrictedExpression::new_record(pairs?).map_err(|error| error.to_string())
}

fn value(argument: &Argument, kind: &Kind, path: &str) -> Result<RestrictedExpression, String> {
    match (argument, kind) {
        (Argument::Text(text), Kind::Text) => Ok(RestrictedExpression::new_string(text.clone())),
        (Argument::Integer(number), Kind::Integer) => Ok(RestrictedExpression::new_long(*number)),
        (Argument::Bool(yes), Kind::Bool) => Ok(RestrictedExpression::new_bool(*yes)),
        (Argument::Text(word), Kind::Choice(choice, words)) if words.contains(word) => {
            Ok(RestrictedExpression::new_entity_uid(
                EntityUid::from_type_name_and_id(choice.clone(), EntityId::new(word)),
            ))
        }
        (Argument::List(items), Kind::Set(of)) => {
            let items: Result<Vec<_>, String> =
                items.iter().map(|item| value(item, of, path)).collect();
            Ok(RestrictedExpression::new_set(items?))
        }
        (Argument::Record(given), Kind::Record(fields)) => {
            record(given, fields, &format!("{path}."))
        }
        _ => Err(format!(
            "argument `{path}` has another type than the tool's schema says"
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn minutes_count_back_with_less_than_a_second_of_slack() {
        let now = Timestamp::from_seconds(10_000_000);
        let back = |seconds| minutes_back(now.before(Duration::from_secs(seconds)), now);
        assert_eq!(back(0), 0);
        assert_eq!(back(1), 1);
        assert_eq!(back(86_400), 1_440);
        assert_eq!(back(86_401), 1_441);
        let a_moment_ago = now.before(Duration::from_millis(86_400_999));
        assert_eq!(minutes_back(a_moment_ago, now), 1_440);
        assert_eq!(minutes_back(now.after(Duration::from_secs(120)), now), -2);
        assert_eq!(ahead_first(now.after(Duration::from_secs(1)), now), -1);
        assert_eq!(ahead_first(now.before(Duration::from_secs(59)), now), 0);
    }
}
