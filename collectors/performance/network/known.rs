//! The interfaces that are there, with what a collector keeps of each between runs.

use std::collections::VecDeque;

use glasshouse_core::collector::SampleWriter;
use glasshouse_core::failure::CollectError;
use glasshouse_sysfs::{Patterns, SysRoot, optional};

use super::link::DIRECTORY;

/// What is kept is made anew this often: an interface may come back under its name in another slot. A few minutes at the
/// intervals at which links are read.
const RUNS_BETWEEN_LOOKS: u32 = 20;

/// The interfaces of the machine.
#[derive(Debug)]
pub(super) struct Known<T> {
    root: SysRoot,
    exclude: Patterns,
    /// In the order of their names.
    interfaces: Vec<(String, T)>,
    runs: u32,
}

impl<T> Known<T> {
    pub(super) const fn new(root: SysRoot, exclude: Patterns) -> Self {
        Self {
            root,
            exclude,
            interfaces: Vec::new(),
            runs: 0,
        }
    }

    /// Those that are there now. `make` is asked for one that was not known before.
    pub(super) fn look(
        &mut self,
        out: &mut dyn SampleWriter,
        make: impl Fn(&SysRoot, &str, &mut dyn SampleWriter) -> T,
    ) -> Result<&mut [(String, T)], CollectError> {
        if self.runs.is_multiple_of(RUNS_BETWEEN_LOOKS) {
            self.interfaces.clear();
        }
        self.runs = self.runs.wrapping_add(1);
        let names = optional(self.root.list(DIRECTORY))?.unwrap_or_default();
        let mut known: VecDeque<(String, T)> = std::mem::take(&mut self.interfaces).into();
        for name in names {
            if self.exclude.matches(&name) {
                continue;
            }
            let at = known.iter().position(|(known, _)| *known == name);
            let kept = at.and_then(|at| known.remove(at));
            if let Some(kept) = kept {
                self.interfaces.push(kept);
            } else if self.root.exists(&format!("{DIRECTORY}/{name}/operstate")) {
                // `bonding_masters` is a file among the interfaces
                let made = make(&self.root, &name, out);
                self.interfaces.push((name, made));
            }
        }
        Ok(&mut self.interfaces)
    }
}
