//! What a person's browser is shown: sign-in, consent, and the way back to the client.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use glasshouse_core::access::TASK_SCOPE_PREFIX;
use glasshouse_core::time::BootTime;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use oauth_as::authorization::{AuthorizationErrorRedirect, ValidatedAuthorizationRequest};
use oauth_as::jwt::hmac_sha256;
use oauth_as::server::UserApproval;
use oauth_as::store::Storage as _;
use oauth_as::{AuthorizationError, ErrorCode, ErrorResponse};
use secrecy::ExposeSecret as _;

use crate::answers::{
    BODY_MOST_BYTES, has_type, is_opened, no_randomness, read_body, redirect, refused, told_here,
};
use crate::attempts::Attempts;
use crate::cimd::Documents;
use crate::clients::{ClientRefusal, Clients, is_loopback_redirect};
use crate::pages::{self, Consent, Form, Who};
use crate::protocol::{self, Protocol};
use crate::random;
use crate::request::{Parameters, Wanted};
use crate::settings::{AuthdError, AuthdSettings};
use crate::tickets::{Browser, Purpose, Tickets};
use crate::wall_clock::WallClock;

/// The longest query of an authorization request; it comes back inside our forms.
const QUERY_MOST_BYTES: usize = 4 * 1024;

const EXPIRED: &str = "This form has expired, or came from somewhere else.";

/// The server's state.
pub(crate) struct Authd {
    settings: AuthdSettings,
    pub(crate) protocol: Protocol,
    pub(crate) clients: Clients,
    tickets: Tickets,
    attempts: Attempts,
    password_key: [u8; 32],
    clock: WallClock,
}

/// Whether a person has signed in for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Person {
    Unknown,
    SignedIn,
}

/// An authorization request that is in order.
struct Asked {
    parameters: Parameters,
    validated: ValidatedAuthorizationRequest,
    wanted: Wanted,
    client_name: String,
}

impl Authd {
    /// Sets everything up.
    pub(crate) async fn new(settings: AuthdSettings, clock: WallClock) -> Result<Self, AuthdError> {
        settings.check()?;
        let random = |source| AuthdError::Random { source };
        let protocol = protocol::set_up(&settings, clock.clone()).await?;
        let documents = Documents::new(&settings)?;
        let server = Arc::clone(&protocol.server);
        let clients = Clients::new(server, protocol.catalogue.clone(), documents, clock.clone());
        Ok(Self {
            tickets: Tickets::new(settings.issuer.starts_with("https:")).map_err(random)?,
            password_key: random::bytes().map_err(random)?,
            attempts: Attempts::default(),
            settings,
            protocol,
            clients,
            clock,
        })
    }

    /// Drops what has expired.
    pub(crate) async fn sweep(&self) {
        let now = self.clock.system_time();
        if let Err(error) = self.protocol.server.store().sweep_expired(now).await {
            tracing::warn!(%error, "Expired grants could not be dropped; will retry.");
        }
    }

    pub(crate) fn now(&self) -> BootTime {
        self.clock.0.moment().boot
    }

    /// Looks an authorization request through; the answer is a page or a redirect where it is not in order.
    async fn consider(
        &self,
        query: &str,
        headers: &HeaderMap,
        person: Person,
    ) -> Result<Asked, Response> {
        let parameters = Parameters::parse(query, QUERY_MOST_BYTES).ok_or_else(|| {
            pages::trouble(
                StatusCode::BAD_REQUEST,
                "The client's request is too long, garbled, or says one thing twice.",
            )
        })?;
        // What the operator has configured is not asked of the network, whatever its id looks like.
        if let Some(id) = parameters
            .get("client_id")
            .filter(|id| id.starts_with("https://") && !self.is_taken(id))
        {
            self.clients
                .look_up(id, is_opened(headers), self.now())
                .await
                .map_err(|refusal| pages::trouble(StatusCode::BAD_REQUEST, &chain(&refusal)))?;
        }
        let mut wanted = parameters.wanted();
        if parameters.get("scope").is_none() {
            wanted.scopes.clone_from(&self.settings.scopes);
        }
        let tasks = wanted
            .tasks
            .iter()
            .map(|task| format!("{TASK_SCOPE_PREFIX}{task}"));
        let scope: Vec<String> = wanted.scopes.iter().cloned().chain(tasks).collect();
        let validated = self.validate(&parameters, &scope, person).await?;
        if validated.resource != [self.settings.resource.as_str()] {
            let refusal = ErrorResponse::new(ErrorCode::InvalidTarget).with_description(
                "the resource parameter is required, and names this machine's MCP endpoint",
            );
            return Err(self.lead_back(
                validated.client_id.as_str(),
                &refused(&validated, refusal),
                person,
            ));
        }
        let known = self
            .protocol
            .server
            .store()
            .get_client(&validated.client_id)
            .await;
        let name = known.ok().flatten().and_then(|client| client.name.clone());
        let client_name = name.unwrap_or_else(|| validated.client_id.to_string());
        if is_opened(headers) {
            let id = validated.client_id.as_str();
            self.clients.hold(id, self.now()).await;
        }
        Ok(Asked {
            parameters,
            validated,
            wanted,
            client_name,
        })
    }

    async fn validate(
        &self,
        parameters: &Parameters,
        scope: &[String],
        person: Person,
    ) -> Result<ValidatedAuthorizationRequest, Response> {
        let request = parameters.with_scope(scope.join(" "));
        let checked = self
            .protocol
            .server
            .validate_authorization_request(&request)
            .await;
        checked.map_err(|error| {
            let id = parameters.get("client_id").unwrap_or_default();
            self.answer(id, error, person)
        })
    }

    /// The client learns what is wrong only at an address that is known to be its own.
    fn answer(&self, client: &str, error: AuthorizationError, person: Person) -> Response {
        match error {
            AuthorizationError::Redirect(refusal) => self.lead_back(client, &refusal, person),
            AuthorizationError::Direct(refusal) => told_here(&refusal),
        }
    }

    /// Sends the browser back to the client with an error, without asking anybody; so a stranger could have a link to
    /// this server lead wherever its own client lives (RFC 9700, 4.11.2). That is done for addresses that can be
    /// trusted: those of configured clients, and those on the person's own machine, where no page to be fooled by is,
    /// and a program that waits for its answer would else wait for ever. To other addresses it is done only for a
    /// person who has signed in, and has read there which address that is.
    fn lead_back(
        &self,
        client: &str,
        refusal: &AuthorizationErrorRedirect,
        person: Person,
    ) -> Response {
        if person == Person::SignedIn
            || self.is_configured(client)
            || is_loopback_redirect(&refusal.redirect_uri)
        {
            redirect(&refusal.location())
        } else {
            told_here(&refusal.error)
        }
    }

    fn sign_in_page(
        &self,
        status: StatusCode,
        browser: &Browser,
        query: &str,
        asked: &Asked,
        trouble: Option<&str>,
    ) -> Response {
        let ticket = self
            .tickets
            .issue(browser, Purpose::SignIn, query, self.now());
        let form = Form {
            request: query,
            ticket: &ticket,
            redirect_uri: &asked.validated.redirect_uri,
        };
        let mut response = pages::sign_in(status, form, self.who(asked), trouble);
        if let Some(cookie) = self.tickets.set_cookie(browser) {
            response.headers_mut().insert(header::SET_COOKIE, cookie);
        }
        response
    }

    fn consent_page(
        &self,
        browser: &Browser,
        subject: &str,
        query: &str,
        asked: &Asked,
    ) -> Response {
        let purpose = Purpose::Consent { subject };
        let ticket = self.tickets.issue(browser, purpose, query, self.now());
        let form = Form {
            request: query,
            ticket: &ticket,
            redirect_uri: &asked.validated.redirect_uri,
        };
        let default = &self.settings.default_task;
        let chosen = if asked.wanted.tasks.contains(default) {
            Some(default)
        } else {
            asked.wanted.tasks.first()
        };
        pages::consent(
            form,
            &Consent {
                subject,
                client: self.who(asked),
                scopes: &asked.wanted.scopes,
                tasks: &self.settings.tasks,
                chosen: chosen.unwrap_or(default),
                asked: &asked.wanted.tasks,
            },
        )
    }

    fn who<'a>(&self, asked: &'a Asked) -> Who<'a> {
        let id = asked.validated.client_id.as_str();
        Who {
            name: &asked.client_name,
            id,
            is_configured: self.is_configured(id),
        }
    }

    fn is_configured(&self, id: &str) -> bool {
        self.settings.clients.iter().any(|client| client.id == id)
    }

    /// Whether the operator has given this id away, to a client or to a resource server.
    fn is_taken(&self, id: &str) -> bool {
        let mut servers = self.settings.resource_servers.iter();
        self.is_configured(id) || servers.any(|(server, _)| server == id)
    }

    /// Whether a request was sent to the name that the server goes by: a page elsewhere whose name was made to point
    /// here is not.
    pub(crate) fn is_our_host(&self, headers: &HeaderMap) -> bool {
        let ours = self.settings.issuer.split_once("://").map(|(_, host)| host);
        let sent = headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok());
        ours.is_some() && sent == ours
    }

    /// Whether the form came from a page of ours, as far as the browser says; the ticket decides in the end.
    fn is_ours(&self, headers: &HeaderMap) -> bool {
        let is =
            |name: &str, expected: &str| headers.get(name).is_none_or(|value| value == expected);
        is("origin", &self.settings.issuer) && is("sec-fetch-site", "same-origin")
    }

    /// Whether this is the user's password. Both sides go through a keyed hash before they are compared, and a user
    /// that does not exist is compared as well, so the time that it takes tells nothing.
    fn is_password(&self, name: &str, password: &str) -> bool {
        let user = self.settings.users.iter().find(|user| user.name == name);
        let expected = user
            .map(|user| user.password.expose_secret())
            .unwrap_or_default();
        let same = hmac_sha256(&self.password_key, expected.as_bytes())
            == hmac_sha256(&self.password_key, password.as_bytes());
        same && user.is_some() && !expected.is_empty()
    }

    /// Issues the code for one task, which the person chose.
    async fn allow(&self, asked: &Asked, subject: &str, task: &str) -> Response {
        if !self.settings.tasks.iter().any(|known| known.name == task) {
            return pages::trouble(StatusCode::BAD_REQUEST, "Choose one of the tasks.");
        }
        let mut scope = asked.wanted.scopes.clone();
        scope.push(format!("{TASK_SCOPE_PREFIX}{task}"));
        // The protocol looks at the request again, now with the scope that was consented to and nothing else.
        let validated = match self
            .validate(&asked.parameters, &scope, Person::SignedIn)
            .await
        {
            Ok(validated) => validated,
            Err(response) => return response,
        };
        let approval = UserApproval::granted(&validated, subject);
        match self
            .protocol
            .server
            .issue_authorization_code(approval)
            .await
        {
            Ok(issued) => redirect(&issued.location(&validated.redirect_uri)),
            Err(error) => self.answer(validated.client_id.as_str(), error, Person::SignedIn),
        }
    }
}

/// Shows the sign-in page for an authorization request that is in order.
pub(crate) async fn authorize(State(authd): State<Arc<Authd>>, request: Request) -> Response {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let considered = authd.consider(&query, request.headers(), Person::Unknown);
    let asked = match considered.await {
        Ok(asked) => asked,
        Err(refusal) => return refusal,
    };
    match Browser::of(request.headers()) {
        Ok(browser) => authd.sign_in_page(StatusCode::OK, &browser, &query, &asked, None),
        Err(error) => no_randomness(&error),
    }
}

/// Takes the sign-in form; the answer to a right password is the consent page.
pub(crate) async fn sign_in(State(authd): State<Arc<Authd>>, request: Request) -> Response {
    check_sign_in(&authd, request)
        .await
        .unwrap_or_else(|refusal| refusal)
}

async fn check_sign_in(authd: &Authd, request: Request) -> Result<Response, Response> {
    let OwnForm {
        headers,
        browser,
        fields,
    } = own_form(authd, request).await?;
    let field = |name: &str| fields.get(name).unwrap_or_default();
    let (query, name, now) = (field("request"), field("username"), authd.now());
    let ticket = field("ticket");
    if !authd
        .tickets
        .is_good(ticket, &browser, Purpose::SignIn, query, now)
    {
        return Err(pages::trouble(StatusCode::FORBIDDEN, EXPIRED));
    }
    let asked = authd.consider(query, &headers, Person::Unknown).await?;
    let again = |status, why| authd.sign_in_page(status, &browser, query, &asked, Some(why));
    let known = authd.settings.users.iter().any(|user| user.name == name);
    if !authd
        .attempts
        .take(known.then_some(name), browser.cookie(), now)
    {
        let why = "Too many attempts. Wait a minute.";
        let mut page = again(StatusCode::TOO_MANY_REQUESTS, why);
        let minute = HeaderValue::from_static("60");
        page.headers_mut().insert(header::RETRY_AFTER, minute);
        return Err(page);
    }
    if !authd.is_password(name, field("password")) {
        tracing::info!("A sign-in failed.");
        let why = "The name or the password is wrong.";
        return Err(again(StatusCode::FORBIDDEN, why));
    }
    authd.attempts.forgive(name, browser.cookie());
    Ok(authd.consent_page(&browser, name, query, &asked))
}

/// Takes the consent form, and sends the browser back to the client.
pub(crate) async fn consent(State(authd): State<Arc<Authd>>, request: Request) -> Response {
    check_consent(&authd, request)
        .await
        .unwrap_or_else(|refusal| refusal)
}

async fn check_consent(authd: &Authd, request: Request) -> Result<Response, Response> {
    let OwnForm {
        headers,
        browser,
        fields,
    } = own_form(authd, request).await?;
    let field = |name: &str| fields.get(name).unwrap_or_default();
    let (query, subject, now) = (field("request"), field("subject"), authd.now());
    let (ticket, purpose) = (field("ticket"), Purpose::Consent { subject });
    let good = authd.tickets.is_good(ticket, &browser, purpose, query, now);
    if !good || !authd.tickets.use_up(ticket, now) {
        return Err(pages::trouble(StatusCode::FORBIDDEN, EXPIRED));
    }
    let asked = authd.consider(query, &headers, Person::SignedIn).await?;
    Ok(match field("decision") {
        "allow" => authd.allow(&asked, subject, field("task")).await,
        "deny" => redirect(&asked.validated.denied().location()),
        _ => pages::trouble(StatusCode::BAD_REQUEST, "Press one of the two buttons."),
    })
}

/// A form that came from a page of ours, as far as the browser says.
struct OwnForm {
    headers: HeaderMap,
    browser: Browser,
    fields: Parameters,
}

async fn own_form(authd: &Authd, request: Request) -> Result<OwnForm, Response> {
    let (parts, body) = request.into_parts();
    if !authd.is_ours(&parts.headers)
        || !has_type(&parts.headers, "application/x-www-form-urlencoded")
    {
        return Err(pages::trouble(StatusCode::FORBIDDEN, EXPIRED));
    }
    let body = read_body(body).await?;
    let text = std::str::from_utf8(&body).ok();
    let fields = text.and_then(|text| Parameters::parse(text, BODY_MOST_BYTES));
    let fields =
        fields.ok_or_else(|| pages::trouble(StatusCode::BAD_REQUEST, "The form is garbled."))?;
    let browser = Browser::of(&parts.headers).map_err(|error| no_randomness(&error))?;
    Ok(OwnForm {
        headers: parts.headers,
        browser,
        fields,
    })
}

/// An error and what is behind it, without addresses of ours: a stranger reads this.
fn chain(error: &ClientRefusal) -> String {
    match error {
        ClientRefusal::Document(source) => format!("{error}: {source}"),
        other => other.to_string(),
    }
}
