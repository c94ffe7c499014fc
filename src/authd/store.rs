//! The grants, in memory and bounded.
//!
//! Codes and access tokens end within minutes and are swept. What could grow is the trail of used refresh tokens that
//! reuse is recognised by; so a grant is renewed a bounded number of times. And whatever else goes wrong, a token that
//! names two tasks, or none, is not stored, and what is not stored is not issued.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use glasshouse_core::access::TASK_SCOPE_PREFIX;
use oauth_as::store::{MemoryStorage, Storage, StorageError, WriteOutcome};
use oauth_as::{IssuedToken, RefreshTokenRecord};
use parking_lot::Mutex;

/// How often a grant is renewed at most. Eight hours of tokens of five minutes take 96.
const RENEWALS_MOST: u32 = 400;

/// The most grants that can be renewed at the same time; each took a person's consent.
const GRANTS_MOST: usize = 1024;

/// Memory with bounds.
#[derive(Default)]
pub(crate) struct BoundedStore {
    inner: MemoryStorage,
    /// By grant: how often it was renewed, and when last.
    renewals: Mutex<HashMap<String, (u32, SystemTime)>>,
    /// How long a grant is remembered.
    grant_life: Duration,
}

impl BoundedStore {
    pub(crate) fn new(grant_life: Duration) -> Self {
        Self {
            grant_life,
            ..Self::default()
        }
    }

    fn count_renewal(&self, record: &RefreshTokenRecord) -> Result<(), StorageError> {
        let mut renewals = self.renewals.lock();
        if !renewals.contains_key(&record.family_id) && renewals.len() >= GRANTS_MOST {
            return Err(StorageError::new("too many grants"));
        }
        let (count, last) = renewals
            .entry(record.family_id.clone())
            .or_insert((0, record.grant_established_at));
        *last = (*last).max(record.grant_established_at);
        *count += 1;
        if *count > RENEWALS_MOST {
            return Err(StorageError::new("the grant was renewed too often"));
        }
        Ok(())
    }
}

impl Storage for BoundedStore {
    async fn put_token(&self, token: IssuedToken) -> Result<WriteOutcome, StorageError> {
        let tasks = token
            .scope
            .iter()
            .filter(|scope| scope.as_str().starts_with(TASK_SCOPE_PREFIX));
        if tasks.count() != 1 {
            return Err(StorageError::new("a token names exactly one task"));
        }
        self.inner.put_token(token).await
    }

    async fn put_refresh_token(
        &self,
        record: RefreshTokenRecord,
    ) -> Result<WriteOutcome, StorageError> {
        self.count_renewal(&record)?;
        self.inner.put_refresh_token(record).await
    }

    async fn sweep_expired(&self, now: SystemTime) -> Result<u64, StorageError> {
        let life = self.grant_life;
        self.renewals
            .lock()
            .retain(|_, (_, last)| now.duration_since(*last).unwrap_or(Duration::ZERO) < life);
        self.inner.sweep_expired(now).await
    }

    oauth_as::delegate_storage! {
        to inner;
        get_client, put_client, compare_and_swap_client, delete_client,
        put_device_grant, get_device_grant, find_device_grant_by_user_code,
        take_device_grant, compare_and_swap_device_grant,
        put_authorization_code, compare_and_swap_authorization_code, take_authorization_code,
        put_pushed_authorization_request, take_pushed_authorization_request,
        get_token, delete_token,
        get_refresh_token, take_refresh_token, rotate_refresh_token, revoke_token_family,
        put_consent, compare_and_swap_consent, get_consent, find_consent, consents_for_subject, revoke_consent,
        claim_replay_id,
    }
}
