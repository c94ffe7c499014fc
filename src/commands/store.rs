//! `glasshouse store stat`.

use glasshouse_core::reader::{ReadError, TierCoverage};
use glasshouse_store::{StoreStat, stat};
use serde_json::{Value, json};

use crate::cli::Global;
use crate::exit::{Exit, Failure};
use crate::output::{print, print_json, table};
use crate::places::state_dir;
use crate::times::show;

/// Says what the store holds. Ends with 1 where files of it are damaged.
pub(crate) fn run(global: &Global, json: bool) -> Result<Exit, Failure> {
    let folder = state_dir(global)?.join("store");
    let stat = stat(&folder).map_err(read_failure)?;
    if json {
        print_json(&as_json(&stat))?;
    } else {
        print(&as_text(&stat))?;
    }
    Ok(if stat.damaged.is_empty() {
        Exit::Done
    } else {
        Exit::Findings
    })
}

/// A store that cannot be read, with the way to another.
pub(crate) fn read_failure(error: ReadError) -> Failure {
    let help = match &error {
        ReadError::Empty { .. } => {
            "is this the right state folder? name it with `--state-dir`; `glasshouse up` prints its own"
        }
        ReadError::Io { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
            "the store is open to root and to the group glasshouse-serve"
        }
        ReadError::Io { .. } | ReadError::Damaged { .. } => {
            "`glasshouse store stat` names damaged files"
        }
    };
    Failure::environment(error).help(help)
}

fn as_json(stat: &StoreStat) -> Value {
    let tiers = stat.tiers.iter().map(|tier| {
        json!({
            "resolution": tier.resolution.word(),
            "from": tier.window.map(|window| show(window.from)),
            "to": tier.window.map(|window| show(window.to)),
            "files": tier.files,
            "bytes": tier.bytes,
            "samples": tier.samples,
        })
    });
    json!({
        "tiers": tiers.collect::<Vec<_>>(),
        "heads": stat.heads,
        "head_bytes": stat.head_bytes,
        "bytes": stat.bytes,
        "bytes_per_sample": stat.bytes_per_sample,
        "damaged": stat.damaged,
    })
}

fn as_text(stat: &StoreStat) -> String {
    let heading = ["tier", "from", "to", "files", "bytes", "samples"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(stat.tiers.iter().map(row));
    let mut text = table(&rows);
    let each = stat
        .bytes_per_sample
        .map_or_else(|| "not yet known".to_owned(), |bytes| format!("{bytes:.3}"));
    text.push_str(&format!(
        "\nheads {} ({} bytes), in all {} bytes, sealed bytes a sample {each}\n",
        stat.heads, stat.head_bytes, stat.bytes
    ));
    for file in &stat.damaged {
        text.push_str(&format!("damaged: {file}\n"));
    }
    text
}

fn row(tier: &TierCoverage) -> Vec<String> {
    let at = |at: Option<String>| at.unwrap_or_else(|| "-".to_owned());
    vec![
        tier.resolution.word().to_owned(),
        at(tier.window.map(|window| show(window.from))),
        at(tier.window.map(|window| show(window.to))),
        tier.files.to_string(),
        tier.bytes.to_string(),
        tier.samples.to_string(),
    ]
}
