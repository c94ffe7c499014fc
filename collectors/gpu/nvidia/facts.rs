//! What a GPU is: model, firmware, driver, modes. No serial number and no UUID is asked for.

use glasshouse_core::fact::FactDefinition;
use glasshouse_core::hardware::facts;

use super::convert::{first, second};
use super::question::{Question, Text};
use super::reading::Reading;
use super::session::Session;

const fn fact(key: &'static str, help: &'static str, source: &'static str) -> FactDefinition {
    FactDefinition { key, help, source }
}

pub(super) static FACTS: [FactDefinition; 12] = [
    facts::model("nvmlDeviceGetName"),
    facts::vendor("the driver"),
    facts::firmware_version("nvmlDeviceGetVbiosVersion"),
    fact(
        "hw.gpu.inforom.version",
        "The version of its InfoROM, which holds its configuration.",
        "nvmlDeviceGetInforomImageVersion",
    ),
    facts::part_number("nvmlDeviceGetBoardPartNumber"),
    facts::driver_version("nvmlSystemGetDriverVersion"),
    fact(
        "hw.gpu.cuda.version",
        "The newest CUDA that the driver serves.",
        "nvmlSystemGetCudaDriverVersion_v2",
    ),
    fact(
        "hw.gpu.ecc.mode",
        "Whether error correction is on, and what it will be after a restart.",
        "nvmlDeviceGetEccMode",
    ),
    fact(
        "hw.gpu.mig.mode",
        "Whether it can be cut into devices now, and what will be after a reset.",
        "nvmlDeviceGetMigMode",
    ),
    fact(
        "hw.gpu.persistence.mode",
        "Whether the driver stays loaded for it while nobody uses it.",
        "nvmlDeviceGetPersistenceMode",
    ),
    fact(
        "hw.gpu.compute.mode",
        "How many programs may compute on it.",
        "nvmlDeviceGetComputeMode",
    ),
    fact(
        "hw.gpu.power.default",
        "The power limit that it begins with, in watts.",
        "nvmlDeviceGetPowerManagementDefaultLimit",
    ),
];

/// The places of the texts in [`FACTS`].
static TEXTS: [(Text, &FactDefinition); 4] = [
    (Text::Name, &FACTS[0]),
    (Text::Vbios, &FACTS[2]),
    (Text::InfoRom, &FACTS[3]),
    (Text::PartNumber, &FACTS[4]),
];
static VENDOR: &FactDefinition = &FACTS[1];
static DRIVER_VERSION: &FactDefinition = &FACTS[5];
static CUDA_VERSION: &FactDefinition = &FACTS[6];
static ECC_MODE: &FactDefinition = &FACTS[7];
static MIG_MODE: &FactDefinition = &FACTS[8];
static PERSISTENCE: &FactDefinition = &FACTS[9];
static COMPUTE_MODE: &FactDefinition = &FACTS[10];
static DEFAULT_POWER: &FactDefinition = &FACTS[11];

/// `nvmlComputeMode_t`.
const COMPUTE_MODES: [&str; 4] = [
    "default",
    "exclusive_thread",
    "prohibited",
    "exclusive_process",
];

pub(super) fn read(reading: &mut Reading<'_>, session: Option<&Session>) {
    for (text, fact) in &TEXTS {
        if let Some(value) = reading.text(*text) {
            reading.fact(fact, &value);
        }
    }
    reading.fact(VENDOR, "NVIDIA");
    let driver = session.and_then(|session| session.driver_version.as_ref());
    if let Some(version) = driver.filter(|version| !version.is_empty()) {
        reading.fact(DRIVER_VERSION, version);
    }
    if let Some(version) = session.and_then(|session| session.cuda_version) {
        let version = format!("{}.{}", version / 1000, version % 1000 / 10);
        reading.fact(CUDA_VERSION, &version);
    }
    modes(reading);
}

fn modes(reading: &mut Reading<'_>) {
    for (question, fact) in [(Question::EccMode, ECC_MODE), (Question::MigMode, MIG_MODE)] {
        if let Ok(mode) = reading.ask(&question) {
            reading.fact(fact, &now_and_then(first(&mode), second(&mode)));
        }
    }
    if let Ok(mode) = reading.ask(&Question::Persistence) {
        reading.fact(PERSISTENCE, on_or_off(first(&mode)));
    }
    if let Ok(mode) = reading.ask(&Question::ComputeMode) {
        let place = usize::try_from(first(&mode)).unwrap_or(usize::MAX);
        if let Some(word) = COMPUTE_MODES.get(place) {
            reading.fact(COMPUTE_MODE, word);
        }
    }
    if let Ok(limit) = reading.ask(&Question::DefaultPowerLimit)
        && let Ok(watts) = super::convert::watts(first(&limit))
    {
        reading.fact(DEFAULT_POWER, &watts.as_f64().to_string());
    }
}

const fn on_or_off(flag: u64) -> &'static str {
    if flag == 0 { "off" } else { "on" }
}

fn now_and_then(now: u64, then: u64) -> String {
    if now == then {
        on_or_off(now).to_owned()
    } else {
        format!("{}, {} after a restart", on_or_off(now), on_or_off(then))
    }
}
