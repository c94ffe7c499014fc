//! The metrics of a running node, and Prometheus that reads them.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::Stdio;

use reqwest::StatusCode;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use serde_json::Value;

use crate::support::folder::Folder;
use crate::support::process::{GLASSHOUSE, Running, run};
use crate::support::up::Up;
use crate::support::{eventually, http_client, peers};

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0";
const TEXT: &str = "text/plain; version=0.0.4";

/// A page in one of the formats, once every collector had its turn.
async fn page(up: &Up, accept: &str) -> (String, String) {
    // the slowest of what every machine has runs every ten seconds, and most of the page is there when it is
    eventually("a whole page", async || {
        let answer = http_client().get(up.metrics()).header(ACCEPT, accept);
        let answer = answer.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let media_type = answer.headers()[CONTENT_TYPE].to_str().unwrap().to_owned();
        let text = answer.text().await.unwrap();
        let whole = [
            "glasshouse_node_frames_total ",
            "system_memory_usage_bytes{",
        ];
        whole
            .iter()
            .all(|start| text.lines().any(|line| line.starts_with(start)))
            .then_some((media_type, text))
    })
    .await
}

#[tokio::test]
async fn prometheus_takes_every_series_of_both_formats() {
    let Some(mut prometheus) = peers::debian("prometheus") else {
        return;
    };
    let up = Up::start();
    let (_, text) = page(&up, TEXT).await;
    let (_, openmetrics) = page(&up, OPENMETRICS).await;
    // pages that stay as they are can be compared number by number
    let still = [
        ("openmetrics", Still::serve(OPENMETRICS, &openmetrics)),
        ("text", Still::serve(TEXT, &text)),
    ];
    let folder = Folder::new();
    let face = up.metrics().trim_start_matches("http://").to_owned();
    let face = face.trim_end_matches("/metrics").to_owned();
    let targets = still
        .iter()
        .map(|(job, still)| (*job, still.address.to_string()))
        .chain([("face", face)]);
    let mut config =
        "global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n".to_owned();
    for (job, target) in targets {
        config.push_str(&format!(
            "- {{job_name: {job}, static_configs: [{{targets: [\"{target}\"]}}]}}\n"
        ));
    }
    let config = folder.write("prometheus.yml", &config);
    let listen = free_address();
    let _prometheus = Running::start(
        prometheus
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.join("tsdb").display()
            ))
            .arg(format!("--web.listen-address={listen}"))
            .arg("--log.level=warn"),
    );
    let api = Api(listen);
    for (job, page) in [("openmetrics", &openmetrics), ("text", &text)] {
        let wanted = samples(page);
        assert!(wanted.len() > 100, "{}", wanted.len());
        let stored = eventually(job, async || {
            let stored = api.series(job).await?;
            (stored.len() >= wanted.len()).then_some(stored)
        })
        .await;
        assert_eq!(stored.len(), wanted.len(), "{job}");
        for (series, value) in &wanted {
            assert_eq!(stored.get(series), Some(value), "{job}: {series:?}");
        }
        println!("{job}: all {} series are in its store", wanted.len());
    }
    // and the face itself is read whole, scrape after scrape
    let scraped = eventually("the face's own page", async || {
        let scraped = api.number("scrape_samples_scraped{job=\"face\"}").await?;
        (scraped > 100.0).then_some(scraped)
    })
    .await;
    let kept = api
        .number("scrape_samples_post_metric_relabeling{job=\"face\"}")
        .await;
    assert_eq!(kept, Some(scraped));
    assert_eq!(api.number("up{job=\"face\"}").await, Some(1.0));
    // Prometheus counts what it had to drop
    let own = http_client().get(format!("http://{listen}/metrics")).send();
    let own = own.await.unwrap().text().await.unwrap();
    for dropped in ["duplicate_timestamp", "out_of_bounds", "out_of_order"] {
        let name = format!("prometheus_target_scrapes_sample_{dropped}_total");
        let line = own.lines().find(|line| line.starts_with(&name)).unwrap();
        assert_eq!(line, format!("{name} 0"));
    }
}

#[tokio::test]
async fn promtool_finds_nothing_wrong_with_the_page() {
    let Some(mut promtool) = peers::debian("promtool") else {
        return;
    };
    let up = Up::start();
    let (media_type, text) = page(&up, TEXT).await;
    assert!(media_type.starts_with(TEXT), "{media_type}");
    let mut child = promtool
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(text.as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    for line in said.lines() {
        // OpenTelemetry has gauges whose names end so; it is a remark on style and not on the format
        let of_opentelemetry = line.contains("should not have \"_count\" suffix");
        assert!(of_opentelemetry, "{said}");
    }
    println!("promtool says of {} lines: {said}", text.lines().count());
}

#[tokio::test]
async fn health_is_good_while_all_run_and_names_who_is_silent() {
    let up = Up::start();
    let ask = async || {
        let url = up.metrics().replace("/metrics", "/healthz");
        let answer = http_client().get(url).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let well = eventually("health", async || {
        let answer = ask().await;
        (answer.0 == 200).then_some(answer)
    })
    .await;
    assert_eq!(well, (200, "ok\n".to_owned()));
    let probe = up.role("probe").unwrap();
    crate::support::process::signal_process(probe, rustix::process::Signal::STOP);
    // three of its periods
    eventually("silence", async || {
        (ask().await == (503, "probe-silent\n".to_owned())).then_some(())
    })
    .await;
    crate::support::process::signal_process(probe, rustix::process::Signal::CONT);
    eventually("health again", async || {
        (ask().await.0 == 200).then_some(())
    })
    .await;
}

#[test]
fn metrics_off_loopback_without_tls_are_refused() {
    let folder = Folder::new();
    let config = folder.write(
        "glasshouse.toml",
        &format!(
            "state_dir = {:?}\n[serve]\nlisten = \"127.0.0.1:0\"\nresource = \"http://127.0.0.1/mcp\"\n\
             [serve.metrics]\nlisten = \"0.0.0.0:0\"\n",
            folder.path()
        ),
    );
    let config = config.to_str().unwrap();
    let (status, _, errors) = run(GLASSHOUSE, &["serve", "--config", config]);
    assert_eq!(status, Some(2), "{errors}");
    assert!(errors.contains("without TLS"), "{errors}");
    let (status, output, errors) = run(GLASSHOUSE, &["check", "--config", config]);
    assert_eq!(status, Some(2), "{output}{errors}");
    let line = output.lines().find(|line| line.contains(" metrics "));
    assert!(
        line.is_some_and(|line| line.contains("without TLS")),
        "{output}"
    );
}

#[test]
fn check_says_who_may_read_the_metrics() {
    let folder = Folder::new();
    let said = |table: &str| {
        let text = format!(
            "state_dir = {:?}\n[serve]\nlisten = \"127.0.0.1:0\"\nresource = \"http://127.0.0.1/mcp\"\n{table}",
            folder.path()
        );
        let config = folder.write("glasshouse.toml", &text);
        let (_, output, errors) = run(GLASSHOUSE, &["check", "--config", config.to_str().unwrap()]);
        let line = output.lines().find(|line| line.contains(" metrics "));
        line.unwrap_or_else(|| panic!("{output}{errors}"))
            .to_owned()
    };
    let off = said("");
    assert!(off.contains("off: there is no [serve.metrics]"), "{off}");
    let open = said("[serve.metrics]\nlisten = \"127.0.0.1:0\"\n");
    assert!(
        open.contains("everybody on this machine may read"),
        "{open}"
    );
}

/// A page that never changes.
struct Still {
    address: SocketAddr,
}

impl Still {
    fn serve(media_type: &str, page: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {media_type}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{page}",
            page.len()
        );
        // ends with the test's process
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut head = Vec::new();
                let mut chunk = [0; 1024];
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read(&mut chunk) {
                        Ok(read @ 1..) => head.extend_from_slice(&chunk[..read]),
                        _ => break,
                    }
                }
                // who hangs up has read enough
                drop(stream.write_all(answer.as_bytes()));
            }
        });
        Self { address }
    }
}

/// Free when we looked; whoever takes it in between makes the start fail loudly.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// Name and labels of a series.
type Series = BTreeMap<String, String>;

/// The query interface of Prometheus.
struct Api(SocketAddr);

impl Api {
    async fn query(&self, query: &str) -> Option<Vec<Value>> {
        let mut url = reqwest::Url::parse(&format!("http://{}/api/v1/query", self.0)).unwrap();
        url.query_pairs_mut().append_pair("query", query);
        let answer = http_client().get(url).send().await.ok()?;
        let answer: Value = serde_json::from_str(&answer.text().await.ok()?).ok()?;
        answer.pointer("/data/result")?.as_array().cloned()
    }

    /// What it has of a job, without what it adds itself.
    async fn series(&self, job: &str) -> Option<BTreeMap<Series, f64>> {
        let all = self.query(&format!("{{job=\"{job}\"}}")).await?;
        let all = all.into_iter().map(|one| {
            let mut series: Series = serde_json::from_value(one["metric"].clone()).unwrap();
            series.remove("job");
            series.remove("instance");
            let value = one["value"][1].as_str().unwrap().parse().unwrap();
            (series, value)
        });
        let own = |series: &Series| {
            let name = &series["__name__"];
            name == "up" || name.starts_with("scrape_")
        };
        Some(all.filter(|(series, _)| !own(series)).collect())
    }

    async fn number(&self, query: &str) -> Option<f64> {
        let all = self.query(query).await?;
        all.first()?["value"][1].as_str()?.parse().ok()
    }
}

/// The samples of a page, read by rules of our own.
fn samples(page: &str) -> BTreeMap<Series, f64> {
    let mut all = BTreeMap::new();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let end = line.find(['{', ' ']).unwrap();
        let (name, mut rest) = line.split_at(end);
        let mut series = Series::from([("__name__".to_owned(), name.to_owned())]);
        while let Some(pair) = rest.strip_prefix(['{', ',']) {
            let (key, value) = pair.split_once("=\"").unwrap();
            let (value, after) = quoted(value);
            series.insert(key.to_owned(), value);
            rest = after.strip_prefix('}').unwrap_or(after);
        }
        let value = rest.trim().parse().unwrap();
        assert_eq!(all.insert(series, value), None, "twice: {line}");
    }
    all
}

/// A label's value up to its closing quote, and what stands behind that.
fn quoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => return (value, letters.as_str()),
            '\\' => match letters.next().unwrap() {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    panic!("no end: {text}")
}

#[test]
fn the_reader_of_this_test_reads() {
    let read = samples("a{x=\"1,\\\"}\\\\\",y=\"\"} 2.5\nb 1e-9\n");
    let series = |pairs: &[(&str, &str)]| -> Series {
        let pairs = pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        pairs.collect()
    };
    let wanted = [
        (
            series(&[("__name__", "a"), ("x", "1,\"}\\"), ("y", "")]),
            2.5,
        ),
        (series(&[("__name__", "b")]), 1e-9),
    ];
    assert_eq!(read, BTreeMap::from(wanted));
}
