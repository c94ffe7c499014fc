//! All that the library says, as the state file of the stand-in library: how a machine is recorded.

use std::fmt::Write as _;

use super::convert::first;
use super::library::{Gpu, Library, Loaded};
use super::question::{self, Field, MOST_LINKS, Number, Question, Text};
use super::refusal::Refusal;
use super::{LIBRARY, health, limits, links, pcie};

/// Why nothing could be recorded.
#[derive(Debug, thiserror::Error)]
#[error("failed to record `{library}`")]
pub struct DumpError {
    /// The library.
    library: String,
    /// What it said.
    #[source]
    refusal: Refusal,
}

/// Everything that the driver's library says of every GPU, in the form that the stand-in library of the tests reads.
/// Serial numbers and UUIDs are never asked for. `library` is a path or a name; where empty, the loader's.
///
/// # Errors
/// [`DumpError`] where the library cannot be loaded or begun.
pub fn dump(library: &str) -> Result<String, DumpError> {
    let path = if library.is_empty() { LIBRARY } else { library };
    record(path).map_err(|refusal| DumpError {
        library: path.to_owned(),
        refusal,
    })
}

fn record(path: &str) -> Result<String, Refusal> {
    let library = Loaded::open(path)?;
    let count = library.count()?;
    let mut text = format!("gpus {count}\n");
    line(
        &mut text,
        question::DRIVER_VERSION,
        &library.driver_version(),
    );
    line(&mut text, question::CUDA_VERSION, &library.cuda_version());
    for index in 0..count {
        match library.gpu(index) {
            Ok(gpu) => record_gpu(&mut text, &format!("gpu{index} "), gpu.as_ref()),
            Err(refusal) => line::<u32>(
                &mut text,
                &format!("gpu{index} {}", question::HANDLE),
                &Err(refusal),
            ),
        }
    }
    Ok(text)
}

fn record_gpu(text: &mut String, prefix: &str, gpu: &dyn Gpu) {
    line(
        text,
        &format!("{prefix}{}", question::PCI_INFO),
        &gpu.address(),
    );
    for which in Text::ALL {
        line(
            text,
            &format!("{prefix}{}", which.symbol()),
            &gpu.text(*which),
        );
    }
    for question in question::all() {
        let key = key(&question);
        let told = gpu.ask(&question).map(|answer| numbers(&question, &answer));
        // what does not exist is what the stand-in says of all that it has no line for
        if told != Err(Refusal::NotSupported) {
            line(text, &format!("{prefix}{key}"), &told);
        }
    }
    let fields = fields();
    let Ok(told) = gpu.fields(&fields) else {
        return;
    };
    for (field, number) in fields.iter().zip(told) {
        let key = format!("{prefix}{}.{}.{}", question::FIELDS, field.id, field.scope);
        let number = number.map(|number| match number {
            Number::Whole(whole) => format!("3 {whole}"),
            Number::Signed(signed) => format!("4 {signed}"),
            Number::Real(real) => format!("0 {real}"),
        });
        if number != Err(Refusal::NotSupported) {
            line(text, &key, &number);
        }
    }
}

/// The function and its arguments, joined by dots.
fn key(question: &Question) -> String {
    let mut key = question.symbol().to_owned();
    for argument in question.arguments() {
        // writing to a String cannot fail
        write!(key, ".{argument}").ok();
    }
    key
}

fn numbers(question: &Question, answer: &question::Answer) -> String {
    if matches!(question, Question::TemperatureV | Question::Margin) {
        return first(answer).cast_signed().to_string();
    }
    let words = answer.iter().take(question.width()).map(u64::to_string);
    words.collect::<Vec<_>>().join(" ")
}

/// Every field that a collector asks for.
fn fields() -> Vec<Field> {
    let plain = [82, 186, health::RECOVERY.id];
    let margins = limits::MARGINS.iter().map(|(id, ..)| *id);
    let pcie = pcie::BYTES.iter().chain(&pcie::ERRORS).map(|(id, _)| *id);
    plain
        .into_iter()
        .chain(margins)
        .chain(pcie)
        .map(|id| Field { id, scope: 0 })
        .chain(links::fields_of_all())
        .chain((0..MOST_LINKS).flat_map(links::fields_of))
        .collect()
}

fn line<T: ToString>(text: &mut String, key: &str, told: &Result<T, Refusal>) {
    let told = match told {
        Ok(value) => value.to_string(),
        Err(refusal) => format!("error {}", code(refusal)),
    };
    // writing to a String cannot fail
    writeln!(text, "{key} {told}").ok();
}

/// The return code that stands for a refusal.
const fn code(refusal: &Refusal) -> u32 {
    match refusal {
        Refusal::Uninitialized => 1,
        Refusal::NotSupported => 3,
        Refusal::Denied => 4,
        Refusal::DriverNotLoaded => 9,
        Refusal::Timeout => 10,
        Refusal::NoLibrary(_) => 12,
        Refusal::MissingFunction => 13,
        Refusal::Lost => 15,
        Refusal::ResetRequired => 16,
        Refusal::DriverMismatch => 18,
        Refusal::NoData => 21,
        Refusal::OtherVersion => 25,
        Refusal::Malformed(_) => 999,
        Refusal::Code(code) => *code,
    }
}
