//! Reads policy files and turns them into one checked set.

use std::path::Path;

use cedar_policy::{
    Effect, Policy, PolicyId, PolicySet, PrincipalConstraint, ValidationMode, Validator,
};
use glasshouse_core::access::TaskDescription;
use miette::LabeledSpan;

use crate::entities::EntityTypes;
use crate::error::{PolicyError, SourceFile, invalid};
use crate::schema::Tools;

/// The largest policy file; a policy that needs more cannot be reviewed.
const MOST_FILE_BYTES: u64 = 256 * 1024;

/// The most task files: each policy costs every decision time.
const MOST_TASKS: usize = 64;

/// The longest summary of a task: a person reads it before consenting.
const MOST_SUMMARY_CHARACTERS: usize = 200;

/// A checked set of policies.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// All policies, their ids readable.
    pub(crate) policies: PolicySet,
    /// The tasks, sorted by name.
    pub(crate) tasks: Vec<TaskDescription>,
    /// What is allowed but odd.
    pub(crate) warnings: Vec<String>,
}

/// What [`check`] found in a folder that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckReport {
    /// Ids of the policies, sorted.
    pub policies: Vec<String>,
    /// The tasks that they describe.
    pub tasks: Vec<TaskDescription>,
    /// What is allowed but odd, a policy that can never apply for example.
    pub warnings: Vec<String>,
}

/// Checks a folder of policies without using it.
///
/// # Errors
/// [`PolicyError`] where it could not be used.
pub fn check(folder: &Path) -> Result<CheckReport, PolicyError> {
    let loaded = load(&read_folder(folder)?, &Tools::built_in()?)?;
    let mut policies: Vec<String> = loaded
        .policies
        .policies()
        .map(|policy| policy.id().to_string())
        .collect();
    policies.sort();
    Ok(CheckReport {
        policies,
        tasks: loaded.tasks,
        warnings: loaded.warnings,
    })
}

/// The files that are built in.
pub(crate) fn built_in() -> Vec<SourceFile> {
    [
        ("base", include_str!("base.cedar")),
        (
            "tasks/capacity-review",
            include_str!("tasks/capacity-review.cedar"),
        ),
        ("tasks/node-health", include_str!("tasks/node-health.cedar")),
    ]
    .map(|(stem, text)| SourceFile {
        path: format!("{stem}.cedar"),
        stem: stem.to_owned(),
        text: text.to_owned(),
    })
    .into()
}

/// The files of a folder: `base.cedar` and `tasks/*.cedar`, sorted.
pub(crate) fn read_folder(folder: &Path) -> Result<Vec<SourceFile>, PolicyError> {
    for path in cedar_files(folder)? {
        if path != "base.cedar" {
            return Err(layout(
                &folder.join(path),
                "would be ignored: only base.cedar and tasks/*.cedar are read",
                "move it into tasks/, one file a task, or take it away",
            ));
        }
    }
    let mut files = vec![read_file(folder, "base")?];
    let tasks = folder.join("tasks");
    for name in cedar_files(&tasks)? {
        let stem = name.trim_end_matches(".cedar");
        if !is_task_name(stem) {
            return Err(layout(
                &tasks.join(&name),
                "has a name that no task can have",
                "name it after the task: small letters, digits and hyphens, at most 64",
            ));
        }
        files.push(read_file(folder, &format!("tasks/{stem}"))?);
    }
    if files.len() > MOST_TASKS + 1 {
        return Err(layout(&tasks, "holds too many tasks", "keep at most 64"));
    }
    Ok(files)
}

/// Parses, names, checks and validates.
pub(crate) fn load(files: &[SourceFile], tools: &Tools) -> Result<Loaded, PolicyError> {
    let types = EntityTypes::new()?;
    let mut policies = PolicySet::new();
    let mut tasks = Vec::new();
    for file in files {
        for policy in parse(file, &types)? {
            policies
                .add(policy)
                .map_err(|error| file.diagnosed(&error))?;
        }
        tasks.extend(describe(file, &policies)?);
    }
    let validator = Validator::new(tools.schema.clone());
    let result = validator.validate(&policies, ValidationMode::Strict);
    if let Some(error) = result.validation_errors().next() {
        return Err(invalid(files, error));
    }
    let mut warnings: Vec<String> = result
        .validation_warnings()
        .map(ToString::to_string)
        .collect();
    warnings.sort();
    tasks.sort();
    Ok(Loaded {
        policies,
        tasks,
        warnings,
    })
}

/// The policies of one file, with ids of the form `file:name`, held to the rules of this house.
fn parse(file: &SourceFile, types: &EntityTypes) -> Result<Vec<Policy>, PolicyError> {
    let set: PolicySet = file
        .text
        .parse()
        .map_err(|error: cedar_policy::ParseErrors| file.diagnosed(&error))?;
    if set.templates().next().is_some() {
        return Err(file.wrong(
            format!("`{}` holds a template", file.path),
            None,
            "write the policy out: templates are not linked here",
        ));
    }
    let mut policies = Vec::new();
    for policy in set.policies() {
        let Some(name) = policy.annotation("id").filter(|name| is_task_name(name)) else {
            return Err(file.wrong(
                format!("a policy in `{}` has no usable @id", file.path),
                place(file, policy),
                "write @id(\"name\") above it, small letters, digits and hyphens: decisions are recorded by it",
            ));
        };
        hold_to_its_task(file, policy, types)?;
        policies.push(policy.new_id(PolicyId::new(format!("{}:{name}", file.stem))));
    }
    Ok(policies)
}

/// A permit stands in the file of a task and is for that task alone.
fn hold_to_its_task(
    file: &SourceFile,
    policy: &Policy,
    types: &EntityTypes,
) -> Result<(), PolicyError> {
    if policy.effect() == Effect::Forbid {
        return Ok(());
    }
    let Some(task) = file.stem.strip_prefix("tasks/") else {
        return Err(file.wrong(
            format!("`{}` holds a permit", file.path),
            place(file, policy),
            "move it to tasks/NAME.cedar: what is allowed is allowed to a task",
        ));
    };
    let named = match policy.principal_constraint() {
        PrincipalConstraint::In(parent) | PrincipalConstraint::IsIn(_, parent) => Some(parent),
        _ => None,
    };
    if named == Some(types.task(task)) {
        return Ok(());
    }
    Err(file.wrong(
        format!(
            "a permit in `{}` is not for the task of that name alone",
            file.path
        ),
        place(file, policy),
        &format!("write its head as: permit (principal in Glasshouse::Task::\"{task}\", …"),
    ))
}

/// The task that a file describes: one policy with @task and @summary.
fn describe(
    file: &SourceFile,
    policies: &PolicySet,
) -> Result<Option<TaskDescription>, PolicyError> {
    let Some(name) = file.stem.strip_prefix("tasks/") else {
        return Ok(None);
    };
    let mut described = policies
        .policies()
        .filter(|policy| file.holds(policy.id()))
        .filter_map(|policy| Some((policy, policy.annotation("task")?)));
    let wrong = |place: Option<LabeledSpan>| {
        file.wrong(
            format!("`{}` does not describe its task once", file.path),
            place,
            &format!(
                "write @task(\"{name}\") and @summary(\"one sentence for the person who consents, at most {MOST_SUMMARY_CHARACTERS} characters\") above one of its policies"
            ),
        )
    };
    let (policy, task) = described.next().ok_or_else(|| wrong(None))?;
    let summary = policy.annotation("summary").unwrap_or_default();
    let length = summary.chars().count();
    if task != name
        || length == 0
        || length > MOST_SUMMARY_CHARACTERS
        || summary.chars().any(char::is_control)
        || described.next().is_some()
    {
        return Err(wrong(place(file, policy)));
    }
    Ok(Some(TaskDescription {
        name: name.to_owned(),
        summary: summary.to_owned(),
    }))
}

/// Where a policy stands, found by its text.
fn place(file: &SourceFile, policy: &Policy) -> Option<LabeledSpan> {
    let text = policy.to_string();
    let start = file.text.find(text.trim())?;
    Some(LabeledSpan::new(
        Some("this policy".to_owned()),
        start,
        text.trim().len(),
    ))
}

/// Small letters, digits and hyphens, so that it can stand in a scope, a file name and a record.
pub(crate) fn is_task_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// The names of a folder's `.cedar` files, sorted. A folder that is not there is an error that says so.
fn cedar_files(folder: &Path) -> Result<Vec<String>, PolicyError> {
    let failed = |source| PolicyError::Read {
        path: folder.display().to_string(),
        source,
    };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let name = entry
            .map_err(failed)?
            .file_name()
            .to_string_lossy()
            .into_owned();
        if name.ends_with(".cedar") {
            names.push(name);
        }
        if names.len() > MOST_TASKS * 2 {
            return Err(layout(
                folder,
                "holds too many files",
                "keep at most 64 tasks",
            ));
        }
    }
    names.sort();
    Ok(names)
}

fn read_file(folder: &Path, stem: &str) -> Result<SourceFile, PolicyError> {
    use std::io::Read as _;
    let path = folder.join(format!("{stem}.cedar"));
    let failed = |source| PolicyError::Read {
        path: path.display().to_string(),
        source,
    };
    let mut text = String::new();
    std::fs::File::open(&path)
        .map_err(failed)?
        .take(MOST_FILE_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(failed)?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > MOST_FILE_BYTES {
        return Err(layout(&path, "is larger than 256 KiB", "split the task"));
    }
    Ok(SourceFile {
        path: path.display().to_string(),
        stem: stem.to_owned(),
        text,
    })
}

fn layout(path: &Path, problem: &str, way_out: &str) -> PolicyError {
    PolicyError::Layout {
        path: path.display().to_string(),
        problem: problem.to_owned(),
        way_out: way_out.to_owned(),
    }
}
