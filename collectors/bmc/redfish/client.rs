//! The one way to a BMC: sends [`Request`]s, keeps the session and the budget, bounds what comes back.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use glasshouse_core::failure::CollectError;
use glasshouse_sysfs::SysRoot;
use reqwest::header::{ACCEPT, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Method, RequestBuilder, Response, StatusCode, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::bounded::{self, MOST_OF_AN_ENTRY};
use super::budget::Budget;
use super::error::RequestError;
use super::path::ResourcePath;
use super::request::{Extent, OwnSession, Request, SESSIONS};
use super::settings::Settings;
use super::tls;

/// The longest document: expanded sensors of a rack-scale node are about 1 MB.
pub(crate) const MOST_BYTES: usize = 4 << 20;

/// The longest metric report: a day of readings was 5.6 MB on a real machine.
pub(crate) const MOST_REPORT_BYTES: usize = 16 << 20;

/// The longest that a BMC's wish to be left alone is followed.
const LONGEST_PATIENCE: Duration = Duration::from_mins(10);

/// Where a BMC says that there were too many requests, and not for how long.
const USUAL_PATIENCE: Duration = Duration::from_secs(10);

/// The longest pause between two failed logins: accounts lock after a few in a row.
const LONGEST_LOGIN_PAUSE: Duration = Duration::from_mins(10);

/// Tries to end a session before another one is made all the same. With their pauses they take about as long as BMCs
/// keep a session that nobody uses (DSP0266, 13.3.4.5: `SessionTimeout`, 30 minutes by default).
const MOST_ENDINGS: u32 = 7;

/// The longest answer to a login.
const MOST_LOGIN_BYTES: usize = 64 << 10;

/// How long is waited for what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadlines {
    /// For a connection.
    pub(crate) connect: Duration,
    /// For a whole answer.
    pub(crate) answer: Duration,
    /// For the answer to the login: a session that was made but not heard of could not be ended.
    pub(crate) login: Duration,
    /// The first pause after a failed login.
    pub(crate) login_pause: Duration,
    /// What the budget is counted over: a minute.
    pub(crate) minute: Duration,
}

/// Counts of how requests ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcomes {
    pub(crate) answered: u64,
    pub(crate) refused: u64,
    pub(crate) silent: u64,
    /// Longest time of an answered request since it was last asked for.
    pub(crate) slowest: Option<Duration>,
}

/// A client of one BMC.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    settings: Settings,
    root: SysRoot,
    deadlines: Deadlines,
    state: Mutex<State>,
    /// Held by whoever logs in: two at once would be two sessions.
    login: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct State {
    budget: Budget,
    token: Option<SecretString>,
    /// Counts logins, so that only the session is forgotten that was refused.
    generation: u64,
    session: Option<OwnSession>,
    /// The token of a session that is to be ended: used on where that fails.
    spare: Option<SecretString>,
    /// Tries to end that session.
    endings: u32,
    /// When that is tried again.
    end_at: Option<Instant>,
    /// Until then a refusal is believed without trying a new session.
    renew_at: Option<Instant>,
    /// How long that is the next time.
    renew_pause: Duration,
    /// Basic authentication, because it was configured or there is no session service.
    basic: bool,
    login_at: Option<Instant>,
    login_pause: Duration,
    busy_until: Option<Instant>,
    outcomes: Outcomes,
}

impl Client {
    /// Sets up, sends nothing.
    ///
    /// # Errors
    /// Where a file of certificates cannot be read.
    pub(crate) fn new(
        settings: Settings,
        root: SysRoot,
        deadlines: Deadlines,
    ) -> Result<Self, CollectError> {
        let mut builder = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .http1_only()
            // BMCs have room for few connections
            .pool_max_idle_per_host(1)
            .connect_timeout(deadlines.connect);
        if let Some(config) = tls::config(&settings.trust, &root)? {
            builder = builder.tls_backend_preconfigured(config);
        }
        let http = builder.build().map_err(|error| {
            RequestError::Silent(error).at(&settings.name, &ResourcePath::root())
        })?;
        let state = State {
            budget: Budget::new(settings.requests_per_minute, deadlines.minute),
            token: None,
            generation: 0,
            session: None,
            spare: None,
            endings: 0,
            end_at: None,
            renew_at: None,
            renew_pause: deadlines.login_pause,
            basic: !settings.session,
            login_at: None,
            login_pause: deadlines.login_pause,
            busy_until: None,
            outcomes: Outcomes::default(),
        };
        Ok(Self {
            http,
            settings,
            root,
            deadlines,
            state: Mutex::new(state),
            login: tokio::sync::Mutex::new(()),
        })
    }

    /// The configured name.
    pub(crate) fn name(&self) -> &str {
        &self.settings.name
    }

    /// Requests that may be sent now; none while the BMC asks for patience.
    pub(crate) fn allowance(&self) -> usize {
        let now = Instant::now();
        let mut state = self.state();
        if state.busy_until.is_some_and(|until| now < until) {
            return 0;
        }
        state.budget.left(now)
    }

    /// How many requests are sent in any minute at most.
    pub(crate) fn requests_a_minute(&self) -> usize {
        self.state().budget.a_minute()
    }

    /// How requests ended; the slowest is forgotten with it.
    pub(crate) fn outcomes(&self) -> Outcomes {
        let mut state = self.state();
        let outcomes = state.outcomes;
        state.outcomes.slowest = None;
        outcomes
    }

    /// Reads a resource, at most `most` bytes of it. A session that the BMC forgot is made anew, once.
    pub(crate) async fn read(
        &self,
        path: &ResourcePath,
        extent: Extent<'_>,
        most: usize,
    ) -> Result<Vec<u8>, RequestError> {
        let request = Request::Read(path, extent);
        let mut response = self.authorized(&request).await?;
        let deadline = self.deadlines.answer;
        let body = body(&mut response, most);
        tokio::time::timeout(deadline, body)
            .await
            .map_err(|_| self.heard(&RequestError::Timeout(deadline)))
            .map_err(|()| RequestError::Timeout(deadline))?
    }

    /// Opens the stream of events.
    pub(crate) async fn listen(&self, path: &ResourcePath) -> Result<Response, RequestError> {
        self.authorized(&Request::Listen(path)).await
    }

    async fn authorized(&self, request: &Request<'_>) -> Result<Response, RequestError> {
        self.log_in().await?;
        let generation = self.state().generation;
        match self.send(request).await {
            // expired, or the BMC started again and forgot it; or it refuses this one resource so
            Err(RequestError::Status(401)) if self.may_renew(generation) => {
                match self.log_in().await {
                    // the old one is used on
                    Err(RequestError::SessionStands) => return Err(RequestError::Status(401)),
                    outcome => outcome?,
                }
                let outcome = self.send(request).await;
                if matches!(outcome, Err(RequestError::Status(401))) {
                    // a new session changes nothing: no other is made for a while
                    self.pause_renewals();
                }
                outcome
            }
            outcome => outcome,
        }
    }

    /// Makes a session where there is none and one is wanted.
    async fn log_in(&self) -> Result<(), RequestError> {
        if self.settings.username.is_empty() {
            return Ok(());
        }
        let _alone = self.login.lock().await;
        {
            let state = self.state();
            if state.basic || state.token.is_some() {
                return Ok(());
            }
            if state.login_at.is_some_and(|at| Instant::now() < at) {
                return Err(RequestError::Denied);
            }
        }
        // at most one: one that could not be ended before is ended first
        self.end_before_login().await?;
        let mut response = match self.send(&Request::LogIn).await {
            Ok(response) => response,
            Err(RequestError::Status(404 | 405 | 501)) => {
                self.state().basic = true;
                return Ok(());
            }
            Err(error) => {
                self.pause_logins();
                return Err(match error {
                    RequestError::Status(400 | 401 | 403) => RequestError::Denied,
                    error => error,
                });
            }
        };
        let named = header(&response, &LOCATION).and_then(OwnSession::from_location);
        let token = response.headers().get(&AUTH_TOKEN).cloned();
        let session = match named {
            None => self.session_by_body(&mut response).await,
            named => named,
        };
        let mut state = self.state();
        state.session = session;
        match token.and_then(|token| Some(token.to_str().ok()?.to_owned())) {
            Some(token) => {
                state.token = Some(SecretString::from(token));
                state.generation += 1;
                state.login_pause = self.deadlines.login_pause;
                state.login_at = None;
            }
            // a session without a token is of no use; the password itself is
            None => state.basic = true,
        }
        Ok(())
    }

    /// The session by the document that came with it, where the answer does not say where it lies.
    async fn session_by_body(&self, response: &mut Response) -> Option<OwnSession> {
        let body = body(response, MOST_LOGIN_BYTES);
        let body = tokio::time::timeout(self.deadlines.login, body)
            .await
            .ok()?
            .ok()?;
        let (document, _) = bounded::document(&body, MOST_OF_AN_ENTRY).ok()?;
        OwnSession::from_location(document.get("@odata.id")?.as_str()?)
    }

    /// Ends the session where there is one. What cannot be ended is kept to be ended before the next one is made.
    pub(crate) async fn log_out(&self) {
        self.end_session().await.ok();
    }

    /// Ends the session; an error where it may still stand. That an end is refused does not say that there is no such
    /// session: some BMCs take no password there.
    async fn end_session(&self) -> Result<(), RequestError> {
        let Some(session) = self.state().session.clone() else {
            return Ok(());
        };
        let outcome = match self.send(&Request::LogOut(&session)).await {
            Err(RequestError::Status(404 | 410)) | Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        let mut state = self.state();
        state.token = None;
        if outcome.is_ok() {
            state.session = None;
            state.endings = 0;
            state.end_at = None;
        }
        outcome
    }

    /// Ends the last session before another one is made. While it may stand, none is, and its token is used on: after a
    /// pause the end is tried again, until it must have run out by itself.
    async fn end_before_login(&self) -> Result<(), RequestError> {
        if self.state().end_at.is_some_and(|at| Instant::now() < at) {
            return Err(RequestError::SessionStands);
        }
        let Err(error) = self.end_session().await else {
            return Ok(());
        };
        let mut state = self.state();
        state.token = state.spare.take();
        state.endings += 1;
        if state.endings >= MOST_ENDINGS {
            state.session = None;
            state.token = None;
            state.endings = 0;
            state.end_at = None;
            return Ok(());
        }
        let doubled = 1 << (state.endings - 1).min(16);
        let pause = (self.deadlines.login_pause * doubled).min(LONGEST_LOGIN_PAUSE);
        state.end_at = Some(Instant::now() + pause);
        Err(match error {
            RequestError::Status(_) => RequestError::SessionStands,
            error => error,
        })
    }

    /// Whether the session is to be made anew; its token is forgotten then. The session itself is ended by the login.
    /// After each time there is a pause, twice as long as the last where that is not long over.
    fn may_renew(&self, generation: u64) -> bool {
        let now = Instant::now();
        let mut state = self.state();
        if state.generation != generation {
            // another request has renewed it
            return state.token.is_some();
        }
        let waits = |until: Option<Instant>| until.is_some_and(|at| now < at);
        if state.token.is_none() || waits(state.renew_at) || waits(state.end_at) {
            return false;
        }
        let rested = state
            .renew_at
            .is_none_or(|at| now >= at + state.renew_pause);
        if rested {
            state.renew_pause = self.deadlines.login_pause;
        }
        state.spare = state.token.take();
        state.renew_at = Some(now + state.renew_pause);
        state.renew_pause = (state.renew_pause * 2).min(LONGEST_LOGIN_PAUSE);
        true
    }

    fn pause_renewals(&self) {
        let mut state = self.state();
        state.renew_at = Some(Instant::now() + LONGEST_LOGIN_PAUSE);
    }

    fn pause_logins(&self) {
        let mut state = self.state();
        state.login_at = Some(Instant::now() + state.login_pause);
        state.login_pause = (state.login_pause * 2).min(LONGEST_LOGIN_PAUSE);
    }

    async fn send(&self, request: &Request<'_>) -> Result<Response, RequestError> {
        let deadline = match request {
            Request::LogIn => self.deadlines.login,
            _ => self.deadlines.answer,
        };
        let builder = self.build(request)?;
        // the end of a session must not wait for the next minute
        if !self.state().budget.take(Instant::now()) && !matches!(request, Request::LogOut(_)) {
            return Err(RequestError::Budget);
        }
        let began = Instant::now();
        let outcome = match tokio::time::timeout(deadline, builder.send()).await {
            Err(_) => Err(RequestError::Timeout(deadline)),
            Ok(Err(error)) if error.is_timeout() => Err(RequestError::Timeout(deadline)),
            Ok(Err(error)) => Err(RequestError::Silent(error.without_url())),
            Ok(Ok(response)) => self.judged(response),
        };
        match &outcome {
            Ok(_) => {
                let mut state = self.state();
                let took = began.elapsed();
                state.outcomes.answered += 1;
                state.outcomes.slowest = state.outcomes.slowest.max(Some(took));
            }
            Err(error) => self.heard(error),
        }
        outcome
    }

    fn heard(&self, error: &RequestError) {
        let mut state = self.state();
        if error.is_silence() {
            state.outcomes.silent += 1;
        } else {
            state.outcomes.refused += 1;
        }
    }

    fn judged(&self, response: Response) -> Result<Response, RequestError> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        if status.is_redirection() {
            return Err(RequestError::Redirect);
        }
        let asked = header(&response, &RETRY_AFTER).and_then(|text| text.trim().parse().ok());
        let patience = match (status, asked) {
            (StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS, Some(asked)) => {
                Duration::from_secs(asked)
            }
            (StatusCode::TOO_MANY_REQUESTS, None) => USUAL_PATIENCE,
            (StatusCode::SERVICE_UNAVAILABLE, None) => return Err(RequestError::Unavailable),
            _ => return Err(RequestError::Status(status.as_u16())),
        };
        let patience = patience.min(LONGEST_PATIENCE);
        self.state().busy_until = Some(Instant::now() + patience);
        Err(RequestError::Busy(patience))
    }

    /// The only place where a method is chosen.
    fn build(&self, request: &Request<'_>) -> Result<RequestBuilder, RequestError> {
        let mut url = self.settings.address.clone();
        let builder = match request {
            Request::Read(path, extent) => {
                url.set_path(path.as_str());
                match extent {
                    Extent::Plain => {}
                    Extent::Members => url.set_query(Some("$expand=.($levels=1)")),
                    Extent::Page(query) => url.set_query(Some(query)),
                }
                let json = HeaderValue::from_static("application/json");
                self.authorize(self.http.request(Method::GET, url))?
                    .header(ACCEPT, json)
            }
            Request::Listen(path) => {
                url.set_path(path.as_str());
                let stream = HeaderValue::from_static("text/event-stream");
                self.authorize(self.http.request(Method::GET, url))?
                    .header(ACCEPT, stream)
            }
            Request::LogIn => {
                url.set_path(SESSIONS);
                let password = self.password()?;
                let login = json!({
                    "UserName": self.settings.username,
                    "Password": password.expose_secret(),
                });
                self.http.request(Method::POST, url).json(&login)
            }
            Request::LogOut(session) => {
                url.set_path(session.path());
                self.authorize(self.http.request(Method::DELETE, url))?
            }
        };
        // DSP0266, 6.5: the version is told on every request
        Ok(builder.headers(HeaderMap::from_iter([(
            HeaderName::from_static("odata-version"),
            HeaderValue::from_static("4.0"),
        )])))
    }

    fn authorize(&self, builder: RequestBuilder) -> Result<RequestBuilder, RequestError> {
        if self.settings.username.is_empty() {
            return Ok(builder);
        }
        let (token, basic) = {
            let state = self.state();
            (state.token.clone(), state.basic)
        };
        if let Some(token) = token.filter(|_| !basic) {
            let mut value =
                HeaderValue::from_str(token.expose_secret()).map_err(|_| RequestError::Denied)?;
            value.set_sensitive(true);
            return Ok(builder.header(&AUTH_TOKEN, value));
        }
        let password = self.password()?;
        Ok(builder.basic_auth(&self.settings.username, Some(password.expose_secret())))
    }

    fn password(&self) -> Result<SecretString, RequestError> {
        self.settings
            .password(&self.root)
            .ok_or(RequestError::NoPassword)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

static AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");

fn header<'r>(response: &'r Response, name: &HeaderName) -> Option<&'r str> {
    response.headers().get(name)?.to_str().ok()
}

/// The whole body, but not more than `most` bytes.
async fn body(response: &mut Response, most: usize) -> Result<Vec<u8>, RequestError> {
    let mut body = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| RequestError::Silent(error.without_url()))?
    {
        if body.len() + chunk.len() > most {
            return Err(RequestError::TooLong(most));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
