//! Packages, cores and threads; what they are and how their clocks are set.

use std::collections::{BTreeMap, BTreeSet};

use glasshouse_sysfs::{malformed, optional, scaled};

use super::Teller;

const DIRECTORY: &str = "sys/devices/system/cpu";
const CPUINFO: &str = "proc/cpuinfo";

/// What `/proc/cpuinfo` said, once it said something. Some kernels interrupt every processor to write that file, idle
/// ones too, and nothing in it changes without a reboot but clocks, which are not told, and microcode that is loaded late.
#[derive(Debug, Default)]
pub(super) struct Models(Option<Vec<Model>>);

/// One fact of one package.
#[derive(Debug)]
struct Model {
    component: String,
    key: &'static str,
    value: String,
}

pub(super) fn tell(teller: &mut Teller<'_>, models: &mut Models) {
    let packages = tell_topology(teller);
    if models.0.is_none() {
        models.0 = read_models(teller);
    }
    for model in models.0.iter().flatten() {
        teller.tell(&model.component, model.key, &model.value);
    }
    tell_clocks(teller);
    tell_nodes(teller, packages);
}

fn tell_nodes(teller: &mut Teller<'_>, packages: usize) {
    const NODES: &str = "sys/devices/system/node";
    let names = optional(teller.root.list(NODES));
    let names = teller.noted(names).flatten().unwrap_or_default();
    let nodes: Vec<&String> = names
        .iter()
        .filter(|name| is_numbered(name, "node"))
        .collect();
    if nodes.is_empty() {
        return;
    }
    teller.tell("cpu", "host.numa.nodes", &nodes.len().to_string());
    let mut with_processors = 0;
    for name in nodes {
        let list = teller
            .root
            .read_optional_trimmed(&format!("{NODES}/{name}/cpulist"));
        with_processors += usize::from(teller.noted(list).flatten().is_some());
    }
    // memory alone (CXL) is a node as well
    if packages > 0 && with_processors > 0 && with_processors.is_multiple_of(packages) {
        let each = with_processors / packages;
        teller.tell("cpu", "host.numa.nodes_per_package", &each.to_string());
    }
}

/// Gives the number of packages.
fn tell_topology(teller: &mut Teller<'_>) -> usize {
    let names = optional(teller.root.list(DIRECTORY));
    let names = teller.noted(names).flatten().unwrap_or_default();
    let (mut packages, mut cores, mut threads) = (BTreeSet::new(), BTreeSet::new(), 0);
    for name in names.iter().filter(|name| is_numbered(name, "cpu")) {
        let number = |file| {
            let path = format!("{DIRECTORY}/{name}/topology/{file}");
            optional(teller.root.read_trimmed(&path))
        };
        let (package, core) = (number("physical_package_id"), number("core_id"));
        if let Some(Some(package)) = teller.noted(package)
            && let Some(Some(core)) = teller.noted(core)
        {
            threads += 1;
            cores.insert((package.clone(), core));
            packages.insert(package);
        }
    }
    for (key, count) in [
        ("host.cpu.packages", packages.len()),
        ("host.cpu.cores", cores.len()),
        ("host.cpu.threads", threads),
    ] {
        if count > 0 {
            teller.tell("cpu", key, &count.to_string());
        }
    }
    packages.len()
}

/// What the file says of the first processor of each package. Architectures without such lines tell nothing.
fn read_models(teller: &mut Teller<'_>) -> Option<Vec<Model>> {
    let text = optional(teller.root.read_text(CPUINFO));
    let text = teller.noted(text).flatten()?;
    if text.trim().is_empty() {
        let error = malformed(CPUINFO, None, "a paragraph for each processor", "");
        return teller.noted(Err(error));
    }
    let mut models = Vec::new();
    let mut packages = BTreeSet::new();
    for paragraph in text.split("\n\n") {
        let lines: BTreeMap<&str, &str> = paragraph
            .lines()
            .filter_map(|line| line.split_once(':'))
            .map(|(key, value)| (key.trim(), value.trim()))
            .collect();
        if !lines.contains_key("processor") {
            continue;
        }
        let package = lines.get("physical id").copied().unwrap_or("0");
        if !packages.insert(package.to_owned()) {
            continue;
        }
        let component = format!("cpu/{package}");
        for (line, key) in [
            ("vendor_id", "host.cpu.vendor.id"),
            ("model name", "host.cpu.model.name"),
            ("cpu family", "host.cpu.family"),
            ("model", "host.cpu.model.id"),
            ("stepping", "host.cpu.stepping"),
            ("microcode", "host.cpu.microcode"),
        ] {
            models.push(Model {
                component: component.clone(),
                key,
                value: lines.get(line).copied().unwrap_or_default().to_owned(),
            });
        }
    }
    (!models.is_empty()).then_some(models)
}

fn tell_clocks(teller: &mut Teller<'_>) {
    let governor = format!("{DIRECTORY}/cpu0/cpufreq/scaling_governor");
    teller.tell_file("cpu", "host.cpu.frequency.governor", &governor);
    for (key, file) in [
        ("host.cpu.frequency.max", "scaling_max_freq"),
        ("host.cpu.frequency.base", "base_frequency"),
    ] {
        let path = format!("{DIRECTORY}/cpu0/cpufreq/{file}");
        let kilohertz = teller.root.read_optional_u64(&path);
        if let Some(Some(kilohertz)) = teller.noted(kilohertz) {
            let hertz = scaled(kilohertz, 1000)
                .ok_or_else(|| malformed(&path, None, "kilohertz", &kilohertz.to_string()));
            if let Some(hertz) = teller.noted(hertz) {
                teller.tell("cpu", key, &hertz.to_string());
            }
        }
    }
    let forbidden = format!("{DIRECTORY}/intel_pstate/no_turbo");
    let allowed = format!("{DIRECTORY}/cpufreq/boost");
    let turbo = teller
        .root
        .read_optional_u64(&forbidden)
        .map(|forbidden| forbidden.map(|forbidden| forbidden == 0));
    if let Some(Some(turbo)) = teller.noted(turbo) {
        teller.tell("cpu", "host.cpu.turbo", if turbo { "1" } else { "0" });
    } else {
        teller.tell_file("cpu", "host.cpu.turbo", &allowed);
    }
}

/// `cpu12` for `cpu`, but not `cpufreq`.
fn is_numbered(name: &str, stem: &str) -> bool {
    name.strip_prefix(stem)
        .is_some_and(|n| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()))
}
