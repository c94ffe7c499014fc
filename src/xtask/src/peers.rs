//! Programs that this project did not write and its tests run: found, or installed from the package registries.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::Context;
use xshell::{Shell, cmd};

/// Installs what is missing and returns what could not be had, with the way to get it.
pub(crate) fn install(shell: &Shell) -> anyhow::Result<Vec<String>> {
    let mut missing = Vec::new();
    let _quiet = NoServices::during_installs(shell);
    for package in DEBIAN {
        if let Err(way_out) = install_debian(shell, package) {
            missing.push(way_out);
        }
    }
    let folder = crate::project::root()?.join("tests/conformance");
    let npm = install_once(&folder, "package.json", "node_modules", || {
        install_npm(shell, &folder)
    });
    if let Err(error) = npm {
        missing.push(format!("clients from npm: {error:#}"));
    }
    let python = install_once(&folder, "requirements.txt", ".venv", || {
        install_python(shell, &folder)
    });
    if let Err(error) = python {
        missing.push(format!("clients from PyPI: {error:#}"));
    }
    Ok(missing)
}

/// Installs those of Debian's packages that a bench wants and that are missing; returns what could not be had, with the way
/// to get it.
pub(crate) fn install_some(shell: &Shell, packages: &[&str]) -> Vec<String> {
    let _quiet = NoServices::during_installs(shell);
    DEBIAN
        .iter()
        .filter(|known| packages.contains(&known.package))
        .filter_map(|package| install_debian(shell, package).err())
        .collect()
}

/// A program and the Debian package that has it.
struct DebianPackage {
    package: &'static str,
    /// Found in `PATH` or as an absolute path.
    provides: &'static str,
    why: &'static str,
}

const DEBIAN: &[DebianPackage] = &[
    DebianPackage {
        package: "prometheus-node-exporter",
        provides: "prometheus-node-exporter",
        why: "to compare host values with",
    },
    DebianPackage {
        package: "prometheus",
        provides: "promtool",
        why: "to read the metrics and parse the dashboards' queries",
    },
    DebianPackage {
        package: "victoria-metrics",
        provides: "victoria-metrics",
        why: "to send samples on to",
    },
    DebianPackage {
        package: "python3-venv",
        provides: "python3",
        why: "for the Python client",
    },
    DebianPackage {
        package: "openipmi",
        provides: "ipmi_sim",
        why: "for a BMC that speaks IPMI",
    },
    DebianPackage {
        package: "ipmitool",
        provides: "ipmitool",
        why: "to compare what a BMC says with",
    },
    DebianPackage {
        package: "gcc",
        provides: "cc",
        why: "for the power readings of that BMC",
    },
    DebianPackage {
        package: "netdata-core",
        provides: "netdata",
        why: "to compare what a node costs with",
    },
    DebianPackage {
        package: "linux-perf",
        provides: "perf",
        why: "to count the system calls of both",
    },
    DebianPackage {
        package: "iproute2",
        provides: "ip",
        why: "to measure on a machine that is large enough",
    },
    DebianPackage {
        package: "npm",
        provides: "npm",
        why: "for the JavaScript clients",
    },
];

fn install_debian(shell: &Shell, wanted: &DebianPackage) -> Result<(), String> {
    let DebianPackage {
        package,
        provides,
        why,
    } = *wanted;
    // python3 is there on most machines while its ensurepip is a package of its own
    let usable = match package {
        "python3-venv" => cmd!(shell, "python3 -c 'import ensurepip, venv'")
            .quiet()
            .ignore_stderr()
            .run()
            .is_ok(),
        _ => in_path(provides),
    };
    if usable {
        return Ok(());
    }
    let by_hand = format!("{package} ({why}): apt-get install --no-install-recommends {package}");
    if !in_path("apt-get") || !is_root(shell) {
        return Err(by_hand);
    }
    println!("installing {package} {why}");
    let _noninteractive = shell.push_env("DEBIAN_FRONTEND", "noninteractive");
    let install = || {
        cmd!(
            shell,
            "apt-get install --yes --quiet --no-install-recommends {package}"
        )
        .run()
    };
    install()
        .or_else(|_| {
            cmd!(shell, "apt-get update --quiet")
                .run()
                .and_then(|()| install())
        })
        .map_err(|error| format!("{by_hand} ({error})"))?;
    keep_from_boot(shell, package);
    keep_from_boot(shell, provides);
    Ok(())
}

/// Debian's packages also start their services at the next boot; what was installed for tests and benches must not.
fn keep_from_boot(shell: &Shell, service: &str) {
    let unit = format!("{service}.service");
    let helper = "deb-systemd-helper";
    let is_service = in_path(helper)
        && ["/lib/systemd/system", "/usr/lib/systemd/system"]
            .iter()
            .any(|folder| Path::new(folder).join(&unit).exists());
    let disable = || cmd!(shell, "{helper} disable {unit}").quiet().run();
    if is_service && disable().is_err() {
        println!("`{unit}` will start at the next boot: systemctl disable {unit}");
    }
}

/// What Debian's packages ask before they start their services (invoke-rc.d(8)).
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Forbids services, whatever they are.
const FORBIDS: &str =
    "#!/bin/sh\n# of Glasshouse's cargo xtask, while it installs peers\nexit 101\n";

/// As long as it lives, what is installed starts no service: peers run when a test or a bench starts them. What the
/// machine's owner says there is left as it is.
struct NoServices {
    is_ours: bool,
}

impl NoServices {
    fn during_installs(shell: &Shell) -> Self {
        // one of the same words is left of a run that was interrupted
        let stands = std::fs::read_to_string(POLICY).is_ok_and(|policy| policy != FORBIDS);
        let may = is_root(shell) && !stands;
        let written = || -> std::io::Result<()> {
            std::fs::write(POLICY, FORBIDS)?;
            std::fs::set_permissions(POLICY, std::fs::Permissions::from_mode(0o755))
        };
        Self {
            is_ours: may && written().is_ok(),
        }
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.is_ours && std::fs::remove_file(POLICY).is_err() {
            println!(
                "`{POLICY}` could not be removed: it keeps packages from starting their services"
            );
        }
    }
}

fn is_root(shell: &Shell) -> bool {
    cmd!(shell, "id -u")
        .quiet()
        .read()
        .is_ok_and(|user| user == "0")
}

pub(crate) fn in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Runs `install` where `folder/into` was not made from the same `manifest` before.
fn install_once(
    folder: &Path,
    manifest: &str,
    into: &str,
    install: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let wanted = std::fs::read(folder.join(manifest))
        .with_context(|| format!("failed to read `{manifest}`"))?;
    let stamp = folder.join(into).join(".installed");
    if std::fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    println!("installing {manifest} into tests/conformance/{into}");
    install()?;
    std::fs::write(&stamp, &wanted)
        .with_context(|| format!("failed to write `{}`", stamp.display()))
}

fn install_npm(shell: &Shell, folder: &Path) -> anyhow::Result<()> {
    let _there = shell.push_dir(folder);
    // no scripts: a package is run by a test or not at all
    cmd!(
        shell,
        "npm install --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel=error"
    )
    .run()?;
    Ok(())
}

fn install_python(shell: &Shell, folder: &Path) -> anyhow::Result<()> {
    let _there = shell.push_dir(folder);
    cmd!(shell, "python3 -m venv --clear .venv").run()?;
    cmd!(
        shell,
        ".venv/bin/pip install --quiet --disable-pip-version-check --requirement requirements.txt"
    )
    .run()?;
    Ok(())
}
