//! `[collectors.redfish.bmcs.<name>]`.

use glasshouse_core::options::{OptionDefault, OptionDefinition, Options};
use glasshouse_sysfs::SysRoot;
use reqwest::Url;
use secrecy::SecretString;

use super::budget::MOST_A_MINUTE;
use crate::this_host::THIS_HOST;

/// The most BMCs of one machine that asks: a rack, and each costs a connection.
pub(crate) const MOST_BMCS: usize = 64;

/// Requests a minute where nothing is written: one a second on average, which the slowest BMCs stand.
const REQUESTS_PER_MINUTE: i64 = 60;

pub(crate) static OPTIONS: [OptionDefinition; 1] = [OptionDefinition {
    name: "bmcs",
    help: "BMCs to ask, each by a name of your own.",
    default: OptionDefault::Tables(&BMC),
}];

pub(crate) static BMC: [OptionDefinition; 10] = [
    OptionDefinition {
        name: "address",
        help: "Its URL, e.g. `https://10.0.0.5`, or `https://169.254.1.1` for this machine's own over its host interface; `http` only on loopback.",
        default: OptionDefault::Text(""),
    },
    OptionDefinition {
        name: "username",
        help: "User to log in as; a read-only account is enough and all that it should have.",
        default: OptionDefault::Text(""),
    },
    OptionDefinition {
        name: "password_file",
        help: "File that holds the password and nothing else, which nobody else may read.",
        default: OptionDefault::Text(""),
    },
    OptionDefinition {
        name: "certificate_sha256",
        help: "Fingerprint of the only certificate that is believed, for one that signed itself: 64 hex digits, colons allowed.",
        default: OptionDefault::Text(""),
    },
    OptionDefinition {
        name: "ca_file",
        help: "File of certificates (PEM) that may have signed the BMC's; the system's where neither this nor a fingerprint is written.",
        default: OptionDefault::Text(""),
    },
    OptionDefinition {
        name: "insecure_tls",
        help: "Believe any certificate. Whoever stands between reads the password; each run says so as a condition.",
        default: OptionDefault::Bool(false),
    },
    OptionDefinition {
        name: "session",
        help: "Log in once and use a session; off sends the password with each request.",
        default: OptionDefault::Bool(true),
    },
    OptionDefinition {
        name: "sse",
        help: "Listen to the stream of events where the BMC has one; logs are read each minute anyway where it is silent.",
        default: OptionDefault::Bool(true),
    },
    OptionDefinition {
        name: "requests_per_minute",
        help: "The most requests in any minute, 1 to 600.",
        default: OptionDefault::Integer(REQUESTS_PER_MINUTE),
    },
    OptionDefinition {
        name: THIS_HOST,
        help: "Whether it is the BMC of the machine that the probe runs on: what it says of the whole machine's power is then `hw.host.power`. Of one BMC at most.",
        default: OptionDefault::Bool(false),
    },
];

/// One BMC as configured.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Its name in labels.
    pub(crate) name: String,
    /// Scheme, host and port.
    pub(crate) address: Url,
    /// User to log in as; empty asks without logging in.
    pub(crate) username: String,
    /// Where the password is.
    pub(crate) password_file: String,
    /// Whom to believe.
    pub(crate) trust: Trust,
    /// Whether to make a session.
    pub(crate) session: bool,
    /// Whether to listen to events.
    pub(crate) sse: bool,
    /// The budget.
    pub(crate) requests_per_minute: u32,
}

/// Whose certificate is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Those of the system.
    System,
    /// Signed by one of this file.
    Authority(String),
    /// The one with this fingerprint.
    Fingerprint([u8; 32]),
    /// Anybody's.
    Anybody,
}

/// Why a BMC cannot be asked as it is configured.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum SettingsError {
    #[error("address `{0}` is no URL like `https://10.0.0.5`")]
    Address(String),
    #[error("address `{0}` is not `https`, which only loopback may do without")]
    Plain(String),
    #[error("certificate_sha256 is not 64 hex digits")]
    Fingerprint,
}

/// All BMCs; those that cannot be asked say why under their name.
pub(crate) fn parse(options: &Options) -> Vec<(String, Result<Settings, SettingsError>)> {
    options
        .tables("bmcs")
        .iter()
        .take(MOST_BMCS)
        .map(|(name, table)| (name.clone(), one(name, table)))
        .collect()
}

fn one(name: &str, table: &Options) -> Result<Settings, SettingsError> {
    let requests = table
        .integer("requests_per_minute")
        .unwrap_or(REQUESTS_PER_MINUTE)
        .clamp(1, i64::from(MOST_A_MINUTE));
    Ok(Settings {
        name: name.to_owned(),
        address: address(table.text("address"))?,
        username: table.text("username").to_owned(),
        password_file: table.text("password_file").to_owned(),
        trust: trust(table)?,
        session: table.is_on("session"),
        sse: table.is_on("sse"),
        requests_per_minute: u32::try_from(requests).unwrap_or(1),
    })
}

fn address(text: &str) -> Result<Url, SettingsError> {
    let bad = || SettingsError::Address(text.to_owned());
    let mut url = Url::parse(text).map_err(|_| bad())?;
    let host = url
        .host_str()
        .filter(|host| !host.is_empty())
        .ok_or_else(bad)?;
    // a name could be made to mean another machine
    let loopback = ["127.0.0.1", "[::1]"].contains(&host);
    match url.scheme() {
        "https" => {}
        "http" if loopback => {}
        "http" => return Err(SettingsError::Plain(text.to_owned())),
        _ => return Err(bad()),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad());
    }
    url.set_path("/");
    url.set_query(None);
    url.set_fragment(None);
    Ok(url)
}

fn trust(table: &Options) -> Result<Trust, SettingsError> {
    if table.is_on("insecure_tls") {
        return Ok(Trust::Anybody);
    }
    let fingerprint = table.text("certificate_sha256");
    if !fingerprint.is_empty() {
        return Ok(Trust::Fingerprint(
            digits(fingerprint).ok_or(SettingsError::Fingerprint)?,
        ));
    }
    Ok(match table.text("ca_file") {
        "" => Trust::System,
        file => Trust::Authority(file.to_owned()),
    })
}

/// 32 bytes from hex digits, with or without colons.
fn digits(text: &str) -> Option<[u8; 32]> {
    let plain: Vec<char> = text.chars().filter(|c| *c != ':').collect();
    let mut bytes = [0; 32];
    if plain.len() != 2 * bytes.len() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(plain.chunks_exact(2)) {
        for digit in pair {
            *byte = *byte << 4 | u8::try_from(digit.to_digit(16)?).ok()?;
        }
    }
    Some(bytes)
}

impl Settings {
    /// The password, read anew each time so that a changed one is found. `None` where it cannot be read or others
    /// could.
    pub(crate) fn password(&self, root: &SysRoot) -> Option<SecretString> {
        let relative = self.password_file.trim_start_matches('/');
        root.read_secret(relative).ok().map(SecretString::from)
    }
}

#[cfg(test)]
mod tests {
    use glasshouse_core::options::OptionValue;

    use super::*;

    fn table(address: &str) -> Options {
        Options::defaults(&BMC).with("address", OptionValue::Text(address.to_owned()))
    }

    #[test]
    fn an_address_is_https_or_loopback() {
        for good in [
            "https://10.0.0.5",
            "https://bmc:8443/x?y",
            "http://127.0.0.1:8000",
            "http://[::1]",
        ] {
            let settings = one("a", &table(good)).unwrap();
            assert_eq!(settings.address.path(), "/", "{good}");
        }
        for bad in [
            "",
            "10.0.0.5",
            "http://10.0.0.5",
            "http://localhost",
            "ftp://a",
            "https://u:p@a",
            "file:///etc",
        ] {
            assert!(one("a", &table(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn trust_is_the_most_that_is_written() {
        let with = |name: &str, value: &str| {
            one(
                "a",
                &table("https://a").with(name, OptionValue::Text(value.to_owned())),
            )
        };
        assert_eq!(one("a", &table("https://a")).unwrap().trust, Trust::System);
        let print = "AB:".repeat(31) + "cd";
        let Trust::Fingerprint(bytes) = with("certificate_sha256", &print).unwrap().trust else {
            panic!("no fingerprint");
        };
        assert_eq!((bytes[0], bytes[31]), (0xab, 0xcd));
        assert_eq!(
            with("certificate_sha256", "ab").unwrap_err(),
            SettingsError::Fingerprint
        );
        let authority = Trust::Authority("/etc/ca.pem".to_owned());
        assert_eq!(with("ca_file", "/etc/ca.pem").unwrap().trust, authority);
    }
}
