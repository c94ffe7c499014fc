//! The client as a transport of nv-redfish: it reads, and whatever else that trait can ask is refused.

use std::future::Future;
use std::sync::Arc;

use nv_redfish_core::query::ExpandQuery;
use nv_redfish_core::repair::decode_raw;
use nv_redfish_core::{
    Action, Bmc, BoxTryStream, EntityTypeRef, Expandable, FilterQuery, HttpPushUriUpdateRequest,
    ModificationResponse, MultipartUpdateRequest, ODataETag, ODataId, Raw, Repair, RepairError,
    SessionCreateResponse, UploadReader,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::bounded::{self, MOST_VALUES};
use super::client::{Client, MOST_BYTES, MOST_REPORT_BYTES};
use super::error::RequestError;
use super::path::ResourcePath;
use super::read::Report;
use super::request::Extent;

/// Reads documents of one BMC.
#[derive(Clone, Debug)]
pub(crate) struct Reader(pub(crate) Arc<Client>);

impl Reader {
    /// A document as it is, or with its members in place.
    pub(crate) async fn document(
        &self,
        path: &ResourcePath,
        with_members: Extent<'_>,
    ) -> Result<serde_json::Value, RequestError> {
        let (document, _) = self.part(path, with_members, MOST_VALUES).await?;
        Ok(document)
    }

    /// A document of at most so many values, and how many of them are left for more of its kind.
    pub(crate) async fn part(
        &self,
        path: &ResourcePath,
        extent: Extent<'_>,
        values: usize,
    ) -> Result<(serde_json::Value, usize), RequestError> {
        let body = self.0.read(path, extent, MOST_BYTES).await?;
        bounded::document(&body, values).map_err(RequestError::Json)
    }

    /// A metric report, entry by entry.
    pub(crate) async fn report(&self, path: &ResourcePath) -> Result<Report, RequestError> {
        let body = self.0.read(path, Extent::Plain, MOST_REPORT_BYTES).await?;
        serde_json::from_slice(&body).map_err(RequestError::Json)
    }

    async fn entity<T: DeserializeOwned>(
        &self,
        id: &ODataId,
        extent: Extent<'_>,
    ) -> Result<Arc<T>, RequestError> {
        let path = ResourcePath::parse(&id.to_string()).ok_or(RequestError::ReadOnly)?;
        let document = self.document(&path, extent).await?;
        serde_json::from_value(document)
            .map(Arc::new)
            .map_err(RequestError::Json)
    }
}

async fn refused<T>() -> Result<T, RequestError> {
    Err(RequestError::ReadOnly)
}

impl Bmc for Reader {
    type Error = RequestError;

    async fn expand<T: Expandable>(
        &self,
        id: &ODataId,
        _: ExpandQuery,
    ) -> Result<Arc<T>, RequestError> {
        self.entity(id, Extent::Members).await
    }

    async fn get<T: EntityTypeRef + for<'de> Deserialize<'de> + 'static>(
        &self,
        id: &ODataId,
    ) -> Result<Arc<T>, RequestError> {
        self.entity(id, Extent::Plain).await
    }

    async fn filter<T: EntityTypeRef + for<'de> Deserialize<'de> + 'static>(
        &self,
        _: &ODataId,
        _: FilterQuery,
    ) -> Result<Arc<T>, RequestError> {
        refused().await
    }

    async fn get_repaired<T: EntityTypeRef + for<'de> Deserialize<'de> + 'static>(
        &self,
        id: &ODataId,
        repair: &impl Repair,
    ) -> Result<Arc<T>, RepairError<RequestError>> {
        decode_raw(self.get::<Raw>(id).await, repair)
    }

    async fn expand_repaired<T: Expandable>(
        &self,
        id: &ODataId,
        query: ExpandQuery,
        repair: &impl Repair,
    ) -> Result<Arc<T>, RepairError<RequestError>> {
        decode_raw(self.expand::<Raw>(id, query).await, repair)
    }

    async fn filter_repaired<T: EntityTypeRef + for<'de> Deserialize<'de> + 'static>(
        &self,
        _: &ODataId,
        _: FilterQuery,
        _: &impl Repair,
    ) -> Result<Arc<T>, RepairError<RequestError>> {
        Err(RepairError::Transport(RequestError::ReadOnly))
    }

    async fn create<V: Send + Sync + Serialize, R: Send + Sync + for<'de> Deserialize<'de>>(
        &self,
        _: &ODataId,
        _: &V,
    ) -> Result<ModificationResponse<R>, RequestError> {
        refused().await
    }

    async fn create_session<
        V: Send + Sync + Serialize,
        R: Send + Sync + for<'de> Deserialize<'de>,
    >(
        &self,
        _: &ODataId,
        _: &V,
    ) -> Result<SessionCreateResponse<R>, RequestError> {
        // the client makes its own
        refused().await
    }

    async fn update<
        V: Sync + Send + Serialize,
        R: Send + Sync + Sized + for<'de> Deserialize<'de>,
    >(
        &self,
        _: &ODataId,
        _: Option<&ODataETag>,
        _: &V,
    ) -> Result<ModificationResponse<R>, RequestError> {
        refused().await
    }

    async fn delete<R: EntityTypeRef + for<'de> Deserialize<'de>>(
        &self,
        _: &ODataId,
    ) -> Result<ModificationResponse<R>, RequestError> {
        refused().await
    }

    async fn action<
        T: Send + Sync + Serialize,
        R: Send + Sync + Sized + for<'de> Deserialize<'de>,
    >(
        &self,
        _: &Action<T, R>,
        _: &T,
    ) -> Result<ModificationResponse<R>, RequestError> {
        refused().await
    }

    async fn poll<R: Send + Sync + Sized + for<'de> Deserialize<'de>>(
        &self,
        _: &ODataId,
    ) -> Result<ModificationResponse<R>, RequestError> {
        refused().await
    }

    fn multipart_update<U, V, R>(
        &self,
        _: &str,
        _: MultipartUpdateRequest<'_, U, V>,
    ) -> impl Future<Output = Result<ModificationResponse<R>, RequestError>> + Send
    where
        U: UploadReader,
        R: Send + Sync + for<'de> Deserialize<'de>,
        V: Send + Sync + Serialize,
    {
        refused()
    }

    fn http_push_uri_update<U, R>(
        &self,
        _: &str,
        _: HttpPushUriUpdateRequest<U>,
    ) -> impl Future<Output = Result<ModificationResponse<R>, RequestError>> + Send
    where
        U: UploadReader,
        R: Send + Sync + for<'de> Deserialize<'de>,
    {
        refused()
    }

    async fn stream<T: Sized + for<'de> Deserialize<'de> + Send + 'static>(
        &self,
        _: &str,
    ) -> Result<BoxTryStream<T, RequestError>, RequestError> {
        // events are heard under a watchdog of our own
        refused().await
    }
}
