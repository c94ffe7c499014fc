//! The endpoints: what a browser is shown, and what clients call.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use glasshouse_core::access::TASK_SCOPE_PREFIX;
use glasshouse_core::time::BootTime;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use oauth_as::authorization::{AuthorizationErrorRedirect, ValidatedAuthorizationRequest};
use oauth_as::jwt::hmac_sha256;
use oauth_as::registration::{ClientMetadata, RegistrationFailure};
use oauth_as::server::UserApproval;
use oauth_as::store::Storage as _;
use oauth_as::{AuthorizationError, ErrorCode, ErrorResponse};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::attempts::Attempts;
use crate::cimd::Documents;
use crate::clients::{ClientRefusal, Clients};
use crate::html::{STYLE, guard};
use crate::pages::{self, Consent, Form};
use crate::protocol::{self, Protocol};
use crate::random;
use crate::request::{Parameters, Wanted};
use crate::sessions::{Browser, Purpose, Sessions};
use crate::settings::{AuthdError, AuthdSettings};
use crate::wall_clock::WallClock;

/// The longest query of an authorization request; it comes back inside our forms.
const QUERY_MOST_BYTES: usize = 4 * 1024;

/// The largest body that is read: a form around such a query, each byte escaped, or a registration.
const BODY_MOST_BYTES: usize = 32 * 1024;

/// The longest that one request may take. Fetching a client's document is the slow one.
const REQUEST_DEADLINE: Duration = Duration::from_secs(15);

const EXPIRED: &str = "This form has expired, or came from somewhere else.";

/// The server's state.
pub(crate) struct Authd {
    settings: AuthdSettings,
    protocol: Protocol,
    clients: Clients,
    sessions: Sessions,
    attempts: Attempts,
    password_key: [u8; 32],
    clock: WallClock,
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
            sessions: Sessions::new(settings.issuer.starts_with("https:")).map_err(random)?,
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

    fn now(&self) -> BootTime {
        self.clock.0.moment().boot
    }

    /// Looks an authorization request through; the answer is a page or a redirect where it is not in order.
    async fn consider(&self, query: &str) -> Result<Asked, Response> {
        let parameters = Parameters::parse(query, QUERY_MOST_BYTES).ok_or_else(|| {
            pages::trouble(
                StatusCode::BAD_REQUEST,
                "The client's request is too long, garbled, or says one thing twice.",
            )
        })?;
        if let Some(id) = parameters
            .get("client_id")
            .filter(|id| id.starts_with("https://"))
        {
            self.clients
                .look_up(id, self.now())
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
        let validated = self.validate(&parameters, &scope).await?;
        if validated.resource != [self.settings.resource.as_str()] {
            let refusal = ErrorResponse::new(ErrorCode::InvalidTarget).with_description(
                "the resource parameter is required, and names this machine's MCP endpoint",
            );
            return Err(redirect(&refused(&validated, refusal).location()));
        }
        let known = self
            .protocol
            .server
            .store()
            .get_client(&validated.client_id)
            .await;
        let name = known.ok().flatten().and_then(|client| client.name.clone());
        let client_name = name.unwrap_or_else(|| validated.client_id.to_string());
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
    ) -> Result<ValidatedAuthorizationRequest, Response> {
        let request = parameters.with_scope(scope.join(" "));
        let checked = self
            .protocol
            .server
            .validate_authorization_request(&request)
            .await;
        checked.map_err(answer_refusal)
    }

    fn browser(&self, headers: &HeaderMap) -> Result<Browser, Response> {
        self.sessions
            .browser(headers, self.now())
            .map_err(no_randomness)
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
            .sessions
            .ticket(browser, Purpose::SignIn, query, self.now());
        let form = Form {
            request: query,
            ticket: &ticket,
            redirect_uri: &asked.validated.redirect_uri,
        };
        let mut response = pages::sign_in(status, form, &asked.client_name, trouble);
        self.remember(&mut response, browser);
        response
    }

    fn consent_page(
        &self,
        browser: &Browser,
        subject: &str,
        query: &str,
        asked: &Asked,
    ) -> Response {
        let ticket = self
            .sessions
            .ticket(browser, Purpose::Consent, query, self.now());
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
                client: &asked.client_name,
                client_id: asked.validated.client_id.as_str(),
                is_configured: self.is_configured(asked.validated.client_id.as_str()),
                scopes: &asked.wanted.scopes,
                tasks: &self.settings.tasks,
                chosen: chosen.unwrap_or(default),
                asked: &asked.wanted.tasks,
            },
        )
    }

    fn is_configured(&self, id: &str) -> bool {
        self.settings.clients.iter().any(|client| client.id == id)
    }

    fn remember(&self, response: &mut Response, browser: &Browser) {
        if let Some(cookie) = self.sessions.set_cookie(browser) {
            response.headers_mut().insert(header::SET_COOKIE, cookie);
        }
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
        let validated = match self.validate(&asked.parameters, &scope).await {
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
            Ok(issued) => {
                self.clients.keep(validated.client_id.as_str()).await;
                redirect(&issued.location(&validated.redirect_uri))
            }
            Err(error) => answer_refusal(error),
        }
    }
}

/// The routes.
pub(crate) fn router(state: Arc<Authd>) -> Router {
    Router::new()
        .route("/.well-known/oauth-authorization-server", get(metadata))
        .route("/authorize", get(authorize))
        .route("/sign-in", post(sign_in))
        .route("/consent", post(consent))
        .route("/register", post(register))
        .route("/jwks", get(protocol_endpoint))
        .route("/token", post(protocol_endpoint))
        .route("/introspect", post(protocol_endpoint))
        .route("/revoke", post(protocol_endpoint))
        .route("/style.css", get(style))
        .layer(middleware::from_fn(bounded))
        .with_state(state)
}

/// Every answer in time and with its headers.
async fn bounded(request: Request, next: Next) -> Response {
    let mut response = match tokio::time::timeout(REQUEST_DEADLINE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => pages::trouble(StatusCode::SERVICE_UNAVAILABLE, "That took too long."),
    };
    guard(&mut response);
    response
}

async fn metadata(State(authd): State<Arc<Authd>>) -> Response {
    json_response(StatusCode::OK, authd.protocol.metadata.clone())
}

async fn style() -> Response {
    let mut response = Response::new(Body::from(STYLE));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/css; charset=utf-8"),
    );
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("max-age=3600"),
    );
    response
}

async fn authorize(State(authd): State<Arc<Authd>>, request: Request) -> Response {
    let query = request.uri().query().unwrap_or_default().to_owned();
    show(&authd, &query, request.headers())
        .await
        .unwrap_or_else(|refusal| refusal)
}

async fn show(authd: &Authd, query: &str, headers: &HeaderMap) -> Result<Response, Response> {
    let asked = authd.consider(query).await?;
    let browser = authd.browser(headers)?;
    Ok(match browser.subject.clone() {
        Some(subject) => authd.consent_page(&browser, &subject, query, &asked),
        None => authd.sign_in_page(StatusCode::OK, &browser, query, &asked, None),
    })
}

async fn sign_in(State(authd): State<Arc<Authd>>, request: Request) -> Response {
    check_sign_in(&authd, request)
        .await
        .unwrap_or_else(|refusal| refusal)
}

async fn check_sign_in(authd: &Authd, request: Request) -> Result<Response, Response> {
    let (headers, form) = own_form(authd, request).await?;
    let field = |name: &str| form.get(name).unwrap_or_default();
    let (query, name) = (field("request"), field("username"));
    let browser = authd.browser(&headers)?;
    let now = authd.now();
    if browser.subject.is_some() {
        // Signed in meanwhile, in another window.
        return Ok(redirect(&format!("/authorize?{query}")));
    }
    if !authd
        .sessions
        .redeem(&browser, Purpose::SignIn, query, field("ticket"), now)
    {
        return Err(pages::trouble(StatusCode::FORBIDDEN, EXPIRED));
    }
    let asked = authd.consider(query).await?;
    let known = authd.settings.users.iter().any(|user| user.name == name);
    if !authd.attempts.take(known.then_some(name), now) {
        let rest = Some("Too many attempts. Wait a minute.");
        let mut page =
            authd.sign_in_page(StatusCode::TOO_MANY_REQUESTS, &browser, query, &asked, rest);
        page.headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
        return Err(page);
    }
    if !authd.is_password(name, field("password")) {
        tracing::info!("A sign-in failed.");
        let wrong = Some("The name or the password is wrong.");
        return Err(authd.sign_in_page(StatusCode::FORBIDDEN, &browser, query, &asked, wrong));
    }
    authd.attempts.forgive(name);
    let browser = authd.sessions.sign_in(name, now).map_err(no_randomness)?;
    let mut response = redirect(&format!("/authorize?{query}"));
    authd.remember(&mut response, &browser);
    Ok(response)
}

async fn consent(State(authd): State<Arc<Authd>>, request: Request) -> Response {
    check_consent(&authd, request)
        .await
        .unwrap_or_else(|refusal| refusal)
}

async fn check_consent(authd: &Authd, request: Request) -> Result<Response, Response> {
    let (headers, form) = own_form(authd, request).await?;
    let field = |name: &str| form.get(name).unwrap_or_default();
    let query = field("request");
    let browser = authd.browser(&headers)?;
    let expired = || pages::trouble(StatusCode::FORBIDDEN, EXPIRED);
    let subject = browser.subject.clone().ok_or_else(expired)?;
    if !authd.sessions.redeem(
        &browser,
        Purpose::Consent,
        query,
        field("ticket"),
        authd.now(),
    ) {
        return Err(expired());
    }
    let asked = authd.consider(query).await?;
    Ok(match field("decision") {
        "allow" => authd.allow(&asked, &subject, field("task")).await,
        "deny" => redirect(&asked.validated.denied().location()),
        _ => pages::trouble(StatusCode::BAD_REQUEST, "Press one of the two buttons."),
    })
}

/// Registration (RFC 7591).
async fn register(State(authd): State<Arc<Authd>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let refuse = |status, error: &str, why: &str| {
        let body = json!({"error": error, "error_description": why});
        json_response(status, Bytes::from(body.to_string()))
    };
    if !has_type(&parts.headers, "application/json") {
        return refuse(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "invalid_client_metadata",
            "send application/json",
        );
    }
    let body = match read_body(body).await {
        Ok(body) => body,
        Err(response) => return response,
    };
    let Ok(asked) = serde_json::from_slice::<ClientMetadata>(&body) else {
        return refuse(
            StatusCode::BAD_REQUEST,
            "invalid_client_metadata",
            "the body is no client metadata",
        );
    };
    match authd.clients.register(asked).await {
        Ok(made) => match serde_json::to_vec(&made) {
            Ok(made) => json_response(StatusCode::CREATED, made.into()),
            Err(_) => refuse(
                StatusCode::INTERNAL_SERVER_ERROR,
                "server_error",
                "the client cannot be described",
            ),
        },
        Err(ClientRefusal::NotLoopback) => refuse(
            StatusCode::BAD_REQUEST,
            "invalid_redirect_uri",
            &ClientRefusal::NotLoopback.to_string(),
        ),
        Err(ClientRefusal::Metadata(RegistrationFailure::Invalid(why))) => {
            let why = serde_json::to_vec(&why).unwrap_or_default();
            json_response(StatusCode::BAD_REQUEST, why.into())
        }
        Err(_) => refuse(
            StatusCode::TOO_MANY_REQUESTS,
            "temporarily_unavailable",
            &ClientRefusal::Full.to_string(),
        ),
    }
}

/// What clients call is the protocol library's, after the body was read within its bounds and found to have one meaning.
async fn protocol_endpoint(State(authd): State<Arc<Authd>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = match read_body(body).await {
        Ok(body) => body,
        Err(response) => return response,
    };
    let text = std::str::from_utf8(&body).ok();
    if text
        .and_then(|text| Parameters::parse(text, BODY_MOST_BYTES))
        .is_none()
    {
        let refusal: Value = json!({"error": "invalid_request", "error_description": "the form is garbled, or says one thing twice"});
        return json_response(StatusCode::BAD_REQUEST, Bytes::from(refusal.to_string()));
    }
    let request = http::Request::from_parts(parts, Full::new(body));
    // On its own task: a client that hangs up must not stop the protocol between taking a token and marking it used.
    let answering = tokio::spawn(async move { authd.protocol.service.handle(request).await });
    match answering.await {
        Ok(response) => response.map(|body| Body::from(body.into_bytes())),
        Err(_) => pages::trouble(StatusCode::INTERNAL_SERVER_ERROR, "The server failed."),
    }
}

async fn own_form(authd: &Authd, request: Request) -> Result<(HeaderMap, Parameters), Response> {
    let (parts, body) = request.into_parts();
    if !authd.is_ours(&parts.headers)
        || !has_type(&parts.headers, "application/x-www-form-urlencoded")
    {
        return Err(pages::trouble(StatusCode::FORBIDDEN, EXPIRED));
    }
    let body = read_body(body).await?;
    let text = std::str::from_utf8(&body).ok();
    let form = text.and_then(|text| Parameters::parse(text, BODY_MOST_BYTES));
    let form =
        form.ok_or_else(|| pages::trouble(StatusCode::BAD_REQUEST, "The form is garbled."))?;
    Ok((parts.headers, form))
}

async fn read_body(body: Body) -> Result<Bytes, Response> {
    match Limited::new(body, BODY_MOST_BYTES).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(_) => Err(pages::trouble(
            StatusCode::PAYLOAD_TOO_LARGE,
            "The request is too large, or broke off.",
        )),
    }
}

fn has_type(headers: &HeaderMap, expected: &str) -> bool {
    let value = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = value
        .and_then(|value| value.split(';').next())
        .unwrap_or_default();
    essence.trim().eq_ignore_ascii_case(expected)
}

fn json_response(status: StatusCode, body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}

/// 303: whatever the browser sent, it now asks with GET.
fn redirect(location: &str) -> Response {
    let Ok(location) = HeaderValue::from_str(location) else {
        return pages::trouble(
            StatusCode::BAD_REQUEST,
            "The client's redirect address is garbled.",
        );
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert(header::LOCATION, location);
    response
}

/// The client learns what is wrong only at an address that is known to be its own.
fn answer_refusal(error: AuthorizationError) -> Response {
    match error {
        AuthorizationError::Redirect(refusal) => redirect(&refusal.location()),
        AuthorizationError::Direct(refusal) => {
            let why = refusal
                .error_description
                .as_deref()
                .unwrap_or("it is not in order");
            pages::trouble(
                StatusCode::BAD_REQUEST,
                &format!("The client's request was refused: {why}."),
            )
        }
    }
}

fn refused(
    validated: &ValidatedAuthorizationRequest,
    error: ErrorResponse,
) -> AuthorizationErrorRedirect {
    AuthorizationErrorRedirect {
        error,
        ..validated.denied()
    }
}

fn no_randomness(error: io::Error) -> Response {
    tracing::error!(%error, "The kernel gives no random bytes; nobody can sign in.");
    pages::trouble(
        StatusCode::SERVICE_UNAVAILABLE,
        "The server cannot sign anybody in right now.",
    )
}

/// An error and what is behind it, without addresses of ours: a stranger reads this.
fn chain(error: &ClientRefusal) -> String {
    match error {
        ClientRefusal::Document(source) => format!("{error}: {source}"),
        other => other.to_string(),
    }
}
