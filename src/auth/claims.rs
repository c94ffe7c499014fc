//! The claims of an access token (RFC 9068), judged.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use glasshouse_core::access::{TASK_SCOPE_PREFIX, TokenRefusal};
use glasshouse_core::time::Timestamp;

use crate::strict::Json;

/// How far the issuer's clock may be off.
const LEEWAY: Duration = Duration::from_secs(5);

/// The longest life of a token whose issuer is not asked whether it still holds: what a revocation then takes.
const UNASKED_LIFE_MOST: Duration = Duration::from_secs(300);

/// The longest name of a subject, client or token id; they go into policies and the audit log.
const NAME_MOST_BYTES: usize = 256;

/// The most scopes of a token, and the most groups of a person.
const WORDS_MOST: usize = 64;

/// What the claims say, once judged.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) subject: String,
    pub(crate) client: String,
    pub(crate) token_id: Option<String>,
    pub(crate) scopes: BTreeSet<String>,
    pub(crate) task: Option<String>,
    pub(crate) groups: BTreeSet<String>,
    pub(crate) expires: Timestamp,
}

/// What the claims are held against.
#[derive(Debug)]
pub(crate) struct Expected<'a> {
    pub(crate) audience: &'a str,
    pub(crate) now: Timestamp,
    /// Whether the issuer will be asked if the token still holds.
    pub(crate) asked: bool,
    pub(crate) groups_claim: Option<&'a str>,
}

/// Judges the claims of a token whose signature fits.
///
/// # Errors
/// The first thing that is wrong: audience, times, missing claims, binding, tasks.
pub(crate) fn judge(
    claims: &BTreeMap<String, Json>,
    expected: &Expected<'_>,
) -> Result<Judged, TokenRefusal> {
    judge_audience(claims, expected.audience)?;
    let expires = judge_times(claims, expected)?;
    if claims.get("cnf").is_some_and(|bound| *bound != Json::Null) {
        return Err(TokenRefusal::Unproven);
    }
    let subject = name(claims, "sub")?.ok_or(TokenRefusal::Claims)?;
    let client = match (name(claims, "client_id")?, name(claims, "azp")?) {
        (Some(client), Some(party)) if client != party => return Err(TokenRefusal::Claims),
        (Some(client), _) | (None, Some(client)) => client,
        (None, None) => return Err(TokenRefusal::Claims),
    };
    let (scopes, task) = split_scope(claims)?;
    Ok(Judged {
        subject,
        client,
        token_id: name(claims, "jti")?,
        scopes,
        task,
        groups: groups(claims, expected.groups_claim)?,
        expires,
    })
}

/// `aud` names this resource and no other: a token that opens several doors is worth stealing at each.
fn judge_audience(claims: &BTreeMap<String, Json>, audience: &str) -> Result<(), TokenRefusal> {
    let named = match claims.get("aud").ok_or(TokenRefusal::Claims)? {
        Json::List(list) => match list.as_slice() {
            [only] => only,
            _ => return Err(TokenRefusal::Audience),
        },
        one => one,
    };
    match named.text() {
        Some(named) if named == audience => Ok(()),
        Some(_) => Err(TokenRefusal::Audience),
        None => Err(TokenRefusal::Claims),
    }
}

fn judge_times(
    claims: &BTreeMap<String, Json>,
    expected: &Expected<'_>,
) -> Result<Timestamp, TokenRefusal> {
    let now = expected.now;
    let expires = instant(claims, "exp")?.ok_or(TokenRefusal::Claims)?;
    if expires.after(LEEWAY) <= now {
        return Err(TokenRefusal::Expired);
    }
    let begins = instant(claims, "nbf")?;
    let issued = instant(claims, "iat")?;
    if [begins, issued]
        .into_iter()
        .flatten()
        .any(|at| at.before(LEEWAY) > now)
    {
        return Err(TokenRefusal::NotYetValid);
    }
    if !expected.asked {
        let issued = issued.ok_or(TokenRefusal::Claims)?;
        if expires > issued.after(UNASKED_LIFE_MOST) {
            return Err(TokenRefusal::Claims);
        }
    }
    Ok(expires)
}

fn instant(
    claims: &BTreeMap<String, Json>,
    claim: &str,
) -> Result<Option<Timestamp>, TokenRefusal> {
    match claims.get(claim) {
        None => Ok(None),
        Some(value) => value
            .integer()
            .filter(|seconds| *seconds >= 0)
            .map(|seconds| Some(Timestamp::from_seconds(seconds)))
            .ok_or(TokenRefusal::Claims),
    }
}

fn name(claims: &BTreeMap<String, Json>, claim: &str) -> Result<Option<String>, TokenRefusal> {
    match claims.get(claim) {
        None => Ok(None),
        Some(value) => value
            .text()
            .filter(|text| is_name(text))
            .map(|text| Some(text.to_owned()))
            .ok_or(TokenRefusal::Claims),
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= NAME_MOST_BYTES && !text.chars().any(char::is_control)
}

fn split_scope(
    claims: &BTreeMap<String, Json>,
) -> Result<(BTreeSet<String>, Option<String>), TokenRefusal> {
    let text = match claims.get("scope") {
        None => "",
        Some(value) => value.text().ok_or(TokenRefusal::Claims)?,
    };
    let (mut scopes, mut tasks) = (BTreeSet::new(), BTreeSet::new());
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        if !is_name(word) || scopes.len() + tasks.len() >= WORDS_MOST {
            return Err(TokenRefusal::Claims);
        }
        match word.strip_prefix(TASK_SCOPE_PREFIX) {
            Some("") => return Err(TokenRefusal::Claims),
            Some(task) => tasks.insert(task.to_owned()),
            None => scopes.insert(word.to_owned()),
        };
    }
    let task = tasks.pop_first();
    if !tasks.is_empty() {
        return Err(TokenRefusal::SeveralTasks);
    }
    Ok((scopes, task))
}

fn groups(
    claims: &BTreeMap<String, Json>,
    claim: Option<&str>,
) -> Result<BTreeSet<String>, TokenRefusal> {
    let Some(value) = claim.and_then(|claim| claims.get(claim)) else {
        return Ok(BTreeSet::new());
    };
    let listed = match value {
        Json::List(list) => list.as_slice(),
        one => std::slice::from_ref(one),
    };
    if listed.len() > WORDS_MOST {
        return Err(TokenRefusal::Claims);
    }
    listed
        .iter()
        .map(|group| {
            let group = group.text().filter(|group| is_name(group));
            group.map(str::to_owned).ok_or(TokenRefusal::Claims)
        })
        .collect()
}
