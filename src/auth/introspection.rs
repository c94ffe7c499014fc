//! Whether a token still holds: the issuer's answer (RFC 7662), a few seconds old at most.
//!
//! Only tokens whose signature fits come here, so a stranger cannot fill the table or make us ask.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use glasshouse_core::access::TokenRefusal;
use glasshouse_core::time::{BootTime, Clock};
use parking_lot::Mutex;
use reqwest::Url;
use secrecy::SecretString;

use crate::fetch::Fetcher;
use crate::settings::IntrospectionSettings;
use crate::strict::{self, Json};

/// How long an answer counts, from before it was asked for: a revocation takes effect within five seconds, and one
/// of them is left for the clock and the way.
const ANSWER_LIFE: Duration = Duration::from_secs(4);

/// How long a failure to get an answer counts: those who waited are refused at once, the next asks again.
const FAILURE_LIFE: Duration = Duration::from_secs(1);

/// The longest that a caller waits, for others' questions about the same token included.
const WAIT_MOST: Duration = Duration::from_secs(6);

/// The most tokens whose answer is kept. More clients than this on one node are none that we know.
const ANSWERS_MOST: usize = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Active,
    Inactive,
    NoAnswer,
}

#[derive(Clone, Copy, Debug)]
struct Answer {
    verdict: Verdict,
    until: BootTime,
}

/// The answer about one token; whoever holds the lock is asking.
type Slot = Arc<tokio::sync::Mutex<Option<Answer>>>;

/// Asks an issuer about tokens.
pub(crate) struct Introspector {
    client: String,
    secret: SecretString,
    fetcher: Fetcher,
    clock: Arc<dyn Clock>,
    slots: Mutex<HashMap<[u8; 32], (BootTime, Slot)>>,
}

impl Introspector {
    pub(crate) fn new(
        settings: &IntrospectionSettings,
        fetcher: Fetcher,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            client: settings.client_id.clone(),
            secret: settings.client_secret.clone(),
            fetcher,
            clock,
            slots: Mutex::new(HashMap::new()),
        }
    }

    /// Whether the token still holds.
    ///
    /// # Errors
    /// `Revoked` where it does not, `IssuerUnavailable` where nobody says.
    pub(crate) async fn check(
        &self,
        endpoint: &Url,
        token: &str,
        digest: [u8; 32],
    ) -> Result<(), TokenRefusal> {
        let slot = self.slot(digest);
        let asking = self.ask_once(&slot, endpoint, token);
        match tokio::time::timeout(WAIT_MOST, asking).await {
            Ok(Verdict::Active) => Ok(()),
            Ok(Verdict::Inactive) => Err(TokenRefusal::Revoked),
            Ok(Verdict::NoAnswer) | Err(_) => Err(TokenRefusal::IssuerUnavailable),
        }
    }

    async fn ask_once(&self, slot: &Slot, endpoint: &Url, token: &str) -> Verdict {
        let mut answer = slot.lock().await;
        let asked = self.clock.moment().boot;
        if let Some(known) = *answer
            && asked < known.until
        {
            return known.verdict;
        }
        let verdict = self.ask(endpoint, token).await;
        let until = match verdict {
            Verdict::Active | Verdict::Inactive => later(asked, ANSWER_LIFE),
            Verdict::NoAnswer => later(self.clock.moment().boot, FAILURE_LIFE),
        };
        *answer = Some(Answer { verdict, until });
        verdict
    }

    async fn ask(&self, endpoint: &Url, token: &str) -> Verdict {
        let form = [("token", token), ("token_type_hint", "access_token")];
        let body = match self
            .fetcher
            .post(endpoint, (&self.client, &self.secret), &form)
            .await
        {
            Ok(body) => body,
            Err(error) => {
                tracing::warn!(%error, "The issuer does not say whether a token still holds; the call is refused.");
                return Verdict::NoAnswer;
            }
        };
        match strict::object(&body)
            .as_ref()
            .and_then(|answer| answer.get("active"))
        {
            Some(Json::Bool(true)) => Verdict::Active,
            Some(Json::Bool(false)) => Verdict::Inactive,
            _ => {
                tracing::warn!(url = %endpoint, "The issuer's introspection answer cannot be read; the call is refused.");
                Verdict::NoAnswer
            }
        }
    }

    fn slot(&self, digest: [u8; 32]) -> Slot {
        let now = self.clock.moment().boot;
        let mut slots = self.slots.lock();
        if slots.len() >= ANSWERS_MOST && !slots.contains_key(&digest) {
            make_room(&mut slots, now);
        }
        let (used, slot) = slots.entry(digest).or_default();
        *used = now;
        Arc::clone(slot)
    }
}

/// Without the secret.
impl fmt::Debug for Introspector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Introspector")
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

/// Drops what no longer counts, or else the one that was longest not asked for.
fn make_room(slots: &mut HashMap<[u8; 32], (BootTime, Slot)>, now: BootTime) {
    slots.retain(|_, (used, _)| now.since(*used) < WAIT_MOST + ANSWER_LIFE);
    if slots.len() >= ANSWERS_MOST {
        let oldest = slots.iter().min_by_key(|(_, (used, _))| *used);
        if let Some(digest) = oldest.map(|(digest, _)| *digest) {
            slots.remove(&digest);
        }
    }
}

fn later(at: BootTime, span: Duration) -> BootTime {
    let span = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
    BootTime::from_nanos(at.nanos().saturating_add(span))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_answers_is_bounded() {
        let mut slots = HashMap::new();
        for n in 0..u64::try_from(ANSWERS_MOST).unwrap() {
            let mut digest = [0; 32];
            digest[..8].copy_from_slice(&n.to_le_bytes());
            slots.insert(digest, (BootTime::from_nanos(n), Slot::default()));
        }
        make_room(&mut slots, BootTime::from_nanos(5_000));
        assert_eq!(slots.len(), ANSWERS_MOST - 1);
        assert!(!slots.contains_key(&[0; 32]));
        make_room(&mut slots, BootTime::from_nanos(60_000_000_000));
        assert!(slots.is_empty());
    }
}
