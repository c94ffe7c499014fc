//! What the face is given: readers, deciders and settings. It opens nothing itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use glasshouse_core::access::{Authenticator, Authorizer, Usage, UsageKey};
use glasshouse_core::audit::AuditSink;
use glasshouse_core::finding::FindingReader;
use glasshouse_core::reader::{InventoryReader, SampleReader};
use glasshouse_core::time::Clock;

/// Everything that the face needs; wiring builds it, tests pass fakes.
#[derive(Clone, Debug)]
pub struct FaceWorld {
    /// Stored telemetry.
    pub samples: Arc<dyn SampleReader>,
    /// What is wrong, and was.
    pub findings: Arc<dyn FindingReader>,
    /// What the node is, and what its collectors say.
    pub inventory: Arc<dyn InventoryReader>,
    /// Token to principal.
    pub authenticator: Arc<dyn Authenticator>,
    /// The policies.
    pub authorizer: Arc<dyn Authorizer>,
    /// Where decisions are recorded before anything is read.
    pub audit: Arc<dyn AuditSink>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What was used in the 24 h before the start, rebuilt from the audit log. It counts for 24 h from the start on, because
    /// the sums carry no times: a budget is never made larger by a restart.
    pub usage: BTreeMap<UsageKey, Usage>,
    /// Names and addresses.
    pub settings: FaceSettings,
}

/// What the face is called and who may reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaceSettings {
    /// The exact URL of `/mcp`: the audience of every token.
    pub resource: String,
    /// The URL of the protected-resource metadata (RFC 9728), named in challenges.
    pub resource_metadata: String,
    /// `Host` values that are served, `name` (any port) or `name:port`. Empty: the authority of `resource` alone.
    pub allowed_hosts: Vec<String>,
    /// `Origin` values that are served. Empty: every request that carries an `Origin` is refused.
    pub allowed_origins: Vec<String>,
    /// The task that a challenge proposes, without its prefix: `node-health`.
    pub default_task: String,
    /// Labels of this node that a `scope` selector may name, such as `site` and `rack`.
    pub node_labels: BTreeMap<String, String>,
}
