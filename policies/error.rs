//! Why policies cannot be used: with the file, the place in it and the way out.

use std::sync::Arc;

use cedar_policy::{PolicyId, ValidationError};
use miette::{Diagnostic, LabeledSpan, NamedSource};

/// Why a set of policies was refused. The set that was in force before stays in force.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum PolicyError {
    /// The file system said no.
    #[error("failed to read `{path}`")]
    Read {
        /// Which file or folder.
        path: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The folder is not laid out as one of policies.
    #[error("`{path}` {problem}")]
    #[diagnostic(help("{way_out}"))]
    Layout {
        /// Which file or folder.
        path: String,
        /// What is wrong with it.
        problem: String,
        /// What to do.
        way_out: String,
    },
    /// A policy is wrong: it does not parse, does not fit the schema, or breaks a rule of this house.
    #[error("{detail}")]
    #[diagnostic(help("{way_out}"))]
    Policy {
        /// What is wrong.
        detail: String,
        /// The file.
        #[source_code]
        file: Arc<NamedSource<String>>,
        /// Where in the file.
        #[label(collection, "here")]
        places: Vec<LabeledSpan>,
        /// What to do.
        way_out: String,
    },
    /// A policy names somebody in a way that fits nobody, given the issuers that are trusted.
    #[error("policy `{policy}` names {name}, which can be nobody")]
    #[diagnostic(help("{way_out}"))]
    Name {
        /// The id of the policy.
        policy: String,
        /// Who is named.
        name: String,
        /// What to do.
        way_out: String,
    },
    /// The schema that is built in does not parse; a test keeps this from being shipped.
    #[error("the built-in schema is broken: {detail}")]
    Schema {
        /// What Cedar said.
        detail: String,
    },
}

/// One policy file.
#[derive(Clone, Debug)]
pub(crate) struct SourceFile {
    /// The path as shown, `tasks/node-health.cedar` below the folder.
    pub(crate) path: String,
    /// `base`, or `tasks/NAME`: the first part of the ids of its policies.
    pub(crate) stem: String,
    /// What stands in it.
    pub(crate) text: String,
}

impl SourceFile {
    /// An error about a stretch of this file.
    pub(crate) fn wrong(
        &self,
        detail: String,
        place: Option<LabeledSpan>,
        way_out: &str,
    ) -> PolicyError {
        PolicyError::Policy {
            detail,
            file: Arc::new(NamedSource::new(&self.path, self.text.clone())),
            places: place.into_iter().collect(),
            way_out: way_out.to_owned(),
        }
    }

    /// What Cedar says, shown in this file.
    pub(crate) fn diagnosed(&self, diagnostic: &dyn Diagnostic) -> PolicyError {
        PolicyError::Policy {
            detail: format!("`{}`: {diagnostic}", self.path),
            file: Arc::new(NamedSource::new(&self.path, self.text.clone())),
            places: diagnostic.labels().into_iter().flatten().collect(),
            way_out: diagnostic
                .help()
                .map(|help| help.to_string())
                .unwrap_or_else(|| "docs/policy.md says how policies are written".to_owned()),
        }
    }

    /// Whether a policy with this id stands here.
    pub(crate) fn holds(&self, id: &PolicyId) -> bool {
        let id: &str = id.as_ref();
        id.rsplit_once(':')
            .is_some_and(|(stem, _)| stem == self.stem)
    }
}

/// A validation error, shown in the file that it is about.
pub(crate) fn invalid(files: &[SourceFile], error: &ValidationError) -> PolicyError {
    files
        .iter()
        .find(|file| file.holds(error.policy_id()))
        .map_or_else(
            || PolicyError::Schema {
                detail: error.to_string(),
            },
            |file| file.diagnosed(error),
        )
}
