//! Which tools a caller could use at all: what is listed.

use cedar_policy::{Decision, PartialEntities, PartialEntityUid, PartialRequest};
use glasshouse_core::access::Principal;
use glasshouse_core::identity::NodeId;

use crate::engine::PolicyEngine;
use crate::load::Loaded;
use crate::schema::Tool;

/// Whether some call of the tool could be allowed, by partial evaluation with everything of the call unknown.
///
/// Sound: what is decided without the call is decided for every call, so a tool that could be called is never hidden.
/// The task is known (it is a parent of the principal), so the tools of other tasks are decided, with no.
pub(crate) fn could_allow(
    engine: &PolicyEngine,
    loaded: &Loaded,
    principal: &Principal,
    tool: &Tool,
    node: NodeId,
) -> Result<bool, String> {
    let schema = &engine.tools.schema;
    let world = engine.world(principal, node)?;
    let request = PartialRequest::new(
        PartialEntityUid::from_concrete(world.session.clone()),
        tool.action.clone(),
        PartialEntityUid::from_concrete(world.resource.clone()),
        None,
        schema,
    )
    .map_err(|error| error.to_string())?;
    let entities = PartialEntities::from_concrete(world.entities.clone(), schema)
        .map_err(|error| error.to_string())?;
    let response = loaded
        .policies
        .tpe(&request, &entities, schema)
        .map_err(|error| error.to_string())?;
    Ok(response.decision() != Some(Decision::Deny))
}
