//! The decision point.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use cedar_policy::{Authorizer as Cedar, Request, Response};
use glasshouse_core::access::{
    Authorizer, Decision, DenyReason, Principal, Question, TaskDescription,
};
use glasshouse_core::identity::NodeId;
use glasshouse_core::time::Timestamp;

use crate::context::context;
use crate::entities::{EntityTypes, Naming, World, Worlds};
use crate::error::PolicyError;
use crate::issuers::Issuers;
use crate::load::{Loaded, built_in, load, read_folder};
use crate::schema::{Tool, Tools};

/// The most bytes of what Cedar says about trouble; it goes into the audit log.
const MOST_TROUBLE_BYTES: usize = 400;

/// Answers by Cedar policies. Shared between threads; a reload swaps the whole set at once.
#[derive(Debug)]
pub struct PolicyEngine {
    pub(crate) tools: Tools,
    types: EntityTypes,
    current: ArcSwap<Loaded>,
    issuers: Issuers,
    place: Option<Place>,
    worlds: Worlds,
}

/// Where a node stands, for policies that say `resource in Glasshouse::Rack::"…"` or a site. Either may be unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The rack.
    pub rack: Option<String>,
    /// The site of the rack, or of the node where the rack is unknown.
    pub site: Option<String>,
}

impl PolicyEngine {
    /// With the policies that are built in.
    ///
    /// # Errors
    /// [`PolicyError`] where those are broken, which a test keeps from being shipped.
    pub fn built_in() -> Result<Self, PolicyError> {
        Self::load(None)
    }

    /// With the policies of a folder, or the built-in ones where there is none.
    ///
    /// # Errors
    /// [`PolicyError`] where any file is missing, broken, or does not fit the schema.
    pub fn load(folder: Option<&Path>) -> Result<Self, PolicyError> {
        let tools = Tools::built_in()?;
        let loaded = load(&files(folder)?, &tools)?;
        Ok(Self {
            tools,
            types: EntityTypes::new()?,
            current: ArcSwap::from_pointee(loaded),
            issuers: Issuers::default(),
            place: None,
            worlds: Worlds::default(),
        })
    }

    /// Says where the node stands that is asked about. Without it no policy about a rack or site fits.
    #[must_use]
    pub fn with_place(mut self, place: Place) -> Self {
        self.place = Some(place);
        self.worlds = Worlds::default();
        self
    }

    /// Says whose tokens are taken, and which groups the config itself describes. With more than one issuer a user, client
    /// or claimed group of a policy is written `ISSUER NAME`, because `alice` at one is not `alice` at the other.
    ///
    /// # Errors
    /// [`PolicyError`] where a policy names somebody in the other way: it would fit nobody, and a forbid would be void.
    pub fn with_issuers(
        mut self,
        issuers: BTreeSet<String>,
        groups: BTreeSet<String>,
    ) -> Result<Self, PolicyError> {
        self.issuers = Issuers::new(issuers, groups);
        self.worlds = Worlds::default();
        self.issuers.check(&self.current.load().policies)?;
        Ok(self)
    }

    /// Reads the policies again and swaps them in whole.
    ///
    /// # Errors
    /// [`PolicyError`] where they cannot be used; then the last good set stays in force, and the log says so.
    pub fn reload(&self, folder: Option<&Path>) -> Result<(), PolicyError> {
        let read = files(folder).and_then(|files| load(&files, &self.tools));
        match read.and_then(|loaded| self.issuers.check(&loaded.policies).map(|()| loaded)) {
            Ok(loaded) => {
                tracing::info!(tasks = loaded.tasks.len(), "Policies reloaded.");
                self.current.store(Arc::new(loaded));
                Ok(())
            }
            Err(cause) => {
                tracing::error!(error = %cause, "New policies refused; the last good set stays in force.");
                Err(cause)
            }
        }
    }

    /// The set in force.
    pub(crate) fn loaded(&self) -> Arc<Loaded> {
        self.current.load_full()
    }

    /// Whether a policy file describes the task of a principal.
    pub(crate) fn knows_task(loaded: &Loaded, principal: &Principal) -> bool {
        principal.task.as_ref().is_some_and(|name| {
            loaded
                .tasks
                .binary_search_by(|task| task.name.cmp(name))
                .is_ok()
        })
    }

    /// Principal and resource as entities.
    pub(crate) fn world(&self, principal: &Principal, node: NodeId) -> Result<Arc<World>, String> {
        self.worlds.get(principal, node, || {
            let naming = if self.issuers.are_several() {
                Naming::WithIssuer
            } else {
                Naming::Plain
            };
            self.types
                .build(principal, node, self.place.as_ref(), naming)
        })
    }

    #[cfg(test)]
    pub(crate) fn worlds_known(&self) -> usize {
        self.worlds.len()
    }

    /// The question as Cedar takes it. It fits the schema by construction: [`context`] holds every argument to it, and the
    /// rest is of fixed types. A test validates it; doing so for each question would cost as much as the policies.
    pub(crate) fn request(
        &self,
        question: &Question<'_>,
        tool: &Tool,
        world: &World,
    ) -> Result<Request, String> {
        let (session, node) = (world.session.clone(), world.resource.clone());
        let context = context(question, tool)?;
        Request::new(session, tool.action.clone(), node, context, None)
            .map_err(|error| error.to_string())
    }
}

impl Authorizer for PolicyEngine {
    fn decide(&self, question: &Question<'_>) -> Decision {
        let loaded = self.current.load();
        let Some(tool) = self.tools.get(question.tool) else {
            return deny(DenyReason::UnknownTool);
        };
        if !Self::knows_task(&loaded, question.principal) {
            return deny(DenyReason::UnknownTask);
        }
        let judged = self
            .world(question.principal, question.node)
            .and_then(|world| {
                let request = self.request(question, tool, &world)?;
                Ok(Cedar::new().is_authorized(&request, &loaded.policies, &world.entities))
            });
        match judged {
            Ok(response) => decision(&response),
            Err(detail) => deny(trouble(&detail)),
        }
    }

    fn could_allow(&self, principal: &Principal, tool: &str, node: NodeId, _: Timestamp) -> bool {
        let loaded = self.current.load();
        let Some(tool) = self.tools.get(tool) else {
            return false;
        };
        if !Self::knows_task(&loaded, principal) {
            return false;
        }
        crate::listing::could_allow(self, &loaded, principal, tool, node).unwrap_or_else(|detail| {
            tracing::error!(
                detail,
                "Policies could not be asked what to list; the tool is hidden."
            );
            false
        })
    }

    fn tasks(&self) -> Vec<TaskDescription> {
        self.current.load().tasks.clone()
    }
}

/// A policy that could not be evaluated might have been the one that forbids.
fn decision(response: &Response) -> Decision {
    let diagnostics = response.diagnostics();
    let mut errors: Vec<String> = diagnostics.errors().map(ToString::to_string).collect();
    if !errors.is_empty() {
        errors.sort();
        return deny(trouble(&errors.join("; ")));
    }
    let mut policies: Vec<String> = diagnostics.reason().map(ToString::to_string).collect();
    policies.sort();
    match response.decision() {
        cedar_policy::Decision::Allow => Decision::Allow { policies },
        cedar_policy::Decision::Deny if policies.is_empty() => deny(DenyReason::NoPolicy),
        cedar_policy::Decision::Deny => Decision::Deny {
            reason: DenyReason::Forbidden,
            policies,
        },
    }
}

const fn deny(reason: DenyReason) -> Decision {
    Decision::Deny {
        reason,
        policies: Vec::new(),
    }
}

fn trouble(detail: &str) -> DenyReason {
    let end = detail.floor_char_boundary(MOST_TROUBLE_BYTES);
    DenyReason::Trouble(detail.get(..end).unwrap_or_default().to_owned())
}

fn files(folder: Option<&Path>) -> Result<Vec<crate::error::SourceFile>, PolicyError> {
    folder.map_or_else(|| Ok(built_in()), read_folder)
}
