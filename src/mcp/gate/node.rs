//! Which node a call is about. A face serves one, so `scope` can only name that one, or nothing.

use std::collections::BTreeMap;

use glasshouse_core::identity::NodeId;
use glasshouse_core::text::clean;

use crate::tools::{ToolError, quoted};
use crate::world::FaceWorld;

/// What stands for a node that nobody knows: where all that is asked is what could be listed.
pub(super) const UNKNOWN: NodeId = NodeId::from_bytes([0; 16]);

/// The node behind this face.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ThisNode {
    pub(crate) id: NodeId,
    /// The name that the host gives itself, cleaned.
    pub(crate) name: String,
}

impl ThisNode {
    /// From the inventory; `None` where it cannot be read or names no node. Then nothing may be decided about it.
    pub(crate) fn read(world: &FaceWorld) -> Option<Self> {
        let inventory = world.inventory.inventory().ok()?;
        (inventory.node != UNKNOWN).then(|| Self {
            id: inventory.node,
            name: inventory.host_name.clean(),
        })
    }

    /// Checks that `scope` means this node.
    ///
    /// # Errors
    /// [`ToolError::NoSuchNode`] where it does not; the message names this node, the only one that there is here.
    pub(crate) fn resolve(
        &self,
        scope: Option<&str>,
        labels: &BTreeMap<String, String>,
    ) -> Result<(), ToolError> {
        let Some(scope) = scope else {
            return Ok(());
        };
        let scope = scope.trim();
        let named =
            scope == self.name || NodeId::parse(&scope.to_ascii_lowercase()) == Some(self.id);
        if named || (scope.contains('=') && self.is_selected_by(scope, labels)) {
            return Ok(());
        }
        Err(ToolError::NoSuchNode {
            scope: clean(scope),
            candidates: self.candidates(labels),
        })
    }

    /// `key=value,key=value`: every pair must be a label of this node.
    fn is_selected_by(&self, selector: &str, labels: &BTreeMap<String, String>) -> bool {
        selector.split(',').all(|pair| {
            pair.split_once('=').is_some_and(|(key, value)| {
                let (key, value) = (key.trim(), value.trim());
                match key {
                    "host.name" => value == self.name,
                    "host.id" => NodeId::parse(value) == Some(self.id),
                    _ => labels.get(key).is_some_and(|have| have == value),
                }
            })
        })
    }

    fn candidates(&self, labels: &BTreeMap<String, String>) -> String {
        let names = [quoted(&self.name), format!("`{}`", self.id)];
        let pairs = labels
            .iter()
            .map(|(key, value)| quoted(&format!("{key}={value}")));
        let candidates: Vec<String> = names.into_iter().chain(pairs).collect();
        candidates.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_means_this_node_or_nothing() {
        let node = ThisNode {
            id: NodeId::from_bytes([7; 16]),
            name: "web1".to_owned(),
        };
        let labels = BTreeMap::from([("rack".to_owned(), "r1".to_owned())]);
        for good in [
            None,
            Some("web1"),
            Some("07070707-0707-0707-0707-070707070707"),
            Some("rack=r1"),
            Some("rack=r1, host.name=web1"),
        ] {
            assert_eq!(node.resolve(good, &labels), Ok(()), "{good:?}");
        }
        for bad in [
            "",
            "web",
            "WEB1",
            "web1,web2",
            "rack=r2",
            "rack=",
            "=",
            "site=x,rack=r1",
            "rack=r1,",
            "*",
        ] {
            let error = node.resolve(Some(bad), &labels).unwrap_err().to_string();
            assert!(
                error.contains("`web1`") && error.contains("`rack=r1`"),
                "{error}"
            );
        }
    }
}
