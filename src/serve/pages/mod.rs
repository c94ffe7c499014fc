//! `/metrics` and `/healthz`: pages for machines that look after machines, on a listener of their own.
//!
//! What stands on the pages comes from a [`PageSource`], which may take its time with a disk: it is asked on a thread that
//! may block, one page at a time, and what it said is shared with everybody who asks in the same second.

mod accept;
mod hosts;
mod shelf;
#[cfg(test)]
mod tests;

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;

use self::accept::Accepted;
use self::hosts::Hosts;
use self::shelf::Shelf;
use crate::routes::{AnswerBody, Site, Visitor, busy, document_of, plain, set, whole};

/// Where the metrics are.
pub const METRICS_PATH: &str = "/metrics";
/// Where a load balancer or a service manager asks whether the node's data is fresh.
pub const HEALTH_PATH: &str = "/healthz";

/// What stands on the pages, as wiring makes it.
pub trait PageSource: fmt::Debug + Send + Sync + 'static {
    /// Makes the page of `/metrics`. Blocks.
    ///
    /// # Errors
    /// [`Unavailable`] where there is nothing to show.
    fn render(&self) -> Result<Rendered, Unavailable>;

    /// A word for each thing that is wrong with the node's data; none where all is well. Blocks. A stranger may read them.
    fn health(&self) -> Vec<&'static str>;

    /// Whether who sends these headers may see the metrics.
    fn admit<'a>(&'a self, headers: &'a HeaderMap) -> Admission<'a>;
}

/// The answer of [`PageSource::admit`]: nothing, or how the request is refused.
pub type Admission<'a> = Pin<Box<dyn Future<Output = Result<(), Response<Bytes>>> + Send + 'a>>;

/// One page in the two formats that Prometheus reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// OpenMetrics 1.0.
    pub openmetrics: Bytes,
    /// The text format 0.0.4.
    pub text: Bytes,
}

/// Why there is no page, in a line that whoever may see the page may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unavailable(pub &'static str);

/// The pages and for whom they are.
#[derive(Clone, Debug)]
pub struct Pages {
    /// What stands on them.
    pub source: Arc<dyn PageSource>,
    /// Names under which this machine is asked besides its loopback addresses, `name` or `name:port`. They matter on loopback,
    /// where no token keeps a web page of somebody else from asking through a name of its own.
    pub allowed_hosts: Vec<String>,
}

/// How long a page may take: half of what Prometheus waits by default, so that it hears why there is none.
const DEADLINE: Duration = Duration::from_secs(5);

/// The media types, as [`Accepted`] chooses them.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The pages behind a listener.
#[derive(Clone, Debug)]
pub(crate) struct PageSite(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    source: Arc<dyn PageSource>,
    door: Door,
    metrics: Shelf<Result<Rendered, Unavailable>>,
    health: Shelf<Bytes>,
}

/// Who may see the metrics.
#[derive(Debug)]
enum Door {
    /// Everybody on this machine, asking for this machine.
    Loopback(Hosts),
    /// Who shows a certificate or a token.
    Guarded,
}

impl PageSite {
    pub(crate) fn new(pages: Pages, listen: IpAddr) -> Self {
        let door = if listen.to_canonical().is_loopback() {
            Door::Loopback(Hosts::new(&pages.allowed_hosts))
        } else {
            Door::Guarded
        };
        Self(Arc::new(Inner {
            source: pages.source,
            door,
            metrics: Shelf::default(),
            health: Shelf::default(),
        }))
    }
}

impl Site<()> for PageSite {
    /// Whoever reads metrics slowly keeps nobody from asking after the node's health.
    fn is_counted(&self, path: &str) -> bool {
        path != HEALTH_PATH
    }

    async fn route(
        self,
        request: Request<Incoming>,
        visitor: Visitor,
        time: Duration,
    ) -> Response<AnswerBody> {
        let (head, _body) = request.into_parts();
        let answer = async {
            match head.uri.path() {
                METRICS_PATH => match self.0.admit(&head, visitor).await {
                    Ok(()) => self.0.metrics(&head.method, &head.headers).await,
                    Err(refused) => refused,
                },
                HEALTH_PATH => self.0.health(&head.method).await,
                _ => plain(StatusCode::NOT_FOUND, "not found\n"),
            }
        };
        match tokio::time::timeout(time, answer).await {
            Ok(answer) => answer,
            Err(_) => busy("the page took too long\n"),
        }
    }
}

impl Inner {
    async fn admit(
        &self,
        head: &http::request::Parts,
        visitor: Visitor,
    ) -> Result<(), Response<AnswerBody>> {
        match &self.door {
            Door::Loopback(hosts) if hosts.serve(&head.uri, &head.headers) => Ok(()),
            Door::Loopback(_) => Err(plain(
                StatusCode::FORBIDDEN,
                "this Host is not served; ask for 127.0.0.1, or add the name to allowed_hosts\n",
            )),
            Door::Guarded if visitor == Visitor::Certified => Ok(()),
            Door::Guarded => {
                let admitted = self.source.admit(&head.headers).await;
                admitted.map_err(|refused| refused.map(whole))
            }
        }
    }

    async fn metrics(&self, method: &Method, headers: &HeaderMap) -> Response<AnswerBody> {
        let source = Arc::clone(&self.source);
        let page = self.metrics.get(DEADLINE, move || source.render()).await;
        let page = match page {
            Some(Ok(page)) => page,
            Some(Err(Unavailable(why))) => return busy(why),
            None => return busy("the page is still being made\n"),
        };
        let (media_type, bytes) = match Accepted::of(headers) {
            Accepted::OpenMetrics => (OPENMETRICS, page.openmetrics),
            Accepted::Text => (TEXT, page.text),
        };
        let mut response = document_of(method, bytes);
        if response.status() == StatusCode::OK {
            set(&mut response, header::CONTENT_TYPE, media_type);
            set(&mut response, header::VARY, "Accept");
        }
        set(&mut response, header::CACHE_CONTROL, "no-store");
        response
    }

    async fn health(&self, method: &Method) -> Response<AnswerBody> {
        let source = Arc::clone(&self.source);
        let look = move || {
            let troubles = source.health();
            troubles
                .iter()
                .flat_map(|word| [word.as_bytes(), b"\n"])
                .flatten()
                .copied()
                .collect::<Bytes>()
        };
        // a store that does not answer is a trouble of its own
        let troubles = self.health.get(DEADLINE, look).await;
        let troubles = troubles.unwrap_or(Bytes::from_static(b"slow\n"));
        let is_well = troubles.is_empty();
        let text = if is_well {
            Bytes::from_static(b"ok\n")
        } else {
            troubles
        };
        let mut response = document_of(method, text);
        if response.status() == StatusCode::OK {
            set(
                &mut response,
                header::CONTENT_TYPE,
                "text/plain; charset=utf-8",
            );
            if !is_well {
                *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            }
        }
        set(&mut response, header::CACHE_CONTROL, "no-store");
        response
    }
}
