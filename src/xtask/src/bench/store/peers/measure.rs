//! What is done with a server to compare with.

use std::path::Path;

use anyhow::{Context, ensure};

use super::super::feed::Feed;
use super::super::http::Client;
use super::super::questions::{Kind, Timing};
use super::super::remote_write::Requests;
use super::super::subject::Measured;
use super::super::watch::{Watch, peak_kib};
use super::Peer;

/// Where samples are taken.
const WRITE: &str = "/api/v1/write";

/// The headers that the protocol asks for.
const WRITE_HEADERS: &[(&str, &str)] = &[
    ("content-type", "application/x-protobuf"),
    ("content-encoding", "snappy"),
    ("x-prometheus-remote-write-version", "0.1.0"),
];

/// Writes, seals, starts it anew for each question, so that it begins with no cache.
pub(crate) fn measure(
    peer: &dyn Peer,
    feed: &Feed<'_>,
    kinds: &[Kind],
    folder: &Path,
) -> anyhow::Result<Measured> {
    let (server, mut client) = peer.start(folder)?;
    let mut watch = Watch::begin(server.process())?;
    watch.wait_until_quiet()?;
    let mut watch = Watch::begin(server.process())?;
    let samples = write(feed, &mut client, &mut watch)?;
    watch.wait_until_quiet()?;
    let mut measured = Measured {
        samples,
        ingest: watch.cost()?,
        ..Measured::default()
    };
    let mut watch = Watch::begin(server.process())?;
    peer.seal(&mut client)?;
    watch.wait_until_quiet()?;
    measured.seal = watch.cost()?;
    measured.sizes = peer.sizes(folder)?;
    let kept = peer.kept(&mut client, folder)?;
    ensure!(kept == samples, "of {samples} samples it kept {kept}");
    drop(client);
    server.end()?;
    for kind in kinds {
        ask(peer, *kind, feed, folder, &mut measured)?;
    }
    Ok(measured)
}

/// Sends all as remote write, and says how many samples that were.
fn write(feed: &Feed<'_>, client: &mut Client, watch: &mut Watch) -> anyhow::Result<u64> {
    let mut requests = Requests::new(feed.series(), feed.metric_key());
    let mut samples = 0;
    let mut send = |requests: &mut Requests| {
        let body = requests.take();
        let answer = client.post(WRITE, WRITE_HEADERS, &body)?;
        answer.good().context("it refused samples").map(drop)
    };
    feed.each(|millis, points| {
        samples += u64::try_from(points.len())?;
        requests.add(millis, points);
        watch.look()?;
        if requests.instants() >= feed.instants_a_request() {
            send(&mut requests)?;
        }
        Ok(())
    })?;
    if requests.instants() > 0 {
        send(&mut requests)?;
    }
    Ok(samples)
}

fn ask(
    peer: &dyn Peer,
    kind: Kind,
    feed: &Feed<'_>,
    folder: &Path,
    measured: &mut Measured,
) -> anyhow::Result<()> {
    let (server, mut client) = peer.start(folder)?;
    Watch::begin(server.process())?.wait_until_quiet()?;
    let timing = Timing::of(|round| {
        let question = kind.question(feed.series(), feed.span(), round);
        let question = question.context("nothing to ask of")?;
        super::ask(&mut client, &question, feed.metric_key())
    })?;
    let peak = peak_kib(server.process())?;
    measured.answering_kib = measured.answering_kib.max(peak);
    measured.timings.push((kind, timing));
    drop(client);
    server.end()
}
