//! One GPU in one run: questions go out, values go to the writer, and what is refused costs its own series.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use glasshouse_core::collector::SampleWriter;
use glasshouse_core::fact::FactDefinition;
use glasshouse_core::failure::{CollectError, FailureReason};
use glasshouse_core::metric::MetricDefinition;

use super::convert::Told;
use super::library::Gpu;
use super::question::{self, Answer, Field, Number, Question, Text};
use super::refusal::Refusal;

/// What is remembered of one GPU between runs.
#[derive(Debug)]
pub(crate) struct Memory {
    names: Arc<Names>,
    /// Questions that the library or this GPU does not know; they are asked again after a while only.
    resting: Vec<(Question, Refusal)>,
    /// Members of families (one a link, a place, a limit) that had a value, so that they can be absent.
    seen: Vec<(&'static str, Vec<String>)>,
    /// Texts, which do not change while the library is begun.
    texts: Vec<(Text, Option<String>)>,
}

/// What a GPU and its sensors are called.
#[derive(Debug)]
pub(crate) struct Names {
    /// `0000:17:00.0`.
    pub(crate) address: String,
    /// The component of facts and conditions, `gpu/0000:17:00.0`.
    pub(crate) component: String,
    pub(crate) chip_sensor: String,
    pub(crate) memory_sensor: String,
    pub(crate) power_sensor: String,
    pub(crate) energy_sensor: String,
}

/// The most members that are remembered for one GPU: all places, links and limits together are some 200.
const MOST_SEEN: usize = 512;

/// The most labels of one series.
const MOST_LABELS: usize = 4;

impl Memory {
    pub(crate) fn new(address: &str) -> Self {
        let sensor = |name: &str| format!("{address}/{name}");
        Self {
            names: Arc::new(Names {
                address: address.to_owned(),
                component: format!("gpu/{address}"),
                chip_sensor: sensor("gpu"),
                memory_sensor: sensor("memory"),
                power_sensor: sensor("power"),
                energy_sensor: sensor("energy"),
            }),
            resting: Vec::new(),
            seen: Vec::new(),
            texts: Vec::new(),
        }
    }

    pub(crate) fn names(&self) -> &Arc<Names> {
        &self.names
    }

    /// Another driver, mode or reset may know more: everything is asked again.
    pub(crate) fn forget_refusals(&mut self) {
        self.resting.clear();
        self.texts.clear();
    }
}

/// One GPU in one run.
pub(crate) struct Reading<'r> {
    memory: &'r mut Memory,
    gpu: Option<Box<dyn Gpu + 'r>>,
    out: &'r mut dyn SampleWriter,
    /// Why nothing more is asked.
    over: Option<Refusal>,
    trouble: Option<CollectError>,
}

impl fmt::Debug for Reading<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reading({})", self.memory.names.address)
    }
}

impl<'r> Reading<'r> {
    pub(crate) fn new(
        memory: &'r mut Memory,
        gpu: Result<Box<dyn Gpu + 'r>, Refusal>,
        out: &'r mut dyn SampleWriter,
    ) -> Self {
        let mut reading = Self {
            memory,
            gpu: None,
            out,
            over: None,
            trouble: None,
        };
        match gpu {
            Ok(gpu) => reading.gpu = Some(gpu),
            Err(refusal) => {
                reading.note(question::HANDLE, &refusal);
                reading.over = Some(refusal);
            }
        }
        reading
    }

    /// Why the reading broke off, if it did. Says what failed.
    pub(crate) fn end(self) -> Option<Refusal> {
        if let Some(error) = self.trouble {
            self.out.failure(error);
        }
        self.over
    }

    pub(crate) fn names(&self) -> Arc<Names> {
        Arc::clone(&self.memory.names)
    }

    /// Asks for numbers.
    pub(crate) fn ask(&mut self, question: &Question) -> Result<Answer, Refusal> {
        let resting = self.memory.resting.iter();
        if let Some((_, refusal)) = resting.clone().find(|(known, _)| known == question) {
            return Err(self.over.clone().unwrap_or_else(|| refusal.clone()));
        }
        let answer = self.ask_afresh(question);
        if let Err(refusal) = &answer
            && refusal.lasts()
        {
            self.memory.resting.push((*question, refusal.clone()));
        }
        answer
    }

    /// As [`Self::ask`], where a refusal of now says nothing about later.
    pub(crate) fn ask_afresh(&mut self, question: &Question) -> Result<Answer, Refusal> {
        self.call(question.symbol(), |gpu| gpu.ask(question))
    }

    /// Asks one question after the other until one is known here: newer names of a function first.
    pub(crate) fn ask_first(&mut self, questions: &[Question]) -> Result<Answer, Refusal> {
        let mut told = Err(Refusal::MissingFunction);
        for question in questions {
            told = match self.ask(question) {
                Err(refusal) if refusal.lasts() => Err(refusal),
                told => return told,
            };
        }
        told
    }

    /// Asks for field values in one call; as many answers as fields.
    pub(crate) fn fields(&mut self, fields: &[Field]) -> Vec<Result<Number, Refusal>> {
        let answers = self.call(question::FIELDS, |gpu| gpu.fields(fields));
        match answers {
            Ok(answers) if answers.len() == fields.len() => answers,
            Ok(answers) => {
                let refusal = Refusal::Malformed(format!("{} values", answers.len()));
                vec![Err(refusal); fields.len()]
            }
            Err(refusal) => vec![Err(refusal); fields.len()],
        }
    }

    /// A text, asked for once; `None` where there is none.
    pub(crate) fn text(&mut self, text: Text) -> Option<String> {
        if let Some((_, known)) = self.memory.texts.iter().find(|(known, _)| *known == text) {
            return known.clone();
        }
        let answer = self.call(text.symbol(), |gpu| gpu.text(text));
        if answer.is_ok() || answer.as_ref().is_err_and(Refusal::lasts) {
            let known = answer.clone().ok().filter(|text| !text.is_empty());
            self.memory.texts.push((text, known));
        }
        answer.ok().filter(|text| !text.is_empty())
    }

    /// One series of this GPU that every GPU should have: without a value it is absent, with the reason.
    /// `more` are the labels after the address.
    pub(crate) fn put(&mut self, metric: &'static MetricDefinition, more: &[&str], told: Told) {
        let names = self.names();
        let labels = Labels::of(&names.address, more);
        self.write(metric, labels.as_slice(), told);
    }

    /// One member of a family: where this GPU does not have it, there is no series at all.
    pub(crate) fn put_member(
        &mut self,
        metric: &'static MetricDefinition,
        more: &[&str],
        told: Told,
    ) {
        let names = self.names();
        let labels = Labels::of(&names.address, more);
        self.write_member(metric, labels.as_slice(), told);
    }

    /// As [`Self::put`], with all labels.
    pub(crate) fn write(&mut self, metric: &'static MetricDefinition, labels: &[&str], told: Told) {
        match told {
            Ok(value) => self.out.sample(metric, labels, value),
            Err(refusal) => {
                self.note_sense(metric, &refusal);
                self.out.absent(metric, labels, refusal.reason());
            }
        }
    }

    /// As [`Self::put_member`], with all labels.
    pub(crate) fn write_member(
        &mut self,
        metric: &'static MetricDefinition,
        labels: &[&str],
        told: Told,
    ) {
        let is_seen = self
            .memory
            .seen
            .iter()
            .any(|(name, seen)| *name == metric.name && seen.iter().eq(labels));
        match &told {
            Ok(_) => {
                if !is_seen && self.memory.seen.len() < MOST_SEEN {
                    let labels = labels.iter().map(|label| (*label).to_owned()).collect();
                    self.memory.seen.push((metric.name, labels));
                }
            }
            Err(Refusal::NotSupported | Refusal::NoData) => return,
            // a series that nobody has heard of is not missed
            Err(refusal) if !is_seen && refusal.ends_run() => return,
            Err(_) => {}
        }
        self.write(metric, labels, told);
    }

    pub(crate) fn fact(&mut self, fact: &'static FactDefinition, value: &str) {
        let names = self.names();
        self.out.fact(fact, &names.component, value);
    }

    fn call<T>(
        &mut self,
        symbol: &'static str,
        call: impl FnOnce(&dyn Gpu) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let Some(gpu) = &self.gpu else {
            return Err(self.over.clone().unwrap_or(Refusal::Lost));
        };
        self.out.calling(symbol);
        let answer = call(gpu.as_ref());
        if let Err(refusal) = &answer {
            if refusal.ends_run() {
                self.over = Some(refusal.clone());
                self.gpu = None;
            }
            let refusal = refusal.clone();
            self.note(symbol, &refusal);
        }
        answer
    }

    /// Keeps the first thing that is wrong; what is merely not there is not.
    fn note(&mut self, symbol: &str, refusal: &Refusal) {
        if refusal.lasts() || matches!(refusal, Refusal::NoData) || self.trouble.is_some() {
            return;
        }
        let path = format!("/proc/driver/nvidia/gpus/{}", self.memory.names.address);
        self.trouble = Some(refusal.error(PathBuf::from(path), symbol));
    }

    /// An answer that makes no sense shows when it is converted.
    fn note_sense(&mut self, metric: &'static MetricDefinition, refusal: &Refusal) {
        if refusal.reason() == FailureReason::Malformed {
            self.note(metric.source, refusal);
        }
    }
}

/// An address and what follows, without a list on the heap.
struct Labels<'l> {
    labels: [&'l str; MOST_LABELS],
    count: usize,
}

impl<'l> Labels<'l> {
    fn of(address: &'l str, more: &[&'l str]) -> Self {
        let mut labels = [""; MOST_LABELS];
        let all = std::iter::once(&address).chain(more);
        for (place, label) in labels.iter_mut().zip(all) {
            *place = label;
        }
        Self {
            labels,
            count: (more.len() + 1).min(MOST_LABELS),
        }
    }

    fn as_slice(&self) -> &[&'l str] {
        self.labels.get(..self.count).unwrap_or_default()
    }
}
