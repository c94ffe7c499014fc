//! Who is signed in, and which form belongs to whom.
//!
//! Before sign-in nothing is kept: a browser holds a random value in a cookie, and a form holds a ticket, a MAC over
//! that value, the form's purpose and everything that the form was shown for. A form can therefore neither be sent
//! from elsewhere nor be changed on the way, and strangers cannot fill a table. After sign-in the cookie names a
//! session; there are few, they end, and a ticket works once in each.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use glasshouse_core::time::BootTime;
use http::{HeaderMap, HeaderValue, header};
use oauth_as::jwt::hmac_sha256;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

use crate::random;

/// How long a sign-in lasts: a consent or two, not a day.
const SESSION_LIFE: Duration = Duration::from_secs(15 * 60);

/// How long a form may lie open.
const TICKET_LIFE: Duration = Duration::from_secs(10 * 60);

/// The most sessions; the oldest goes.
const SESSIONS_MOST: usize = 256;

/// The most forms that one session may send; then it ends.
const TICKETS_MOST: usize = 256;

const COOKIE: &str = "glasshouse_authd";

/// A browser: what its cookie says, and who that is.
#[derive(Clone, Debug)]
pub(crate) struct Browser {
    cookie: String,
    /// Who is signed in.
    pub(crate) subject: Option<String>,
    /// Whether the cookie has to be set.
    is_new: bool,
}

/// What a form is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    SignIn,
    Consent,
}

#[derive(Debug)]
struct Session {
    subject: String,
    since: BootTime,
    used: BTreeSet<String>,
}

/// Sessions and tickets.
pub(crate) struct Sessions {
    key: [u8; 32],
    is_secure: bool,
    live: Mutex<BTreeMap<[u8; 32], Session>>,
}

impl Sessions {
    /// `is_secure`: the cookie is for https alone.
    pub(crate) fn new(is_secure: bool) -> io::Result<Self> {
        Ok(Self {
            key: random::bytes()?,
            is_secure,
            live: Mutex::new(BTreeMap::new()),
        })
    }

    /// The browser that sent these headers; a new one where it has no cookie.
    pub(crate) fn browser(&self, headers: &HeaderMap, now: BootTime) -> io::Result<Browser> {
        let Some(cookie) = cookie(headers) else {
            return Ok(Browser {
                cookie: random::text()?,
                subject: None,
                is_new: true,
            });
        };
        let mut live = self.live.lock();
        live.retain(|_, session| now.since(session.since) < SESSION_LIFE);
        let subject = live
            .get(&digest(&cookie))
            .map(|session| session.subject.clone());
        Ok(Browser {
            cookie,
            subject,
            is_new: false,
        })
    }

    /// Signs somebody in, under a new cookie: one that somebody else may have planted is worth nothing afterwards.
    pub(crate) fn sign_in(&self, subject: &str, now: BootTime) -> io::Result<Browser> {
        let cookie = random::text()?;
        let mut live = self.live.lock();
        live.retain(|_, session| now.since(session.since) < SESSION_LIFE);
        if live.len() >= SESSIONS_MOST {
            let oldest = live.iter().min_by_key(|(_, session)| session.since);
            if let Some(name) = oldest.map(|(name, _)| *name) {
                live.remove(&name);
            }
        }
        let session = Session {
            subject: subject.to_owned(),
            since: now,
            used: BTreeSet::new(),
        };
        live.insert(digest(&cookie), session);
        Ok(Browser {
            cookie,
            subject: Some(subject.to_owned()),
            is_new: true,
        })
    }

    /// The header that gives the browser its cookie, where it needs one.
    pub(crate) fn set_cookie(&self, browser: &Browser) -> Option<HeaderValue> {
        let secure = if self.is_secure { "; Secure" } else { "" };
        let text = format!(
            "{COOKIE}={}; Path=/; HttpOnly; SameSite=Lax{secure}",
            browser.cookie
        );
        browser
            .is_new
            .then(|| HeaderValue::from_str(&text).ok())
            .flatten()
    }

    /// A ticket for a form that this browser is shown.
    pub(crate) fn ticket(
        &self,
        browser: &Browser,
        purpose: Purpose,
        request: &str,
        now: BootTime,
    ) -> String {
        let until = now.nanos().saturating_add(nanos(TICKET_LIFE));
        let mac = self.mac(browser, purpose, request, until);
        format!("{until}.{mac}")
    }

    /// Whether a form came from the browser that was shown it, unchanged, in time, and (signed in) for the first time.
    pub(crate) fn redeem(
        &self,
        browser: &Browser,
        purpose: Purpose,
        request: &str,
        ticket: &str,
        now: BootTime,
    ) -> bool {
        let Some((until, mac)) = ticket.split_once('.') else {
            return false;
        };
        let Ok(until) = until.parse::<u64>() else {
            return false;
        };
        // Both sides are hashed before they are compared, so the time that takes tells nothing about the MAC.
        let expected = digest(&self.mac(browser, purpose, request, until));
        if until < now.nanos() || digest(mac) != expected {
            return false;
        }
        if browser.subject.is_none() {
            return true;
        }
        let mut live = self.live.lock();
        let name = digest(&browser.cookie);
        let Some(session) = live.get_mut(&name) else {
            return false;
        };
        let first = session.used.insert(mac.to_owned());
        if session.used.len() >= TICKETS_MOST {
            live.remove(&name);
        }
        first
    }

    fn mac(&self, browser: &Browser, purpose: Purpose, request: &str, until: u64) -> String {
        let subject = browser.subject.as_deref().unwrap_or_default();
        // Lengths keep one field from running into the next.
        let message = format!(
            "{purpose:?}\n{until}\n{} {}\n{} {subject}\n{request}",
            browser.cookie.len(),
            browser.cookie,
            subject.len(),
        );
        URL_SAFE_NO_PAD.encode(hmac_sha256(&self.key, message.as_bytes()))
    }
}

fn cookie(headers: &HeaderMap) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, value)| *name == COOKIE && (32..=64).contains(&value.len()))
        .map(|(_, value)| value.to_owned())
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> BootTime {
        BootTime::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn a_ticket_is_for_one_browser_one_purpose_one_request_one_time() {
        let sessions = Sessions::new(false).unwrap();
        let alice = sessions.sign_in("alice", at(1)).unwrap();
        let other = sessions.sign_in("alice", at(1)).unwrap();
        let ticket = sessions.ticket(&alice, Purpose::Consent, "a=1", at(1));
        let redeem = |browser, purpose, request, now| {
            sessions.redeem(browser, purpose, request, &ticket, now)
        };
        assert!(!redeem(&other, Purpose::Consent, "a=1", at(2)));
        assert!(!redeem(&alice, Purpose::SignIn, "a=1", at(2)));
        assert!(!redeem(&alice, Purpose::Consent, "a=2", at(2)));
        assert!(!redeem(&alice, Purpose::Consent, "a=1", at(700)));
        assert!(redeem(&alice, Purpose::Consent, "a=1", at(2)));
        assert!(!redeem(&alice, Purpose::Consent, "a=1", at(2)), "once");
        for forged in [
            "",
            ".",
            "1.",
            "99999999999999999999.x",
            "18446744073709551615.AAAA",
        ] {
            assert!(
                !sessions.redeem(&alice, Purpose::Consent, "a=1", forged, at(2)),
                "{forged}"
            );
        }
    }

    #[test]
    fn sessions_end_and_are_few() {
        let sessions = Sessions::new(true).unwrap();
        let first = sessions.sign_in("alice", at(1)).unwrap();
        let set = sessions.set_cookie(&first).unwrap();
        let set = set.to_str().unwrap();
        assert!(set.contains("HttpOnly; SameSite=Lax; Secure"), "{set}");
        let mut headers = HeaderMap::new();
        headers.insert(
            header::COOKIE,
            HeaderValue::from_str(set.split(';').next().unwrap()).unwrap(),
        );
        assert_eq!(
            sessions
                .browser(&headers, at(2))
                .unwrap()
                .subject
                .as_deref(),
            Some("alice")
        );
        assert_eq!(sessions.browser(&headers, at(2000)).unwrap().subject, None);
        for n in 0..1000 {
            sessions.sign_in("bob", at(2000 + n / 100)).unwrap();
        }
        assert_eq!(sessions.live.lock().len(), SESSIONS_MOST);
    }
}
