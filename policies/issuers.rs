//! Names in policies, where more than one issuer gives names.

use std::collections::BTreeSet;

use cedar_policy::{Policy, PolicySet};
use serde_json::Value;

use crate::error::PolicyError;

/// Types whose ids are names that an issuer gives.
const NAMED: &[&str] = &[
    "Glasshouse::User",
    "Glasshouse::Client",
    "Glasshouse::Group",
];

/// Nesting of a policy that is looked into; Cedar's parser allows fewer.
const DEEPEST: usize = 1024;

/// Whose tokens are taken. None: not known, as on the command line, and nothing is checked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Issuers {
    issuers: BTreeSet<String>,
    /// Groups of the config. They are the operator's and have no issuer.
    groups: BTreeSet<String>,
}

impl Issuers {
    pub(crate) const fn new(issuers: BTreeSet<String>, groups: BTreeSet<String>) -> Self {
        Self { issuers, groups }
    }

    /// Whether a name alone says too little.
    pub(crate) fn are_several(&self) -> bool {
        self.issuers.len() > 1
    }

    /// Refuses policies that name people in the way of another number of issuers.
    ///
    /// # Errors
    /// [`PolicyError::Name`], the first by id.
    pub(crate) fn check(&self, policies: &PolicySet) -> Result<(), PolicyError> {
        if self.issuers.is_empty() {
            return Ok(());
        }
        let mut policies: Vec<&Policy> = policies.policies().collect();
        policies.sort_by_key(|policy| policy.id().to_string());
        for policy in policies {
            let failed = |error: &dyn ToString| PolicyError::Schema {
                detail: error.to_string(),
            };
            let json = policy.to_json().map_err(|error| failed(&error))?;
            self.check_names(&json, policy.id().as_ref(), 0)?;
        }
        Ok(())
    }

    fn check_names(&self, json: &Value, policy: &str, depth: usize) -> Result<(), PolicyError> {
        if depth > DEEPEST {
            return Err(PolicyError::Schema {
                detail: format!("policy `{policy}` nests too deeply"),
            });
        }
        if let Value::Array(items) = json {
            return items
                .iter()
                .try_for_each(|item| self.check_names(item, policy, depth + 1));
        }
        let Value::Object(fields) = json else {
            return Ok(());
        };
        let text = |key: &str| fields.get(key).and_then(Value::as_str);
        if let (Some(entity_type), Some(name)) = (text("type"), text("id"))
            && NAMED.contains(&entity_type)
            && !self.is_a_name(entity_type, name)
        {
            return Err(PolicyError::Name {
                policy: policy.to_owned(),
                name: format!("{entity_type}::\"{}\"", name.escape_debug()),
                way_out: self.way_out(),
            });
        }
        fields
            .values()
            .try_for_each(|value| self.check_names(value, policy, depth + 1))
    }

    fn is_a_name(&self, entity_type: &str, name: &str) -> bool {
        if entity_type == "Glasshouse::Group" && self.groups.contains(name) {
            return true;
        }
        let issuer = name.split_once(' ').map(|(issuer, _)| issuer);
        if self.are_several() {
            issuer.is_some_and(|issuer| self.issuers.contains(issuer))
        } else {
            !issuer.is_some_and(|issuer| issuer.contains("://"))
        }
    }

    fn way_out(&self) -> String {
        if self.are_several() {
            let issuers: Vec<&str> = self.issuers.iter().map(String::as_str).collect();
            format!(
                "several issuers are trusted: write \"ISSUER NAME\", the issuer one of {}; groups of the config have none",
                issuers.join(", ")
            )
        } else {
            "one issuer is trusted: write the name alone".to_owned()
        }
    }
}
