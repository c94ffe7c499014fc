//! Callers, and how much of the face one of them may take: requests a second, and calls at a time.

mod rate;
mod turns;

use glasshouse_core::access::Principal;

pub(crate) use self::rate::Rates;
pub(crate) use self::turns::Turns;

/// A person as one issuer knows them. Not the client: whoever registers one more would be one caller more.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Caller {
    issuer: String,
    subject: String,
}

impl Caller {
    /// Who is behind a token.
    pub(crate) fn of(principal: &Principal) -> Self {
        Self {
            issuer: principal.issuer.clone(),
            subject: principal.subject.clone(),
        }
    }
}
