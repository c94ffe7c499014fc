//! `hardware_inventory`: what the machine is made of.

use std::collections::BTreeSet;

use glasshouse_core::access::Bounds;
use glasshouse_core::fact::Fact;
use glasshouse_core::text::clean;
use glasshouse_core::time::Window;
use serde_json::Value;

use super::{CURSOR, Call, Kind, MAX_TOKENS, Parameter, SCOPE, Tool, ToolError, quoted, show_time};
use crate::answer::{Answer, Cell, Column, Table, of_tables};
use crate::gate::View;

/// The most facts in an answer over all its pages; a large server has some hundreds.
const MOST_ROWS: u64 = 5_000;
/// The most components that an error names.
const MOST_NAMED: usize = 40;

/// Parts, firmware, drivers, kernel.
#[derive(Debug)]
pub(crate) struct HardwareInventory;

impl Tool for HardwareInventory {
    fn name(&self) -> &'static str {
        "hardware_inventory"
    }

    fn title(&self) -> &'static str {
        "Hardware inventory"
    }

    fn description(&self) -> &'static str {
        "What a node is: processors, memory, disks, network ports, firmware, drivers, kernel. One row a fact. For what changes over time use node_snapshot or query_series."
    }

    fn scope(&self) -> &'static str {
        "inventory:read"
    }

    fn parameters(&self) -> &'static [Parameter] {
        &[
            SCOPE,
            Parameter {
                name: "component",
                help: "Kind of part or one part: `disk` or `disk/nvme0n1`. Left out: all.",
                kind: Kind::Text,
                required: false,
            },
            MAX_TOKENS,
            CURSOR,
        ]
    }

    fn output_schema(&self) -> Value {
        of_tables(&[("written", "string"), ("age_s", "number")], &["facts"])
    }

    fn plan(&self, call: &Call) -> Result<Bounds, ToolError> {
        Ok(Bounds {
            // it reads no series at all
            metrics: Some(BTreeSet::new()),
            window: Window {
                from: call.now,
                to: call.now,
            },
            rows: MOST_ROWS,
        })
    }

    fn answer(&self, call: &Call, view: &View) -> Result<Answer, ToolError> {
        let inventory = view.inventory().map_err(ToolError::read)?;
        let wanted = call.arguments.text("component");
        let facts: Vec<&Fact> = inventory
            .facts
            .iter()
            .filter(|fact| wanted.is_none_or(|wanted| is_of(fact, wanted)))
            .take(usize::try_from(view.rows_left()).unwrap_or(usize::MAX))
            .collect();
        if let (Some(wanted), true) = (wanted, facts.is_empty()) {
            return Err(ToolError::UnknownComponent {
                component: clean(wanted),
                have: components(&inventory.facts),
            });
        }
        let rows = facts
            .into_iter()
            .map(|fact| {
                vec![
                    Cell::untrusted(&fact.component),
                    Cell::words(clean(&fact.key)),
                    Cell::untrusted(&fact.value),
                ]
            })
            .collect();
        let columns = vec![
            Column::untrusted("component"),
            Column::untrusted("key"),
            Column::untrusted("value"),
        ];
        Ok(Answer {
            window: Some(Window {
                from: call.now,
                to: call.now,
            }),
            facts: vec![
                ("written", Cell::words(show_time(inventory.written))),
                ("age_s", Cell::seconds(call.now.since(inventory.written))),
            ],
            tables: vec![Table::whole("facts", columns, rows)],
            notes: vec![
                "Facts are read at the start and then rarely; age_s is the age of the newest inventory. What is absent was not found or may not be read.".to_owned(),
            ],
            rest: "ask for one `component`",
        })
    }
}

/// `disk` means every disk, `disk/nvme0n1` one of them.
fn is_of(fact: &Fact, wanted: &str) -> bool {
    let component = fact.component.clean();
    component == wanted
        || component
            .strip_prefix(wanted)
            .is_some_and(|rest| rest.starts_with('/'))
}

fn components(facts: &[Fact]) -> String {
    let kinds: BTreeSet<String> = facts
        .iter()
        .map(|fact| {
            let component = fact.component.clean();
            component.split('/').next().unwrap_or_default().to_owned()
        })
        .collect();
    if kinds.is_empty() {
        return "none yet".to_owned();
    }
    let named: Vec<String> = kinds
        .into_iter()
        .take(MOST_NAMED)
        .map(|kind| quoted(&kind))
        .collect();
    named.join(", ")
}
