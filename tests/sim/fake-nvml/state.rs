//! The state file, read at each call, and the record of calls.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::OnceLock;
use std::time::Duration;

/// `nvmlReturn_t`.
pub(crate) type Return = u32;

pub(crate) const SUCCESS: Return = 0;
pub(crate) const INVALID_ARGUMENT: Return = 2;
pub(crate) const NOT_SUPPORTED: Return = 3;
pub(crate) const INSUFFICIENT_SIZE: Return = 7;
pub(crate) const TIMEOUT: Return = 10;
const UNKNOWN: Return = 999;

/// How often a call that waits looks at the state again.
pub(crate) const STEP: Duration = Duration::from_millis(20);

/// What one call sees.
pub(crate) struct State {
    text: String,
}

/// A call begins: it is recorded, takes its time, and sees the state as it is now.
pub(crate) fn call(function: &str) -> State {
    crate::record::asked("nvml", function);
    let folder = folder();
    let calls = OpenOptions::new()
        .append(true)
        .create(true)
        .open(folder.join("calls"));
    if let Ok(mut calls) = calls {
        // nothing can be done about a record that cannot be written; the tests will miss it
        calls.write_all(format!("{function}\n").as_bytes()).ok();
    }
    let mut state = State {
        text: String::new(),
    };
    state.refresh();
    while state.said(&format!("hold {function}")).is_some() {
        std::thread::sleep(STEP);
        state.refresh();
    }
    let stall = state.said(&format!("stall {function}"));
    if let Some(milliseconds) = stall.and_then(|words| words.parse().ok()) {
        std::thread::sleep(Duration::from_millis(milliseconds));
    }
    state
}

impl State {
    /// The state as it is now, within a call that waits.
    pub(crate) fn refresh(&mut self) {
        self.text = std::fs::read_to_string(folder().join("state")).unwrap_or_default();
    }

    /// What is said to a key, comments left out; the last line counts.
    pub(crate) fn said(&self, key: &str) -> Option<&str> {
        self.text
            .lines()
            .filter_map(|line| {
                let line = line.split('#').next().unwrap_or_default().trim_end();
                let rest = line.strip_prefix(key)?;
                rest.strip_prefix(' ').map(str::trim)
            })
            .next_back()
    }

    pub(crate) fn gpus(&self) -> u32 {
        self.said("gpus")
            .and_then(|count| count.parse().ok())
            .unwrap_or(0)
    }

    /// What a function says of a GPU (counted from 1, as its handle is), or of the machine (0).
    pub(crate) fn answer(
        &self,
        gpu: usize,
        function: &str,
        arguments: &[u32],
    ) -> Result<&str, Return> {
        let mut key = function.to_owned();
        for argument in arguments {
            key.push('.');
            key.push_str(&argument.to_string());
        }
        let own = gpu
            .checked_sub(1)
            .and_then(|index| self.said(&format!("gpu{index} {key}")));
        let said = own.or_else(|| self.said(&key)).ok_or(NOT_SUPPORTED)?;
        match said.strip_prefix("error ") {
            Some(code) => Err(code.trim().parse().unwrap_or(UNKNOWN)),
            None => Ok(said),
        }
    }
}

/// The numbers of an answer; what is missing is 0.
pub(crate) fn numbers<T: FromStr + Default + Copy, const COUNT: usize>(
    said: &str,
) -> Result<[T; COUNT], Return> {
    let mut numbers = [T::default(); COUNT];
    for (place, word) in numbers.iter_mut().zip(said.split_ascii_whitespace()) {
        *place = word.parse().map_err(|_| UNKNOWN)?;
    }
    Ok(numbers)
}

/// The folder that this library was loaded from: the one whose mapping holds a function of it.
fn folder() -> &'static PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let address = folder as fn() -> &'static PathBuf as usize;
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
        let path = maps.lines().find_map(|line| {
            let (range, _) = line.split_once(' ')?;
            let (from, to) = range.split_once('-')?;
            let from = usize::from_str_radix(from, 16).ok()?;
            let to = usize::from_str_radix(to, 16).ok()?;
            let path = line.get(line.find('/')?..)?;
            (from..to).contains(&address).then(|| PathBuf::from(path))
        });
        path.and_then(|path| Some(path.parent()?.to_owned()))
            .unwrap_or_default()
    })
}
