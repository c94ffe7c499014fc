//! What firmware says of memory modules and sockets: the SMBIOS table in `/sys/firmware/dmi/tables/DMI`.
//!
//! Serial numbers and asset tags are left out.

mod decode;
mod smbios;

use glasshouse_core::collector::{Collector, Presence, SampleWriter};
use glasshouse_core::fact::FactDefinition;
use glasshouse_core::failure::CollectError;
use glasshouse_core::hardware::facts;
use glasshouse_core::options::Options;
use glasshouse_sysfs::{ReadBuffer, Spec, SysRoot, malformed, presence, unique_names};

use super::{Teller, fact};
use decode::{Array, MEMORY_ARRAY, MEMORY_DEVICE, Module, PROCESSOR};
use smbios::Structures;

pub(super) static DMI: Spec = Spec {
    name: "dmi",
    summary: "What firmware says of memory modules, their slots and processor sockets.",
    metrics: &[],
    facts: &FACTS,
    options: &[],
    interval_seconds: 300,
    needs: "CAP_DAC_READ_SEARCH: the table is readable by root alone",
    build: |root: SysRoot, _: &Options| {
        Box::new(Dmi {
            root,
            told: None,
            buffer: ReadBuffer::new(),
        })
    },
};

const TABLE: &str = "sys/firmware/dmi/tables/DMI";

/// Modules and sockets that are told: the largest machines have a few hundred slots.
const MOST_PARTS: usize = 1024;

static FACTS: [FactDefinition; 20] = [
    facts::vendor("SMBIOS types 4, 17"),
    facts::model("SMBIOS types 4, 17"),
    facts::firmware_version("SMBIOS type 17"),
    facts::size("SMBIOS type 17"),
    fact(
        "hw.memory.type",
        "The kind of memory, e.g. DDR5.",
        "SMBIOS type 17",
    ),
    fact(
        "hw.memory.form_factor",
        "The shape of the module, e.g. DIMM.",
        "SMBIOS type 17",
    ),
    fact(
        "hw.memory.technology",
        "How the module keeps what it holds.",
        "SMBIOS type 17",
    ),
    fact(
        "hw.memory.speed",
        "Megatransfers a second that the module can do.",
        "SMBIOS type 17",
    ),
    fact(
        "hw.memory.speed.configured",
        "Megatransfers a second that the module was set to.",
        "SMBIOS type 17",
    ),
    fact("hw.memory.ranks", "Ranks of the module.", "SMBIOS type 17"),
    fact(
        "hw.memory.voltage",
        "The voltage that the module was set to, in volts.",
        "SMBIOS type 17",
    ),
    fact(
        "hw.memory.width",
        "Bits of data that the module gives at once.",
        "SMBIOS type 17",
    ),
    fact(
        "hw.memory.width.physical",
        "Bits that the module gives at once, those for error correction included.",
        "SMBIOS type 17",
    ),
    fact(
        "hw.memory.slots",
        "Slots for memory modules.",
        "SMBIOS types 16, 17",
    ),
    fact(
        "hw.memory.slots.used",
        "Slots that have a module.",
        "SMBIOS type 17",
    ),
    fact(
        "hw.memory.correction",
        "How the memory corrects errors.",
        "SMBIOS type 16",
    ),
    fact(
        "hw.cpu.cores",
        "Cores of the processor in a socket.",
        "SMBIOS type 4",
    ),
    fact(
        "hw.cpu.cores.enabled",
        "Cores that firmware left switched on.",
        "SMBIOS type 4",
    ),
    fact(
        "hw.cpu.threads",
        "Threads of the processor in a socket.",
        "SMBIOS type 4",
    ),
    fact(
        "hw.cpu.speed.limit",
        "The highest clock that the socket supports, in MHz.",
        "SMBIOS type 4",
    ),
];

#[derive(Debug)]
struct Dmi {
    root: SysRoot,
    /// What the table said, once it could be read whole: it is of the boot.
    told: Option<Table>,
    buffer: ReadBuffer,
}

/// What a table says.
#[derive(Clone, Debug, Default, PartialEq)]
struct Table {
    modules: Vec<Module>,
    arrays: Vec<Array>,
    sockets: Vec<(String, Vec<(&'static str, String)>)>,
}

impl Collector for Dmi {
    fn collect(&mut self, out: &mut dyn SampleWriter) -> Result<Presence, CollectError> {
        let mut teller = Teller::new(&self.root, out, &FACTS);
        if let Some(table) = &self.told {
            tell(table, &mut teller);
            return Ok(Presence::Present);
        }
        let bytes = match self.root.read_bytes(TABLE, &mut self.buffer) {
            Ok(bytes) => bytes,
            Err(error) => return presence(Err(error)),
        };
        let (table, broken) = read(bytes);
        tell(&table, &mut teller);
        match broken {
            Some(error) => teller.fail(error),
            None if table == Table::default() => {
                teller.fail(malformed(TABLE, None, "structures", "none that are told"));
            }
            None => self.told = Some(table),
        }
        Ok(Presence::Present)
    }
}

fn read(bytes: &[u8]) -> (Table, Option<CollectError>) {
    let mut table = Table::default();
    for structure in Structures::new(bytes) {
        let structure = match structure {
            Ok(structure) => structure,
            Err(broken) => {
                let found = format!("none after {} bytes", broken.at);
                return (table, Some(malformed(TABLE, None, broken.expected, &found)));
            }
        };
        match structure.kind() {
            MEMORY_DEVICE if table.modules.len() < MOST_PARTS => {
                table.modules.push(decode::module(&structure));
            }
            MEMORY_ARRAY if table.arrays.len() < MOST_PARTS => {
                table.arrays.extend(decode::array(&structure));
            }
            PROCESSOR if table.sockets.len() < MOST_PARTS => {
                table.sockets.extend(decode::processor(&structure));
            }
            _ => {}
        }
    }
    (table, None)
}

fn tell(table: &Table, teller: &mut Teller<'_>) {
    tell_modules(&table.modules, teller);
    let used: Vec<u64> = table
        .modules
        .iter()
        .filter_map(|module| module.bytes)
        .collect();
    if !table.modules.is_empty() {
        let slots: usize = table
            .arrays
            .iter()
            .map(|array| usize::from(array.slots))
            .sum();
        // firmware that counts only some of its slots in the array lists them all the same
        let slots = slots.max(table.modules.len());
        let bytes = used
            .iter()
            .fold(0_u64, |all, bytes| all.saturating_add(*bytes));
        for (key, number) in [
            ("hw.memory.slots", slots.to_string()),
            ("hw.memory.slots.used", used.len().to_string()),
            ("hw.size", bytes.to_string()),
        ] {
            teller.tell("memory", key, &number);
        }
    }
    let corrections = table
        .arrays
        .iter()
        .filter_map(|array| array.correction.as_deref());
    let mut corrections: Vec<&str> = corrections.collect();
    corrections.sort_unstable();
    corrections.dedup();
    teller.tell("memory", "hw.memory.correction", &corrections.join(", "));
    let mut names: Vec<String> = table
        .sockets
        .iter()
        .map(|(socket, _)| format!("socket/{socket}"))
        .collect();
    unique_names(&mut names);
    for (name, (_, facts)) in names.iter().zip(&table.sockets) {
        for (key, value) in facts {
            teller.tell(name, key, value);
        }
    }
}

fn tell_modules(modules: &[Module], teller: &mut Teller<'_>) {
    let is_alone = |locator: &str| {
        let equal = modules.iter().filter(|module| module.locator == locator);
        equal.count() == 1
    };
    let mut names: Vec<String> = modules
        .iter()
        .enumerate()
        .map(|(n, module)| match (&*module.locator, &*module.bank) {
            ("", "") => format!("memory/slot{n}"),
            ("", bank) => format!("memory/{bank}"),
            (locator, "") => format!("memory/{locator}"),
            (locator, _) if is_alone(locator) => format!("memory/{locator}"),
            (locator, bank) => format!("memory/{bank}/{locator}"),
        })
        .collect();
    unique_names(&mut names);
    for (name, module) in names.iter().zip(modules) {
        for (key, value) in &module.facts {
            teller.tell(name, key, value);
        }
    }
}
