//! Who and what a question is about, as Cedar's entities.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use cedar_policy::{Entities, Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression};
use glasshouse_core::access::Principal;
use glasshouse_core::identity::NodeId;

use crate::engine::Place;
use crate::error::PolicyError;
use crate::schema::type_name;

/// The most groups of a person that are judged; a principal with more is refused, because a forbid might be about the rest.
const MOST_GROUPS: usize = 256;

/// The most scopes of a token; more is no grant that anybody consented to.
const MOST_SCOPES: usize = 256;

/// The types of this house's entities, parsed once.
#[derive(Debug)]
pub(crate) struct EntityTypes {
    session: EntityTypeName,
    task: EntityTypeName,
    client: EntityTypeName,
    user: EntityTypeName,
    group: EntityTypeName,
    node: EntityTypeName,
    rack: EntityTypeName,
    site: EntityTypeName,
}

impl EntityTypes {
    /// Parses their names.
    pub(crate) fn new() -> Result<Self, PolicyError> {
        Ok(Self {
            session: type_name("Session")?,
            task: type_name("Task")?,
            client: type_name("Client")?,
            user: type_name("User")?,
            group: type_name("Group")?,
            node: type_name("Node")?,
            rack: type_name("Rack")?,
            site: type_name("Site")?,
        })
    }

    /// The task of that name.
    pub(crate) fn task(&self, name: &str) -> EntityUid {
        uid(&self.task, name)
    }

    /// Principal, resource and everything that they are in.
    pub(crate) fn build(
        &self,
        principal: &Principal,
        node: NodeId,
        place: Option<&Place>,
        naming: Naming,
    ) -> Result<World, String> {
        if principal.groups.len() > MOST_GROUPS || principal.scopes.len() > MOST_SCOPES {
            return Err("the principal has too many groups or scopes to judge".to_owned());
        }
        let session = uid(&self.session, &principal.token_id);
        let resource = uid(&self.node, &node.to_string());
        let mut entities = Vec::with_capacity(2 + MOST_ANCESTORS + principal.groups.len());
        self.add_session(principal, session.clone(), naming, &mut entities)?;
        self.add_node(resource.clone(), place, &mut entities);
        let entities =
            Entities::from_entities(entities, None).map_err(|error| error.to_string())?;
        Ok(World {
            session,
            resource,
            entities,
        })
    }

    /// The session, and the task, client, user and groups that it is in.
    fn add_session(
        &self,
        principal: &Principal,
        session: EntityUid,
        naming: Naming,
        entities: &mut Vec<Entity>,
    ) -> Result<(), String> {
        let named = |entity_type, name: &str| match naming {
            Naming::Plain => uid(entity_type, name),
            Naming::WithIssuer => uid(entity_type, &format!("{} {name}", principal.issuer)),
        };
        let client = named(&self.client, &principal.client);
        let user = named(&self.user, &principal.subject);
        let groups: HashSet<EntityUid> = principal
            .groups
            .iter()
            .map(|group| uid(&self.group, group))
            .collect();
        let scopes = principal
            .scopes
            .iter()
            .cloned()
            .map(RestrictedExpression::new_string);
        let mut attributes = HashMap::from([
            (
                "issuer".to_owned(),
                RestrictedExpression::new_string(principal.issuer.clone()),
            ),
            ("scopes".to_owned(), RestrictedExpression::new_set(scopes)),
        ]);
        let mut parents = HashSet::from([client.clone(), user.clone()]);
        if let Some(name) = &principal.task {
            let task = self.task(name);
            attributes.insert(
                "task".to_owned(),
                RestrictedExpression::new_entity_uid(task.clone()),
            );
            parents.insert(task.clone());
            entities.push(Entity::new_no_attrs(task, HashSet::new()));
        }
        let session =
            Entity::new(session, attributes, parents).map_err(|error| error.to_string())?;
        entities.push(session);
        entities.push(Entity::new_no_attrs(client, HashSet::new()));
        entities.extend(
            groups
                .iter()
                .map(|group| Entity::new_no_attrs(group.clone(), HashSet::new())),
        );
        entities.push(Entity::new_no_attrs(user, groups));
        Ok(())
    }

    /// The node, and the rack and site that it stands in, as far as they are known.
    fn add_node(&self, node: EntityUid, place: Option<&Place>, entities: &mut Vec<Entity>) {
        let rack = place.and_then(|place| place.rack.as_ref());
        let rack = rack.map(|rack| uid(&self.rack, rack));
        let site = place.and_then(|place| place.site.as_ref());
        let site = site.map(|site| uid(&self.site, site));
        // a rack may be unknown and its site not
        let stands_in = rack.clone().or_else(|| site.clone());
        entities.push(Entity::new_no_attrs(node, stands_in.into_iter().collect()));
        if let Some(rack) = rack {
            entities.push(Entity::new_no_attrs(rack, site.iter().cloned().collect()));
        }
        entities.extend(site.map(|site| Entity::new_no_attrs(site, HashSet::new())));
    }
}

/// How users and clients are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Naming {
    /// As their one issuer calls them.
    Plain,
    /// `ISSUER NAME`.
    WithIssuer,
}

/// The worlds of the principals that asked last. A token asks many times and its world is always the same.
#[derive(Debug, Default)]
pub(crate) struct Worlds(Mutex<VecDeque<Known>>);

#[derive(Debug)]
struct Known {
    principal: Principal,
    node: NodeId,
    world: Arc<World>,
}

impl Worlds {
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The world of this principal, to the last claim, or a new one.
    pub(crate) fn get(
        &self,
        principal: &Principal,
        node: NodeId,
        build: impl FnOnce() -> Result<World, String>,
    ) -> Result<Arc<World>, String> {
        let is_it = |known: &Known| {
            known.principal.token_id == principal.token_id
                && known.node == node
                && known.principal == *principal
        };
        {
            let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(found) = known.iter().rev().find(|known| is_it(known)) {
                return Ok(Arc::clone(&found.world));
            }
        }
        let world = Arc::new(build()?);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_WORLDS {
            known.pop_front();
        }
        known.push_back(Known {
            principal: principal.clone(),
            node,
            world: Arc::clone(&world),
        });
        Ok(world)
    }
}

/// Tokens at work on one face at a time; one more only costs the making of a world. With the most groups and scopes each
/// takes some hundred kilobytes.
const MOST_WORLDS: usize = 32;

/// Principal and resource of a question, with all that they are in.
#[derive(Debug)]
pub(crate) struct World {
    /// The principal.
    pub(crate) session: EntityUid,
    /// The resource.
    pub(crate) resource: EntityUid,
    /// Both, and what they are in.
    pub(crate) entities: Entities,
}

/// Task, client, user; rack, site.
const MOST_ANCESTORS: usize = 5;

fn uid(entity_type: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(entity_type.clone(), EntityId::new(id))
}
