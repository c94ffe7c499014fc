use std::fs::File;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;

use glasshouse_wire::{FrameReader, FrameWriter, Step};
use rustix::fs::{CWD, mkfifoat};
use tempfile::TempDir;

use super::*;

fn parcel(payloads: &[&[u8]]) -> Parcel {
    let mut writer = FrameWriter::new(7);
    let mut parcel = Parcel::default();
    for payload in payloads {
        parcel.add(&mut writer, payload).unwrap();
    }
    parcel
}

fn fifo(folder: &TempDir) -> PathBuf {
    let path = folder.path().join("frames");
    mkfifoat(CWD, &path, Mode::from_raw_mode(0o600)).unwrap();
    path
}

fn reader(path: &Path) -> File {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap();
    File::options()
        .read(true)
        .custom_flags(flags)
        .open(path)
        .unwrap()
}

#[test]
fn a_missing_fifo_and_a_missing_reader_are_waited_for() {
    let folder = TempDir::new().unwrap();
    let mut link = Link::new(Output::Fifo(folder.path().join("frames")));
    let mut written = 0;
    assert_eq!(
        link.write(&parcel(&[b"frame"]), &mut written),
        Progress::NoReader
    );
    assert_eq!(link.state, LinkState::Down(Errno::NOENT));
    let path = fifo(&folder);
    assert_eq!(
        link.write(&parcel(&[b"frame"]), &mut written),
        Progress::NoReader
    );
    assert_eq!(link.state, LinkState::Down(Errno::NXIO));
    let mut reader = reader(&path);
    assert_eq!(
        link.write(&parcel(&[b"frame"]), &mut written),
        Progress::Done
    );
    let mut seen = [0; 99];
    let bytes = reader.read(&mut seen).unwrap();
    assert_eq!(&seen[..bytes], parcel(&[b"frame"]).bytes());
}

#[test]
fn a_frame_goes_on_where_it_stopped_when_the_reader_goes_and_another_comes() {
    let folder = TempDir::new().unwrap();
    let path = fifo(&folder);
    let first = reader(&path);
    let mut link = Link::new(Output::Fifo(path.clone()));
    let payload: Vec<u8> = (0..200_000u32).map(|n| n.to_le_bytes()[0]).collect();
    let frame = parcel(&[&payload]);
    let mut written = 0;
    assert_eq!(link.write(&frame, &mut written), Progress::Full);
    assert!(written > 0 && written < frame.bytes().len());
    // a process without SIGPIPE ignored would end here
    drop(first);
    assert_eq!(link.write(&frame, &mut written), Progress::NoReader);
    assert_eq!(link.state, LinkState::Down(Errno::PIPE));
    let mut second = reader(&path);
    let mut seen = Vec::new();
    let mut piece = vec![0; 65_536];
    while seen.len() < frame.bytes().len() {
        link.write(&frame, &mut written);
        let read = second.read(&mut piece).unwrap();
        seen.extend_from_slice(&piece[..read]);
    }
    assert!(seen == frame.bytes());
}

#[test]
fn a_fifo_that_was_made_anew_gets_the_whole_frame() {
    let folder = TempDir::new().unwrap();
    let path = fifo(&folder);
    let old = reader(&path);
    let mut link = Link::new(Output::Fifo(path.clone()));
    let frame = parcel(&[&[7; 100_000]]);
    let mut written = 0;
    assert_eq!(link.write(&frame, &mut written), Progress::Full);
    drop(old);
    std::fs::remove_file(&path).unwrap();
    fifo(&folder);
    let _new = reader(&path);
    link.write(&frame, &mut written);
    assert_eq!(link.write(&frame, &mut written), Progress::Full);
    assert_eq!(
        written, 65_536,
        "from the start again, as much as a pipe takes"
    );
}

#[test]
fn frames_that_went_whole_into_the_old_fifo_are_not_sent_twice() {
    let folder = TempDir::new().unwrap();
    let path = fifo(&folder);
    let mut old = reader(&path);
    let mut link = Link::new(Output::Fifo(path.clone()));
    let frames = parcel(&[&[1; 1000], &[2; 100_000], &[3; 10]]);
    let mut written = 0;
    assert_eq!(link.write(&frames, &mut written), Progress::Full);
    let mut taken = FrameReader::new();
    let step = taken.next_frame(&mut old).unwrap();
    assert!(matches!(step, Step::Frame(frame) if frame.payload[0] == 1));
    drop(old);
    std::fs::remove_file(&path).unwrap();
    fifo(&folder);
    let mut new = reader(&path);
    let mut taken = FrameReader::new();
    let mut seen = Vec::new();
    while seen.len() < 2 {
        link.write(&frames, &mut written);
        if let Step::Frame(frame) = taken.next_frame(&mut new).unwrap() {
            seen.push((frame.sequence, frame.payload[0]));
        }
    }
    assert_eq!(seen, [(1, 2), (2, 3)]);
    assert_eq!(taken.counts().resyncs, 0);
}

#[test]
fn no_regular_file_is_ever_written() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("frames");
    std::fs::write(&path, b"").unwrap();
    let mut link = Link::new(Output::Fifo(path.clone()));
    assert_eq!(link.write(&parcel(&[b"frame"]), &mut 0), Progress::NoReader);
    assert_eq!(std::fs::read(&path).unwrap(), b"");
    std::os::unix::fs::symlink(&path, folder.path().join("other")).unwrap();
    let mut link = Link::new(Output::Fifo(folder.path().join("other")));
    assert_eq!(link.write(&parcel(&[b"frame"]), &mut 0), Progress::NoReader);
}
