//! Which room may know which, and which room stands behind which wall.
//!
//! Dependencies point down. A new edge is a design change: it changes a table here and is reviewed as one. Rows that
//! no longer hold fail too, so the tables say what is, not what once was. `.deny.toml` says the walls to cargo-deny.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// A member of the workspace and the members that it may depend on.
struct Room {
    name: &'static str,
    /// A room knows lower floors alone.
    floor: u8,
    knows: &'static [&'static str],
    /// Known to its tests besides.
    knows_in_tests: &'static [&'static str],
}

/// Above all rooms: the root package, which alone names concrete types of several rooms.
const ROOF: u8 = 3;

/// Not shipped, and of no floor: nobody below the roof's tests may know them.
const OUTSIDE: u8 = 9;

const ROOMS: &[Room] = &[
    room(0, "glasshouse-core", &[]),
    room(1, "glasshouse-audit", &["core"]),
    room(1, "glasshouse-auth", &["core"]),
    room(1, "glasshouse-policies", &["core"]),
    room(1, "glasshouse-exposition", &["core"]),
    room(1, "glasshouse-analytics", &["core"]),
    Room {
        // its tests have a disk that fails
        // and what measures it takes a probe's frames
        knows_in_tests: &["store", "wire"],
        ..room(1, "glasshouse-store", &["core"])
    },
    room(1, "glasshouse-wire", &["core"]),
    // the one door to files; collectors may use it although it stands on their floor
    room(1, "glasshouse-sysfs", &["core"]),
    Room {
        // one peer reads what both families read
        knows_in_tests: &["power", "sysfs"],
        ..room(1, "glasshouse-performance", &["core", "sysfs"])
    },
    Room {
        knows_in_tests: &["sysfs"],
        ..room(1, "glasshouse-power", &["core", "sysfs"])
    },
    Room {
        knows_in_tests: &["fake-nvml", "sysfs"],
        ..room(1, "glasshouse-gpu", &["core", "sysfs"])
    },
    Room {
        // a BMC that lies, hangs and counts sessions
        knows_in_tests: &["sim", "sysfs"],
        ..room(1, "glasshouse-bmc", &["core", "sysfs"])
    },
    room(2, "glasshouse-authd", &["core"]),
    room(2, "glasshouse-mcp", &["core"]),
    Room {
        // the other end of the link
        knows_in_tests: &["probe"],
        // not the collectors: node has no device code
        ..room(
            2,
            "glasshouse-node",
            &["audit", "core", "exposition", "store", "wire"],
        )
    },
    room(2, "glasshouse-probe", &["core", "wire"]),
    // no core: the face knows bytes, sockets and time
    room(2, "glasshouse-serve", &[]),
    Room {
        knows_in_tests: &["fake-nvml", "sim"],
        ..room(
            ROOF,
            "glasshouse",
            &[
                "audit",
                "auth",
                "authd",
                "bmc",
                "core",
                "exposition",
                "gpu",
                "mcp",
                "node",
                "performance",
                "policies",
                "power",
                "probe",
                "serve",
                "store",
                "sysfs",
            ],
        )
    },
    // a second program, and so a roof of its own: who builds the other one compiles no Polars
    room(ROOF, "glasshouse-analyze", &["analytics", "core", "store"]),
    room(OUTSIDE, "glasshouse-sim", &[]),
    room(OUTSIDE, "glasshouse-fake-nvml", &[]),
    // measures a node that has a BMC, and the store by the frames of a probe
    room(OUTSIDE, "xtask", &["core", "sim", "wire"]),
];

/// Edges within one floor, each with its reason above.
const SAME_FLOOR: &[(&str, &str)] = &[
    ("glasshouse-gpu", "glasshouse-sysfs"),
    ("glasshouse-bmc", "glasshouse-sysfs"),
    ("glasshouse-performance", "glasshouse-sysfs"),
    ("glasshouse-power", "glasshouse-sysfs"),
    ("xtask", "glasshouse-sim"),
];

const fn room(floor: u8, name: &'static str, knows: &'static [&'static str]) -> Room {
    Room {
        name,
        floor,
        knows,
        knows_in_tests: &[],
    }
}

/// A dependency that few may name, and who.
struct Wall {
    dependency: &'static str,
    rooms: &'static [&'static str],
    /// Besides, in tests.
    in_tests: &'static [&'static str],
}

const WALLS: &[Wall] = &[
    wall("rmcp", &["mcp"], &[]),
    wall("cedar-policy", &["policies"], &[]),
    wall("cedar-policy-mcp-schema-generator", &[], &["policies"]),
    wall("jsonwebtoken", &["auth", "sim"], &["authd", "glasshouse"]),
    wall("oauth-as", &["authd"], &[]),
    wall("axum", &["authd", "sim"], &[]),
    wall("hyper", &["serve"], &["mcp"]),
    wall("hyper-util", &["serve"], &["mcp"]),
    wall("rustls", &["bmc", "node", "serve"], &[]),
    // the node has no runtime
    wall("ureq", &["node"], &[]),
    wall("tokio-rustls", &["serve"], &["authd"]),
    wall(
        "reqwest",
        &["auth", "authd", "bmc"],
        &["glasshouse", "serve"],
    ),
    // the transport-free parts alone; the generated types are a peer in tests
    wall("ipmi", &["bmc"], &[]),
    wall("ipmi-rs", &["bmc"], &[]),
    wall("nv-redfish-core", &["bmc"], &[]),
    wall("nv-redfish-quirks", &["bmc"], &[]),
    wall("nv-redfish", &[], &["bmc"]),
    wall("aws-lc-rs", &["audit"], &[]),
    wall("ct-merkle", &["audit"], &[]),
    wall("pco", &["store"], &[]),
    wall("prost", &["exposition", "wire"], &[]),
    wall("snap", &["exposition"], &[]),
    // collectors, probe, node and store are threads and blocking calls; but BMCs over the network, in their own process
    wall(
        "tokio",
        &["auth", "authd", "bmc", "glasshouse", "mcp", "serve", "sim"],
        &[],
    ),
    // errors without a type belong to the roof
    wall("anyhow", &["analyze", "glasshouse", "sim", "xtask"], &[]),
    wall("sysinfo", &["sysfs"], &[]),
    wall("nvml-wrapper", &["gpu"], &[]),
    wall("nvml-wrapper-sys", &["gpu"], &[]),
    wall("clap", &["analyze", "glasshouse", "xtask"], &[]),
    wall("miette", &["glasshouse", "policies"], &[]),
    wall("toml", &["glasshouse"], &[]),
    wall("xshell", &["xtask"], &[]),
    // minutes to build and tens of megabytes: neither a collector's author nor the resident processes have it
    wall("polars", &["analytics"], &["analyze"]),
];

const fn wall(
    dependency: &'static str,
    rooms: &'static [&'static str],
    in_tests: &'static [&'static str],
) -> Wall {
    Wall {
        dependency,
        rooms,
        in_tests,
    }
}

/// Crates that may stand nowhere in what is built for Linux, tests included: one TLS, and no C library of the system.
const BANISHED: &[&str] = &["ring", "openssl", "openssl-sys", "native-tls"];

/// The targets that are shipped.
const TARGETS: &[&str] = &["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];

#[test]
fn every_edge_between_rooms_stands_in_the_table() {
    let metadata = metadata();
    let mut trouble = Vec::new();
    for package in metadata.workspace_packages() {
        let name = package.name.as_str();
        let Some(room) = ROOMS.iter().find(|room| room.name == name) else {
            trouble.push(format!("`{name}` has no row in ROOMS"));
            continue;
        };
        compare(
            &mut trouble,
            &format!("{name}: edge to"),
            &members(&metadata, package, false),
            &full_names(room.knows),
        );
        compare(
            &mut trouble,
            &format!("{name}: edge in tests to"),
            &members(&metadata, package, true),
            &full_names(room.knows_in_tests),
        );
    }
    for room in ROOMS {
        if !metadata
            .workspace_packages()
            .iter()
            .any(|package| package.name.as_str() == room.name)
        {
            trouble.push(format!("`{}` has a row in ROOMS but no crate", room.name));
        }
    }
    assert!(trouble.is_empty(), "\n{}", trouble.join("\n"));
}

#[test]
fn the_table_itself_points_down() {
    let floor = |name: &str| ROOMS.iter().find(|room| room.name == name).unwrap().floor;
    for room in ROOMS {
        for known in full_names(room.knows) {
            let same = SAME_FLOOR.contains(&(room.name, known.as_str()));
            assert!(
                floor(&known) < room.floor || same,
                "`{}` on floor {} may not know `{known}` on floor {}",
                room.name,
                room.floor,
                floor(&known)
            );
        }
    }
}

#[test]
fn every_walled_dependency_is_named_by_its_rooms_alone() {
    let metadata = metadata();
    let mut trouble = Vec::new();
    for wall in WALLS {
        let (shipped, in_tests) = dependents(&metadata, wall.dependency);
        let what = format!("{}: named by", wall.dependency);
        compare(&mut trouble, &what, &shipped, &full_names(wall.rooms));
        let what = format!("{}: named in tests by", wall.dependency);
        compare(&mut trouble, &what, &in_tests, &full_names(wall.in_tests));
    }
    assert!(trouble.is_empty(), "\n{}", trouble.join("\n"));
}

#[test]
fn deny_toml_says_the_same_walls() {
    let text = std::fs::read_to_string(root().join(".deny.toml")).unwrap();
    let deny: toml::Table = text.parse().unwrap();
    let mut written: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for entry in deny["bans"]["deny"].as_array().unwrap() {
        let wrappers = entry.get("wrappers").and_then(toml::Value::as_array);
        let ours = wrappers
            .into_iter()
            .flatten()
            .map(|wrapper| wrapper.as_str().unwrap().to_owned())
            // others' crates stand there too, because cargo-deny sees the whole graph
            .filter(|wrapper| ROOMS.iter().any(|room| room.name == wrapper))
            .collect();
        written.insert(entry["crate"].as_str().unwrap(), ours);
    }
    let mut trouble = Vec::new();
    for wall in WALLS {
        let mut rooms = full_names(wall.rooms);
        rooms.extend(full_names(wall.in_tests));
        match written.remove(wall.dependency) {
            Some(wrappers) => compare(
                &mut trouble,
                &format!(".deny.toml, {}: wrapper", wall.dependency),
                &wrappers,
                &rooms,
            ),
            None => trouble.push(format!(".deny.toml lacks `{}`", wall.dependency)),
        }
    }
    for name in BANISHED {
        if !WALLS.iter().any(|wall| wall.dependency == *name) && written.remove(name).is_none() {
            trouble.push(format!(".deny.toml lacks `{name}`"));
        }
    }
    trouble.extend(
        written
            .keys()
            .map(|name| format!(".deny.toml has `{name}`, this table has not")),
    );
    assert!(trouble.is_empty(), "\n{}", trouble.join("\n"));
}

#[test]
fn nothing_that_is_built_for_linux_brings_a_banished_crate() {
    for target in TARGETS {
        // the tree follows the features as the build does; `cargo metadata` unites those of all platforms
        let tree = Command::new(cargo())
            .args(["tree", "--workspace", "--locked", "--edges", "all"])
            .args(["--prefix", "none", "--format", "{p}", "--target", target])
            .current_dir(root())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&tree.stderr);
        assert!(tree.status.success(), "{said}");
        let tree = String::from_utf8(tree.stdout).unwrap();
        let names: BTreeSet<&str> = tree
            .lines()
            .filter_map(|line| line.split(' ').next())
            .collect();
        assert!(names.contains("glasshouse-core"), "the tree is empty");
        for banished in BANISHED {
            assert!(
                !names.contains(banished),
                "`{banished}` is built for {target}"
            );
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

fn metadata() -> Metadata {
    MetadataCommand::new()
        .cargo_path(cargo())
        .current_dir(root())
        .no_deps()
        .other_options(["--locked".to_owned()])
        .exec()
        .unwrap()
}

/// `core` in a table means `glasshouse-core`; the two names without a prefix stand as they are.
fn full_names(short: &[&str]) -> BTreeSet<String> {
    short
        .iter()
        .map(|name| match *name {
            "glasshouse" | "xtask" => (*name).to_owned(),
            room => format!("glasshouse-{room}"),
        })
        .collect()
}

/// The members that a package depends on, in tests or in what is shipped.
fn members(metadata: &Metadata, package: &Package, in_tests: bool) -> BTreeSet<String> {
    let names: BTreeSet<&str> = metadata
        .workspace_packages()
        .iter()
        .map(|member| member.name.as_str())
        .collect();
    package
        .dependencies
        .iter()
        .filter(|dependency| (dependency.kind == DependencyKind::Development) == in_tests)
        .map(|dependency| dependency.name.clone())
        .filter(|name| names.contains(name.as_str()))
        .collect()
}

/// The members that name a dependency: in what is shipped, and in tests alone.
fn dependents(metadata: &Metadata, dependency: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let naming = |in_tests: bool| -> BTreeSet<String> {
        let names = |package: &&&Package| {
            package.dependencies.iter().any(|edge| {
                edge.name == dependency && (edge.kind == DependencyKind::Development) == in_tests
            })
        };
        metadata
            .workspace_packages()
            .iter()
            .filter(names)
            .map(|package| package.name.to_string())
            .collect()
    };
    let shipped = naming(false);
    let in_tests = naming(true).difference(&shipped).cloned().collect();
    (shipped, in_tests)
}

fn compare(
    trouble: &mut Vec<String>,
    what: &str,
    found: &BTreeSet<String>,
    allowed: &BTreeSet<String>,
) {
    for name in found.difference(allowed) {
        trouble.push(format!(
            "{what} `{name}` is not in the table: a design change, not a line in a manifest"
        ));
    }
    for name in allowed.difference(found) {
        trouble.push(format!(
            "{what} `{name}` no longer exists: take its row out"
        ));
    }
}
