//! Which control groups are looked at: the top ones, deeper ones on request, and never more than a bound.

use glasshouse_core::collector::SampleWriter;
use glasshouse_core::failure::CollectError;
use glasshouse_core::options::Options;
use glasshouse_sysfs::{SysRoot, optional};

pub(super) const DIRECTORY: &str = "sys/fs/cgroup";

/// Deeper ones come and go with every job, and a series each would be remembered.
const MOST_DEPTH: i64 = 5;

/// What `most` may be set to: ten files a group and run.
const MOST_GROUPS: i64 = 4096;

/// The slice whose children are services.
const SERVICES: &str = "system.slice";

/// What is looked at.
#[derive(Debug)]
pub(super) struct Choice {
    depth: usize,
    services: bool,
    most: usize,
}

/// The groups that were found.
#[derive(Debug, Default)]
pub(super) struct Groups {
    /// Below the root: `user.slice`, `system.slice/ssh.service`.
    pub(super) names: Vec<String>,
    /// How many there were beyond the bound.
    pub(super) left_out: u64,
}

impl Choice {
    pub(super) fn new(options: &Options) -> Self {
        let number = |name: &str, most: i64| {
            let number = options.integer(name).unwrap_or(1).clamp(1, most);
            usize::try_from(number).unwrap_or(1)
        };
        Self {
            depth: number("depth", MOST_DEPTH),
            services: options.is_on("services"),
            most: number("most", MOST_GROUPS),
        }
    }

    fn enters(&self, group: &str) -> bool {
        let level = group.split('/').count();
        level < self.depth || (self.services && group == SERVICES)
    }
}

/// Level by level, so that what the bound leaves out is deep. A group that goes while it is looked at is not there.
///
/// # Errors
/// [`CollectError`] where the top exists and cannot be read.
pub(super) fn find(
    root: &SysRoot,
    choice: &Choice,
    out: &mut dyn SampleWriter,
) -> Result<Groups, CollectError> {
    let mut groups = Groups::default();
    add_children(root, "", choice, &mut groups)?;
    let mut next = 0;
    while let Some(group) = groups.names.get(next).cloned() {
        next += 1;
        if choice.enters(&group)
            && let Err(error) = add_children(root, &group, choice, &mut groups)
        {
            out.failure(error);
        }
    }
    Ok(groups)
}

fn add_children(
    root: &SysRoot,
    parent: &str,
    choice: &Choice,
    groups: &mut Groups,
) -> Result<(), CollectError> {
    let place = join(DIRECTORY, parent);
    for name in optional(root.list(&place))?.unwrap_or_default() {
        if !root.exists(&format!("{place}/{name}/cgroup.procs")) {
            continue;
        }
        if groups.names.len() >= choice.most {
            groups.left_out += 1;
            continue;
        }
        groups.names.push(join(parent, &name));
    }
    Ok(())
}

fn join(parent: &str, name: &str) -> String {
    match (parent, name) {
        ("", name) => name.to_owned(),
        (parent, "") => parent.to_owned(),
        (parent, name) => format!("{parent}/{name}"),
    }
}
