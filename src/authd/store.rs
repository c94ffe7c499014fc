//! The grants, in memory and bounded.
//!
//! Codes and access tokens end within minutes and are swept. What could grow is the trail of used refresh tokens that
//! reuse is recognised by; so a grant is renewed a bounded number of times. And whatever else goes wrong, a token that
//! names two tasks, or none, is not stored, and what is not stored is not issued.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, SystemTime};

use glasshouse_core::access::TASK_SCOPE_PREFIX;
use oauth_as::store::{MemoryStorage, RevocationWindow, Storage, StorageError, WriteOutcome};
use oauth_as::{ClientId, IssuedToken, RefreshTokenRecord};
use parking_lot::Mutex;

/// How often a grant is renewed at most. Eight hours of tokens of five minutes take 96.
const RENEWALS_MOST: u32 = 400;

/// The most grants that can be renewed at the same time; each took a person's consent.
const GRANTS_MOST: usize = 1024;

/// Memory with bounds.
#[derive(Default)]
pub(crate) struct BoundedStore {
    inner: MemoryStorage,
    /// By the grant's id.
    grants: Mutex<HashMap<String, Grant>>,
    /// How long a grant is remembered.
    grant_life: Duration,
}

/// What is remembered of a grant that can be renewed.
struct Grant {
    client: ClientId,
    /// How often it was renewed.
    renewals: u32,
    established: SystemTime,
}

impl BoundedStore {
    pub(crate) fn new(grant_life: Duration) -> Self {
        Self {
            grant_life,
            ..Self::default()
        }
    }

    fn count_renewal(&self, record: &RefreshTokenRecord) -> Result<(), StorageError> {
        let mut grants = self.grants.lock();
        if !grants.contains_key(&record.family_id) && grants.len() >= GRANTS_MOST {
            return Err(StorageError::new("too many grants"));
        }
        let grant = grants
            .entry(record.family_id.clone())
            .or_insert_with(|| Grant {
                client: record.client_id.clone(),
                renewals: 0,
                established: record.grant_established_at,
            });
        grant.renewals += 1;
        if grant.renewals > RENEWALS_MOST {
            return Err(StorageError::new("the grant was renewed too often"));
        }
        Ok(())
    }

    /// The clients that can still renew something that a person granted.
    pub(crate) fn clients_with_grants(&self, now: SystemTime) -> BTreeSet<String> {
        let grants = self.grants.lock();
        let live = grants
            .values()
            .filter(|grant| grant.is_live(now, self.grant_life));
        live.map(|grant| grant.client.as_str().to_owned()).collect()
    }
}

impl Grant {
    fn is_live(&self, now: SystemTime, life: Duration) -> bool {
        now.duration_since(self.established).unwrap_or_default() < life
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
        self.grants
            .lock()
            .retain(|_, grant| grant.is_live(now, life));
        self.inner.sweep_expired(now).await
    }

    async fn revoke_token_family(
        &self,
        family_id: &str,
        window: RevocationWindow,
    ) -> Result<u64, StorageError> {
        let revoked = self.inner.revoke_token_family(family_id, window).await?;
        self.grants.lock().remove(family_id);
        Ok(revoked)
    }

    async fn delete_client(
        &self,
        client_id: &ClientId,
        window: RevocationWindow,
    ) -> Result<bool, StorageError> {
        let deleted = self.inner.delete_client(client_id, window).await?;
        self.grants
            .lock()
            .retain(|_, grant| grant.client != *client_id);
        Ok(deleted)
    }

    oauth_as::delegate_storage! {
        to inner;
        get_client, put_client, compare_and_swap_client,
        put_device_grant, get_device_grant, find_device_grant_by_user_code,
        take_device_grant, compare_and_swap_device_grant,
        put_authorization_code, compare_and_swap_authorization_code, take_authorization_code,
        put_pushed_authorization_request, take_pushed_authorization_request,
        get_token, delete_token,
        get_refresh_token, take_refresh_token, rotate_refresh_token,
        put_consent, compare_and_swap_consent, get_consent, find_consent, consents_for_subject, revoke_consent,
        claim_replay_id,
    }
}
