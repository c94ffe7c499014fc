//! Where a BMC stands in labels: the one of this machine and others never share a series.

/// How the series, facts and conditions of one BMC are named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Starts every `hw.id`: `ipmi`, `bmc/rack7-3/ipmi`.
    pub(crate) id: String,
    /// Starts every component of facts and conditions: `bmc`, `bmc/rack7-3`.
    pub(crate) component: String,
    /// Starts `hw.parent`: nothing, or `bmc/rack7-3/`.
    parent: String,
    /// Which log: `bmc`, `bmc/rack7-3/sel`.
    pub(crate) log: String,
    /// Whether its power is told as that of the machine that the probe runs on.
    pub(crate) is_own: bool,
}

impl Place {
    /// The BMC of this machine, through its own interface.
    pub(crate) fn own() -> Self {
        Self {
            id: "ipmi".to_owned(),
            component: "bmc".to_owned(),
            parent: String::new(),
            log: "bmc".to_owned(),
            is_own: true,
        }
    }

    /// A BMC over the network, by its name in the configuration.
    pub(crate) fn named(name: &str) -> Self {
        Self {
            id: format!("bmc/{name}/ipmi"),
            component: format!("bmc/{name}"),
            parent: format!("bmc/{name}/"),
            log: format!("bmc/{name}/sel"),
            is_own: false,
        }
    }

    pub(crate) fn id(&self, rest: &str) -> String {
        format!("{}/{rest}", self.id)
    }

    pub(crate) fn parent(&self, entity: &str) -> String {
        format!("{}{entity}", self.parent)
    }

    pub(crate) fn component(&self, rest: &str) -> String {
        format!("{}{rest}", self.parent)
    }
}
