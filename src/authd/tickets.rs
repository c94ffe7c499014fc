//! Which form belongs to whom.
//!
//! There is no session that a cookie opens: on one machine a cookie is shared by every port, so the client that the
//! browser is sent back to would be handed it. A form holds a ticket instead, a MAC over the browser's cookie, the
//! form's purpose, who is signed in, and everything that the form was shown for. The ticket is in the page, which other
//! ports cannot read; the cookie alone is worth nothing, and neither is a form that was sent from elsewhere or changed on
//! the way. So a sign-in lasts for one consent. Nothing is kept but the tickets that were used, of which a person's
//! sign-in makes one.

use std::collections::BTreeMap;
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

/// How long a form may lie open.
pub(crate) const TICKET_LIFE: Duration = Duration::from_secs(10 * 60);

/// The most used tickets that are remembered; each took a sign-in and a decision, and is forgotten with its time.
const USED_MOST: usize = 1024;

const COOKIE: &str = "glasshouse_authd";

/// A browser, told from others by a random cookie. It says nothing about who sits there.
#[derive(Clone, Debug)]
pub(crate) struct Browser {
    cookie: String,
    is_new: bool,
}

/// What a form was shown for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose<'a> {
    /// To sign in.
    SignIn,
    /// To consent, as this person.
    Consent {
        /// Who has signed in.
        subject: &'a str,
    },
}

/// Makes tickets and takes them back.
pub(crate) struct Tickets {
    key: [u8; 32],
    is_secure: bool,
    /// Used tickets and when they end, in nanoseconds since boot.
    used: Mutex<BTreeMap<String, u64>>,
}

impl Tickets {
    /// `is_secure`: the cookie is for https alone.
    pub(crate) fn new(is_secure: bool) -> io::Result<Self> {
        Ok(Self {
            key: random::bytes()?,
            is_secure,
            used: Mutex::new(BTreeMap::new()),
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
    pub(crate) fn issue(
        &self,
        browser: &Browser,
        purpose: Purpose<'_>,
        request: &str,
        now: BootTime,
    ) -> String {
        let life = u64::try_from(TICKET_LIFE.as_nanos()).unwrap_or(u64::MAX);
        let until = now.nanos().saturating_add(life);
        let mac = self.mac(browser, purpose, request, until);
        format!("{until}.{mac}")
    }

    /// Whether a form came from the browser that was shown it, unchanged and in time.
    pub(crate) fn is_good(
        &self,
        ticket: &str,
        browser: &Browser,
        purpose: Purpose<'_>,
        request: &str,
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
        now.nanos() <= until && digest(mac) == expected
    }

    /// Uses a good ticket up. `false` where it was used before, or too many are remembered.
    pub(crate) fn use_up(&self, ticket: &str, now: BootTime) -> bool {
        let Some((until, mac)) = ticket.split_once('.') else {
            return false;
        };
        let mut used = self.used.lock();
        used.retain(|_, until| now.nanos() <= *until);
        if used.contains_key(mac) || used.len() >= USED_MOST {
            return false;
        }
        used.insert(mac.to_owned(), until.parse().unwrap_or(u64::MAX));
        true
    }

    fn mac(&self, browser: &Browser, purpose: Purpose<'_>, request: &str, until: u64) -> String {
        let (purpose, subject) = match purpose {
            Purpose::SignIn => ("sign-in", ""),
            Purpose::Consent { subject } => ("consent", subject),
        };
        // Lengths keep one field from running into the next.
        let message = format!(
            "{purpose} {until} {} {}\n{}{subject}{request}",
            browser.cookie.len(),
            subject.len(),
            browser.cookie,
        );
        URL_SAFE_NO_PAD.encode(hmac_sha256(&self.key, message.as_bytes()))
    }
}

impl Browser {
    /// What tells it from others.
    pub(crate) fn cookie(&self) -> &str {
        &self.cookie
    }

    /// The browser that sent these headers; a new one where it has no cookie.
    pub(crate) fn of(headers: &HeaderMap) -> io::Result<Self> {
        match cookie(headers) {
            Some(cookie) => Ok(Self {
                cookie,
                is_new: false,
            }),
            None => Ok(Self {
                cookie: random::text()?,
                is_new: true,
            }),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: Purpose<'_> = Purpose::Consent { subject: "alice" };

    fn at(seconds: u64) -> BootTime {
        BootTime::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn a_ticket_is_for_one_browser_one_purpose_one_person_one_request() {
        let tickets = Tickets::new(false).unwrap();
        let browser = Browser::of(&HeaderMap::new()).unwrap();
        let other = Browser::of(&HeaderMap::new()).unwrap();
        let ticket = tickets.issue(&browser, ALICE, "a=1", at(1));
        let good = |browser, purpose, request, now| {
            tickets.is_good(&ticket, browser, purpose, request, now)
        };
        assert!(good(&browser, ALICE, "a=1", at(2)));
        assert!(!good(&other, ALICE, "a=1", at(2)));
        assert!(!good(&browser, Purpose::SignIn, "a=1", at(2)));
        assert!(!good(
            &browser,
            Purpose::Consent { subject: "bob" },
            "a=1",
            at(2)
        ));
        assert!(!good(
            &browser,
            Purpose::Consent { subject: "alic" },
            "ea=1",
            at(2)
        ));
        assert!(!good(&browser, ALICE, "a=2", at(2)));
        assert!(!good(&browser, ALICE, "a=1", at(700)));
        for forged in [
            "",
            ".",
            "1.",
            "99999999999999999999.x",
            "18446744073709551615.AAAA",
        ] {
            assert!(
                !tickets.is_good(forged, &browser, ALICE, "a=1", at(2)),
                "{forged}"
            );
        }
    }

    #[test]
    fn a_ticket_is_used_once_and_forgotten_with_its_time() {
        let tickets = Tickets::new(false).unwrap();
        let browser = Browser::of(&HeaderMap::new()).unwrap();
        let issue = |n: usize, now| tickets.issue(&browser, ALICE, &n.to_string(), now);
        let first = issue(0, at(1));
        assert!(tickets.use_up(&first, at(2)));
        assert!(!tickets.use_up(&first, at(2)));
        let taken = (1..2000).filter(|n| tickets.use_up(&issue(*n, at(1)), at(2)));
        assert_eq!(taken.count(), USED_MOST - 1);
        assert!(tickets.use_up(&issue(9999, at(700)), at(700)));
        assert_eq!(tickets.used.lock().len(), 1);
    }

    #[test]
    fn the_cookie_is_kept_and_guarded() {
        let tickets = Tickets::new(true).unwrap();
        let browser = Browser::of(&HeaderMap::new()).unwrap();
        let set = tickets.set_cookie(&browser).unwrap();
        let set = set.to_str().unwrap();
        assert!(set.contains("HttpOnly; SameSite=Lax; Secure"), "{set}");
        let mut headers = HeaderMap::new();
        let sent = HeaderValue::from_str(set.split(';').next().unwrap()).unwrap();
        headers.insert(header::COOKIE, sent);
        let again = Browser::of(&headers).unwrap();
        assert_eq!(again.cookie, browser.cookie);
        assert_eq!(tickets.set_cookie(&again), None);
    }
}
