//! What a browser asks for at `/authorize`, and the forms it sends back.

use std::borrow::Cow;

use glasshouse_core::access::TASK_SCOPE_PREFIX;
use oauth_as::AuthorizationRequest;

/// The most parameters of one request.
const PARAMETERS_MOST: usize = 32;

/// The parameters of a request, decoded, in order.
#[derive(Clone, Debug)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Decodes a query or a form. `None` where it is too long, or names one thing twice (`resource` may repeat).
    pub(crate) fn parse(text: &str, most_bytes: usize) -> Option<Self> {
        if text.len() > most_bytes {
            return None;
        }
        let mut pairs: Vec<(String, String)> = Vec::new();
        for part in text.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let (name, value) = (decoded(name)?, decoded(value)?);
            let is_twice = name != "resource" && pairs.iter().any(|(known, _)| *known == name);
            if is_twice || pairs.len() >= PARAMETERS_MOST {
                return None;
            }
            pairs.push((name, value));
        }
        Some(Self(pairs))
    }

    /// One parameter.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// As the protocol library wants it, with another scope than the one that was asked for.
    pub(crate) fn with_scope<'a>(&'a self, scope: String) -> AuthorizationRequest<'a> {
        let pairs = self
            .0
            .iter()
            .map(|(name, value)| (name.as_str(), Cow::from(value.as_str())));
        let mut request = AuthorizationRequest::from_pairs(pairs);
        request.scope = Some(scope.into());
        request
    }

    /// The scope that was asked for, taken apart.
    pub(crate) fn wanted(&self) -> Wanted {
        let mut wanted = Wanted::default();
        for word in self
            .get("scope")
            .unwrap_or_default()
            .split(' ')
            .filter(|word| !word.is_empty())
        {
            let (list, word) = match word.strip_prefix(TASK_SCOPE_PREFIX) {
                Some(task) => (&mut wanted.tasks, task),
                None => (&mut wanted.scopes, word),
            };
            if !list.iter().any(|known| known == word) {
                list.push(word.to_owned());
            }
        }
        wanted
    }
}

/// A scope, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Scopes that are no tasks.
    pub(crate) scopes: Vec<String>,
    /// Tasks, without their prefix.
    pub(crate) tasks: Vec<String>,
}

/// Decodes `application/x-www-form-urlencoded`; `None` where a `%` is not followed by two digits, or it is not UTF-8.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => hex_digit(rest.next()?)? << 4 | hex_digit(rest.next()?)?,
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

const fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_has_one_meaning_or_none() {
        let seen = Parameters::parse("a=1%2B+x&resource=r&resource=s&b", 100).unwrap();
        assert_eq!(seen.get("a"), Some("1+ x"));
        assert_eq!(seen.get("b"), Some(""));
        for bad in [
            "a=1&a=2",
            "scope=x&%73cope=y",
            "a=%",
            "a=%4",
            "a=%zz",
            "a=%ff",
        ] {
            assert!(Parameters::parse(bad, 100).is_none(), "{bad}");
        }
        assert!(Parameters::parse("a=x", 2).is_none());
        assert!(Parameters::parse(&"resource=x&".repeat(100), 9000).is_none());
    }

    #[test]
    fn tasks_are_told_from_scopes() {
        let seen =
            Parameters::parse("scope=telemetry%3Aread+task%3Aa++task%3Ab+task%3Aa", 100).unwrap();
        assert_eq!(seen.wanted().scopes, ["telemetry:read"]);
        assert_eq!(seen.wanted().tasks, ["a", "b"]);
    }
}
