//! The memory controllers and modules that EDAC drivers show, and where their counters are.

use glasshouse_core::collector::SampleWriter;
use glasshouse_core::fact::FactDefinition;
use glasshouse_core::failure::CollectError;
use glasshouse_sysfs::{KeptFile, SysRoot, optional, unique_names};

use super::edac::{DIRECTORY, FACTS};

const CORRECTED: &str = "corrected";
const UNCORRECTED: &str = "uncorrected";

/// File of a controller, what it counts, and of which errors.
const CONTROLLER_COUNTERS: [(&str, &str, &str); 4] = [
    ("ce_count", CORRECTED, "all"),
    ("ue_count", UNCORRECTED, "all"),
    ("ce_noinfo_count", CORRECTED, "unattributed"),
    ("ue_noinfo_count", UNCORRECTED, "unattributed"),
];

/// `size` is in MiB.
const BYTES_PER_MEBIBYTE: u64 = 1 << 20;

/// Files of a module that say what it is, and the fact of each.
static MODULE_FACTS: [(&str, &FactDefinition); 3] = [
    ("dimm_label", &FACTS[1]),
    ("dimm_mem_type", &FACTS[2]),
    ("dimm_edac_mode", &FACTS[3]),
];

/// A memory controller.
#[derive(Debug)]
pub(super) struct Controller {
    pub(super) name: String,
    pub(super) counters: Vec<ControllerCounter>,
    pub(super) seconds: KeptFile,
    pub(super) facts: Vec<(&'static FactDefinition, String)>,
    pub(super) modules: Vec<Module>,
}

/// A counter of a controller.
#[derive(Debug)]
pub(super) struct ControllerCounter {
    pub(super) error_type: &'static str,
    pub(super) scope: &'static str,
    pub(super) file: KeptFile,
}

/// A module, or a rank, or a row or channel of older drivers.
#[derive(Debug)]
pub(super) struct Module {
    pub(super) id: String,
    pub(super) name: String,
    /// What facts call it.
    pub(super) component: String,
    pub(super) counters: Vec<(&'static str, KeptFile)>,
    pub(super) facts: Vec<(&'static FactDefinition, String)>,
}

/// Every controller with its modules. What one of them does not say is told and left out.
///
/// # Errors
/// [`CollectError`] where the directory exists and cannot be read.
pub(super) fn find(
    root: &SysRoot,
    out: &mut dyn SampleWriter,
) -> Result<Vec<Controller>, CollectError> {
    let names = optional(root.list(DIRECTORY))?.unwrap_or_default();
    let numbered = names.into_iter().filter(|name| is_numbered(name, "mc"));
    Ok(numbered
        .map(|name| controller(root, name, &mut Finder { root, out }))
        .collect())
}

fn controller(root: &SysRoot, name: String, finder: &mut Finder<'_>) -> Controller {
    let place = format!("{DIRECTORY}/{name}");
    let file = |file: &str| KeptFile::attribute(root, &format!("{place}/{file}"));
    let counters = CONTROLLER_COUNTERS.map(|(path, error_type, scope)| ControllerCounter {
        error_type,
        scope,
        file: file(path),
    });
    let kind = finder.text(&format!("{place}/mc_name"));
    Controller {
        counters: counters.into(),
        seconds: file("seconds_since_reset"),
        facts: kind.map(|kind| (&FACTS[0], kind)).into_iter().collect(),
        modules: finder.modules(&name, &place),
        name,
    }
}

/// Looks, and says what it cannot read.
struct Finder<'f> {
    root: &'f SysRoot,
    out: &'f mut dyn SampleWriter,
}

impl Finder<'_> {
    fn text(&mut self, path: &str) -> Option<String> {
        self.noted(self.root.read_optional_trimmed(path)).flatten()
    }

    fn names(&mut self, place: &str) -> Vec<String> {
        let names = optional(self.root.list(place));
        self.noted(names).flatten().unwrap_or_default()
    }

    fn noted<T>(&mut self, outcome: Result<T, CollectError>) -> Option<T> {
        outcome.map_err(|error| self.out.failure(error)).ok()
    }

    fn modules(&mut self, controller: &str, place: &str) -> Vec<Module> {
        let names = self.names(place);
        let mut modules = Vec::new();
        for name in &names {
            let at = format!("{place}/{name}");
            let counts = self.root.exists(&format!("{at}/dimm_ce_count"));
            if counts && (is_numbered(name, "dimm") || is_numbered(name, "rank")) {
                modules.push(self.module(controller, name, &at));
            }
        }
        if modules.is_empty() {
            for name in names.iter().filter(|name| is_numbered(name, "csrow")) {
                self.row(controller, name, &format!("{place}/{name}"), &mut modules);
            }
        }
        let mut ids: Vec<String> = modules.iter().map(|module| module.id.clone()).collect();
        unique_names(&mut ids);
        for (module, id) in modules.iter_mut().zip(ids) {
            module.component = format!("memory/{id}");
            module.id = id;
        }
        modules
    }

    /// `dimm3`, `rank3`: its location says where it is, its number only when it was found.
    fn module(&mut self, controller: &str, name: &str, at: &str) -> Module {
        let location = self.text(&format!("{at}/dimm_location"));
        let place = location.as_deref().and_then(place_of);
        let id = format!("{controller}/{}", place.as_deref().unwrap_or(name));
        let mut facts: Vec<_> = MODULE_FACTS
            .iter()
            .filter_map(|(file, fact)| Some((*fact, self.text(&format!("{at}/{file}"))?)))
            .collect();
        let mebibytes = self.text(&format!("{at}/size"));
        let mebibytes = mebibytes.and_then(|text| text.parse::<u64>().ok());
        if let Some(bytes) = mebibytes.and_then(|size| size.checked_mul(BYTES_PER_MEBIBYTE)) {
            facts.push((&FACTS[4], bytes.to_string()));
        }
        let label = facts
            .iter()
            .find(|(fact, _)| std::ptr::eq(*fact, &raw const FACTS[1]))
            .map(|(_, label)| label.clone());
        let counter = |error_type, file: &str| {
            let file = KeptFile::attribute(self.root, &format!("{at}/{file}"));
            (error_type, file)
        };
        Module {
            name: label.unwrap_or_else(|| id.clone()),
            id,
            component: String::new(),
            counters: vec![
                counter(CORRECTED, "dimm_ce_count"),
                counter(UNCORRECTED, "dimm_ue_count"),
            ],
            facts,
        }
    }

    /// `csrow2`: corrected errors by channel, uncorrected ones of the row.
    fn row(&mut self, controller: &str, row: &str, at: &str, modules: &mut Vec<Module>) {
        let id = format!("{controller}/{row}");
        modules.push(Module {
            name: id.clone(),
            id: id.clone(),
            component: String::new(),
            counters: vec![(
                UNCORRECTED,
                KeptFile::attribute(self.root, &format!("{at}/ue_count")),
            )],
            facts: Vec::new(),
        });
        for file in self.names(at) {
            let channel = file
                .strip_prefix("ch")
                .and_then(|file| file.strip_suffix("_ce_count"))
                .filter(|number| is_numbered(number, ""));
            let Some(channel) = channel else { continue };
            let label = self.text(&format!("{at}/ch{channel}_dimm_label"));
            let id = format!("{id}/channel{channel}");
            modules.push(Module {
                name: label.unwrap_or_else(|| id.clone()),
                id,
                component: String::new(),
                counters: vec![(
                    CORRECTED,
                    KeptFile::attribute(self.root, &format!("{at}/{file}")),
                )],
                facts: Vec::new(),
            });
        }
    }
}

/// `channel1/slot0` of `channel 1 slot 0 `: pairs of a word and a number, from the layers that the driver knows.
fn place_of(location: &str) -> Option<String> {
    /// `EDAC_MAX_LAYERS`.
    const MOST_LAYERS: usize = 3;
    let words: Vec<&str> = location.split_ascii_whitespace().collect();
    let pairs = words.chunks(2).map(|pair| match pair {
        [layer, number] if is_numbered(number, "") => {
            let is_word = layer.bytes().all(|byte| byte.is_ascii_lowercase());
            is_word.then(|| format!("{layer}{number}"))
        }
        _ => None,
    });
    let pairs: Vec<String> = pairs.collect::<Option<_>>()?;
    (1..=MOST_LAYERS)
        .contains(&pairs.len())
        .then(|| pairs.join("/"))
}

/// `mc0` for `mc`, but not `mc_name`.
fn is_numbered(name: &str, stem: &str) -> bool {
    name.strip_prefix(stem)
        .is_some_and(|n| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()))
}
