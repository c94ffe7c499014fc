//! The command line from outside: each command well and badly used.

use std::net::TcpListener;
use std::path::Path;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::folder::Folder;
use crate::support::process::{GLASSHOUSE, children, is_root, run, signal_process};
use crate::support::up::Up;
use crate::support::{eventually, skip};

/// Runs with arguments that must succeed and gives the output.
fn good(arguments: &[&str]) -> String {
    let (status, output, errors) = run(GLASSHOUSE, arguments);
    assert_eq!(status, Some(0), "{arguments:?}: {output}{errors}");
    output
}

/// Runs with arguments that must fail this way and gives what was said.
fn bad(status: i32, arguments: &[&str]) -> String {
    let (ended, output, errors) = run(GLASSHOUSE, arguments);
    assert_eq!(ended, Some(status), "{arguments:?}: {output}{errors}");
    assert!(!errors.is_empty(), "{arguments:?} says nothing");
    errors
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn version_completions_and_man_pages_are_made() {
    assert!(good(&["version"]).starts_with("glasshouse "));
    assert_eq!(json(&good(&["version", "--json"]))["name"], "glasshouse");
    for shell in ["bash", "zsh", "fish"] {
        assert!(
            good(&["completions", shell]).contains("collectors"),
            "{shell}"
        );
    }
    bad(2, &["completions", "csh"]);
    let folder = Folder::new();
    good(&["man", folder.join("man").to_str().unwrap()]);
    let page = std::fs::read_to_string(folder.join("man/glasshouse-query.1")).unwrap();
    assert!(page.contains("METRIC"), "{page}");
    let taken = folder.write("file", "");
    bad(3, &["man", taken.to_str().unwrap()]);
}

#[test]
fn what_does_not_exist_is_neither_listed_nor_taken() {
    let help = good(&["--help"]);
    for later in ["hub", "gateway", "analyze", "generate"] {
        assert!(!help.contains(&format!("\n  {later} ")), "{help}");
    }
    bad(2, &["hub"]);
    bad(2, &["check", "--no-such-flag"]);
    bad(2, &["version", "--log", "info=nonsense=x"]);
}

#[test]
fn collect_reads_this_machine_as_openmetrics_and_json() {
    let page = good(&["collect", "--once"]);
    assert!(page.ends_with("# EOF\n"), "{page}");
    assert!(
        page.contains("# TYPE system_memory_usage_bytes gauge"),
        "{page}"
    );
    assert!(page.contains("_total{"), "{page}");
    let one = json(&good(&[
        "collect",
        "--once",
        "--format",
        "json",
        "--collector",
        "memory",
    ]));
    assert_eq!(one["collectors"].as_array().unwrap().len(), 1);
    let samples = one["samples"].as_array().unwrap();
    let total = samples
        .iter()
        .filter_map(|sample| sample["value"].as_f64())
        .sum::<f64>();
    assert!(total > 0.0, "{one}");
}

#[test]
fn collect_says_what_it_could_not_do() {
    bad(2, &["collect"]);
    let unknown = bad(2, &["collect", "--once", "--collector", "memmory"]);
    assert!(unknown.contains("did you mean `memory`?"), "{unknown}");
    let missing = bad(3, &["collect", "--once", "--root", "/nowhere/at/all"]);
    assert!(missing.contains("/nowhere/at/all"), "{missing}");
    let empty = Folder::new();
    let nothing = bad(
        3,
        &[
            "collect",
            "--once",
            "--root",
            empty.path().to_str().unwrap(),
        ],
    );
    assert!(nothing.contains("nothing could be read"), "{nothing}");
}

#[test]
fn collectors_say_why_they_are_absent() {
    let empty = Folder::new();
    let root = empty.path().to_str().unwrap();
    let listed = json(&good(&["collectors", "list", "--json", "--root", root]));
    let collectors = listed["collectors"].as_array().unwrap();
    assert!(collectors.len() > 5, "{listed}");
    for collector in collectors {
        // what asks for rights of an administrator is off until somebody switches it on
        let needs = collector["needs"].as_str().unwrap();
        let state = match needs.contains("`privileged`") {
            true => "disabled",
            false => "absent",
        };
        assert_eq!(collector["state"], state, "{collector}");
        assert_ne!(collector["detail"], "", "{collector}");
        for metric in collector["metrics"].as_array().unwrap() {
            for key in ["name", "unit", "kind", "help", "is_not", "source"] {
                assert!(metric[key].is_string(), "{metric}");
            }
        }
    }
    assert!(good(&["collectors", "list"]).contains("system.memory.usage"));
    bad(3, &["collectors", "list", "--root", "/nowhere/at/all"]);
}

#[test]
fn a_question_to_no_store_names_the_folder_and_the_way_out() {
    let folder = Folder::new();
    let state = folder.path().to_str().unwrap();
    for question in [["query", "system.memory.usage"], ["store", "stat"]] {
        let said = bad(3, &[question[0], question[1], "--state-dir", state]);
        assert!(said.contains(state), "{said}");
        assert!(said.contains("--state-dir"), "{said}");
    }
    let query = |more: [&str; 2]| bad(2, &["query", "m", more[0], more[1], "--state-dir", state]);
    assert!(query(["--from", "yesterday"]).contains("RFC 3339"));
    assert!(query(["--from", "now"]).contains("empty"));
    query(["--label", "nonsense"]);
}

#[test]
fn an_unreadable_store_folder_is_an_error_and_no_panic() {
    if !is_root() {
        return unreadable_for(GLASSHOUSE, &[]);
    }
    // root may read everything, so somebody else asks, with a copy that they can reach
    let folder = Folder::new();
    let copy = folder.join("glasshouse");
    std::fs::copy(GLASSHOUSE, &copy).unwrap();
    let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    unreadable_for(
        "setpriv",
        &[&nobody[..], &[copy.to_str().unwrap()]].concat(),
    );
}

fn unreadable_for(program: &str, before: &[&str]) {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = Folder::new();
    let store = folder.join("store");
    std::fs::create_dir(&store).unwrap();
    std::fs::set_permissions(&store, std::fs::Permissions::from_mode(0o000)).unwrap();
    let state = folder.path().to_str().unwrap();
    for question in [
        &["store", "stat"][..],
        &["query", "system.memory.usage"],
        &["check"],
    ] {
        let arguments = [before, question, &["--state-dir", state]].concat();
        let (status, output, errors) = run(program, &arguments);
        let said = format!("{output}{errors}");
        assert_eq!(status, Some(3), "{question:?}: {said}");
        assert!(
            said.contains("store") && said.to_lowercase().contains("permission denied"),
            "{said}"
        );
    }
}

#[test]
fn check_warns_where_no_issuer_is_set_and_succeeds() {
    let folder = Folder::new();
    let config = folder.write("glasshouse.toml", "[serve]\nlisten = \"127.0.0.1:0\"\n");
    let config = config.to_str().unwrap();
    let checked = json(&good(&["check", "--json", "--config", config]));
    assert_eq!(checked["ok"], true);
    let items = checked["items"].as_array().unwrap();
    let issuers = items.iter().find(|item| item["what"] == "issuers").unwrap();
    assert_eq!(issuers["level"], "warning");
    assert!(
        items
            .iter()
            .any(|item| item["what"] == "collector memory" && item["level"] == "good")
    );
    assert!(good(&["check", "--config", config]).contains("issuers"));
}

#[test]
fn check_tells_wrong_configs_from_missing_surroundings() {
    let folder = Folder::new();
    let said = bad(
        2,
        &[
            "check",
            "--config",
            folder.join("none.toml").to_str().unwrap(),
        ],
    );
    assert!(said.contains("none.toml"), "{said}");
    for (text, status, says) in [
        ("[serve]\nlisten = \"0.0.0.0:0\"\n", 2, "without TLS"),
        (
            "[serve]\nlisten = \"127.0.0.1:0\"\ndefault_task = \"party\"\n",
            2,
            "node-health",
        ),
        (
            "[serve]\nlisten = \"127.0.0.1:0\"\n[serve.tls]\ncertificate = \"/nowhere/c\"\nkey = \"/nowhere/k\"\n",
            3,
            "/nowhere/c",
        ),
        (
            "[serve]\nlisten = \"127.0.0.1:0\"\npolicies = \"/nowhere/policies\"\n",
            3,
            "/nowhere/policies",
        ),
    ] {
        let config = folder.write("glasshouse.toml", text);
        let (ended, output, errors) =
            run(GLASSHOUSE, &["check", "--config", config.to_str().unwrap()]);
        assert_eq!(ended, Some(status), "{text}: {output}{errors}");
        assert!(output.contains(says), "{text}: {output}");
    }
}

#[test]
fn policies_are_checked_explained_and_shown() {
    assert!(good(&["policy", "check"]).contains("node-health"));
    let folder = Path::new("policies").to_str().unwrap();
    assert!(good(&["policy", "check", "--policies", folder]).contains("capacity-review"));
    assert!(good(&["policy", "matrix"]).contains("node_snapshot"));
    let allowed = [
        "policy",
        "explain",
        "--tool",
        "node_snapshot",
        "--task",
        "node-health",
    ];
    assert!(good(&allowed).contains("allowed"));
    let denied = run(
        GLASSHOUSE,
        &[
            "policy",
            "explain",
            "--json",
            "--tool",
            "query_series",
            "--task",
            "node-health",
        ],
    );
    assert_eq!(denied.0, Some(1), "{denied:?}");
    assert_eq!(json(&denied.1)["allowed"], false);
    let broken = Folder::new();
    std::fs::create_dir(broken.join("tasks")).unwrap();
    broken.write(
        "base.cedar",
        "permit(principal, action, resource) when { nonsense",
    );
    let said = bad(
        2,
        &[
            "policy",
            "check",
            "--policies",
            broken.path().to_str().unwrap(),
        ],
    );
    assert!(said.contains("base.cedar"), "{said}");
    bad(3, &["policy", "check", "--policies", "/nowhere/at/all"]);
}

#[test]
fn an_audit_log_that_is_not_there_is_an_error() {
    bad(3, &["audit", "verify", "/nowhere/at/all"]);
}

#[test]
fn roles_refuse_configs_that_they_cannot_use() {
    let folder = Folder::new();
    let unknown = folder.write("glasshouse.toml", "[serve]\nlistn = \"127.0.0.1:0\"\n");
    for role in ["node", "serve", "authd"] {
        let said = bad(2, &[role, "--config", unknown.to_str().unwrap()]);
        assert!(said.contains("did you mean `listen`?"), "{said}");
    }
    let probe = folder.write("probe.toml", "roots = \"/\"\n");
    bad(2, &["probe", "--config", probe.to_str().unwrap()]);
    let none = folder.write("glasshouse.toml", "");
    assert!(bad(2, &["authd", "--config", none.to_str().unwrap()]).contains("[authd]"));
    bad(2, &["node", "--run-as", "0:0"]);
    bad(3, &["node", "--supervised-by", "1"]);
}

#[test]
fn a_secret_that_everybody_can_read_is_refused() {
    let folder = Folder::new();
    let secret = folder.write("secret", "hush");
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o644)).unwrap();
    let config = format!(
        "[serve]\nlisten = \"127.0.0.1:0\"\n[serve.issuers.a]\nissuer = \"https://id.example\"\n\
         [serve.issuers.a.introspection]\nclient_id = \"a\"\nclient_secret_file = {secret:?}\n"
    );
    let config = folder.write("glasshouse.toml", &config);
    let said = bad(3, &["serve", "--config", config.to_str().unwrap()]);
    assert!(said.contains("open to everybody"), "{said}");
    assert!(!said.contains("hush"), "{said}");
}

#[test]
fn up_says_who_has_the_port() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap().to_string();
    let folder = Folder::new();
    let state = folder.join("state");
    let said = bad(
        3,
        &[
            "up",
            "--listen",
            &address,
            "--state-dir",
            state.to_str().unwrap(),
        ],
    );
    assert!(said.contains(&address), "{said}");
    assert!(
        said.contains(&format!("process {}", std::process::id())),
        "{said}"
    );
    let off_loopback = bad(
        2,
        &[
            "up",
            "--listen",
            "0.0.0.0:0",
            "--state-dir",
            state.to_str().unwrap(),
        ],
    );
    assert!(off_loopback.contains("without TLS"), "{off_loopback}");
    bad(2, &["up", "--config", "/etc/glasshouse/glasshouse.toml"]);
}

#[test]
fn up_refuses_a_folder_that_the_roles_cannot_enter() {
    if !is_root() {
        return skip("only under root do the roles have users of their own");
    }
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new();
    let closed = folder.join("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o700)).unwrap();
    let state = closed.join("state");
    let said = bad(
        3,
        &[
            "up",
            "--listen",
            "127.0.0.1:0",
            "--state-dir",
            state.to_str().unwrap(),
        ],
    );
    assert!(said.contains(closed.to_str().unwrap()), "{said}");
    assert!(said.contains("/var/lib/glasshouse"), "{said}");
}

#[tokio::test]
async fn up_brings_back_what_dies_and_stops_clean() {
    let mut up = Up::start();
    for role in ["probe", "node", "serve", "authd"] {
        let first = eventually(role, async || up.role(role)).await;
        signal_process(first, Signal::KILL);
        eventually("another process of the role", async || {
            up.role(role).filter(|id| *id != first)
        })
        .await;
        let log = up.running.log();
        assert!(log.contains("died") && log.contains(role), "{log}");
    }
    // a second one on the same folder would write over the first
    let state = up.state.to_str().unwrap().to_owned();
    let second = bad(3, &["up", "--listen", "127.0.0.1:0", "--state-dir", &state]);
    assert!(second.contains("another `glasshouse up`"), "{second}");
    let roles: Vec<u32> = children(up.running.id())
        .iter()
        .map(|(id, _)| *id)
        .collect();
    assert_eq!(roles.len(), 4, "{roles:?}");
    let password = up.ready["login"]["password"].clone();
    assert!(up.running.stop().success(), "{}", up.running.log());
    for role in roles {
        assert!(
            !Path::new(&format!("/proc/{role}")).exists(),
            "{role} is left"
        );
    }
    let kept = std::fs::read_to_string(up.state.join("secrets/password")).unwrap();
    assert_eq!(password, kept.trim());
    // what was stored can be asked for
    let query = [
        "query",
        "system.memory.usage",
        "--state-dir",
        &state,
        "--format",
    ];
    let answer = json(&good(&[&query[..], &["json"]].concat()));
    assert!(
        answer["series"]
            .as_array()
            .is_some_and(|series| !series.is_empty()),
        "{answer}"
    );
    let table = good(&[&query[..], &["csv"]].concat());
    assert!(
        table.starts_with("time,metric,labels,value,unit\n"),
        "{table}"
    );
    let unknown = bad(2, &["query", "system.memory.usages", "--state-dir", &state]);
    assert!(
        unknown.contains("did you mean system.memory.usage"),
        "{unknown}"
    );
    assert!(json(&good(&["store", "stat", "--json", "--state-dir", &state]))["tiers"].is_array());
    let verified = json(&good(&["audit", "verify", "--json", &state]));
    assert_eq!(verified["intact"], true, "{verified}");
}

#[tokio::test]
async fn the_roles_end_with_up_even_where_it_is_killed() {
    let mut up = Up::start();
    let roles: Vec<u32> = children(up.running.id())
        .iter()
        .map(|(id, _)| *id)
        .collect();
    assert_eq!(roles.len(), 4, "{roles:?}");
    signal_process(up.running.id(), Signal::KILL);
    eventually("up to be gone", async || {
        (!up.running.is_running()).then_some(())
    })
    .await;
    eventually("the roles to be gone", async || {
        let left = |id: &&u32| Path::new(&format!("/proc/{id}/exe")).read_link().is_ok();
        (!roles.iter().any(|id| left(&id))).then_some(())
    })
    .await;
}
