//! The processes in which a device may hang.
//!
//! A collector that asks a device which can block for ever, or that parses what a network sent, runs in a worker: a
//! process that can be killed without costing anybody else a sample.

/// A process beside the probe that runs some of its collectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Worker {
    /// GPUs, through the library of their driver.
    Gpu,
    /// The BMC of this machine, through `/dev/ipmi*`.
    Ipmi,
    /// BMCs over the network, by Redfish and IPMI. Its own user, and no way to this machine's hardware.
    Bmc,
    /// What the kernel lets administrators alone ask: log pages of drives, network modules, registers of processors. Off by
    /// default.
    Privileged,
}

impl Worker {
    /// Every worker.
    pub const ALL: &[Self] = &[Self::Gpu, Self::Ipmi, Self::Bmc, Self::Privileged];

    /// Its name: `glasshouse probe <name>`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Gpu => "gpu",
            Self::Ipmi => "ipmi",
            Self::Bmc => "bmc",
            Self::Privileged => "privileged",
        }
    }

    /// From its name.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|worker| worker.word() == word)
    }

    /// Who starts it.
    #[must_use]
    pub const fn station(self) -> Station {
        match self {
            Self::Gpu | Self::Ipmi => Station::Child,
            // another user, or another capability, than the probe has to give
            Self::Bmc | Self::Privileged => Station::Apart,
        }
    }
}

/// Where a worker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Station {
    /// The probe starts it, has its rights, and reads its frames from a pipe.
    Child,
    /// The service manager (or `up`) starts it with a user and rights of its own; the probe reads its frames from a
    /// FIFO by path.
    Apart,
}
