//! The tower service of `/mcp`.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::combinators::BoxBody;

use crate::world::FaceWorld;

/// The body of an answer.
pub type McpBody = BoxBody<Bytes, Infallible>;

/// Everything of `/mcp`: limits, strict parsing, token, scopes, gate, tools.
#[derive(Clone, Debug)]
pub struct McpService {
    world: Arc<FaceWorld>,
}

/// Builds the service of `/mcp`.
#[must_use]
pub fn service(world: FaceWorld) -> McpService {
    McpService {
        world: Arc::new(world),
    }
}

impl<B> tower_service::Service<http::Request<B>> for McpService
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: std::fmt::Display,
{
    type Response = http::Response<McpBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _request: http::Request<B>) -> Self::Future {
        let _world = Arc::clone(&self.world);
        Box::pin(async { Ok(http::Response::new(McpBody::default())) })
    }
}
