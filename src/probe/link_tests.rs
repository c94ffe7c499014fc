use std::fs::File;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;

use rustix::fs::{CWD, mkfifoat};
use tempfile::TempDir;

use super::*;

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
    let mut link = Link::new(&folder.path().join("frames"));
    let mut written = 0;
    assert_eq!(link.write(b"frame", &mut written), Progress::NoReader);
    assert_eq!(link.state, LinkState::Down(Errno::NOENT));
    let path = fifo(&folder);
    assert_eq!(link.write(b"frame", &mut written), Progress::NoReader);
    assert_eq!(link.state, LinkState::Down(Errno::NXIO));
    let mut reader = reader(&path);
    assert_eq!(link.write(b"frame", &mut written), Progress::Done);
    let mut seen = [0; 9];
    assert_eq!(reader.read(&mut seen).unwrap(), 5);
    assert_eq!(&seen[..5], b"frame");
}

#[test]
fn a_frame_goes_on_where_it_stopped_when_the_reader_goes_and_another_comes() {
    let folder = TempDir::new().unwrap();
    let path = fifo(&folder);
    let first = reader(&path);
    let mut link = Link::new(&path);
    let frame: Vec<u8> = (0..200_000u32).map(|n| n.to_le_bytes()[0]).collect();
    let mut written = 0;
    assert_eq!(link.write(&frame, &mut written), Progress::Full);
    assert!(written > 0 && written < frame.len());
    // a process without SIGPIPE ignored would end here
    drop(first);
    assert_eq!(link.write(&frame, &mut written), Progress::NoReader);
    assert_eq!(link.state, LinkState::Down(Errno::PIPE));
    let mut second = reader(&path);
    let mut seen = Vec::new();
    let mut piece = vec![0; 65_536];
    while seen.len() < frame.len() {
        link.write(&frame, &mut written);
        let read = second.read(&mut piece).unwrap();
        seen.extend_from_slice(&piece[..read]);
    }
    assert!(seen == frame);
}

#[test]
fn a_fifo_that_was_made_anew_gets_the_whole_frame() {
    let folder = TempDir::new().unwrap();
    let path = fifo(&folder);
    let old = reader(&path);
    let mut link = Link::new(&path);
    let frame = vec![7; 100_000];
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
fn no_regular_file_is_ever_written() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("frames");
    std::fs::write(&path, b"").unwrap();
    let mut link = Link::new(&path);
    assert_eq!(link.write(b"frame", &mut 0), Progress::NoReader);
    assert_eq!(std::fs::read(&path).unwrap(), b"");
    std::os::unix::fs::symlink(&path, folder.path().join("other")).unwrap();
    let mut link = Link::new(&folder.path().join("other"));
    assert_eq!(link.write(b"frame", &mut 0), Progress::NoReader);
}
