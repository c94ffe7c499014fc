//! A real file system that is full to its last byte.

use std::fs;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::life::{Life, STEPS};
use glasshouse_store::faults::ENOSPC;

/// Set for the child, which has a mount namespace of its own: the folder to mount at.
const CHILD: &str = "GLASSHOUSE_STORE_TEST_FULL";

/// Bytes of the file system: some times what a life takes.
const SIZE: &str = "size=2m";

/// Not a test: what the child does on a small disk.
#[test]
fn child_on_a_small_disk() {
    let Ok(dir) = std::env::var(CHILD) else {
        return;
    };
    let dir = PathBuf::from(dir);
    // Each phase of heads, merges and retention begins at some of these.
    for (place, from) in (0..STEPS - 12).step_by(5).enumerate() {
        let state = dir.join("state");
        fs::create_dir(&state).unwrap();
        let mut life = Life::new(&state);
        for n in 0..STEPS {
            if n == from {
                fill(&dir);
            }
            // Sometimes a little becomes free: enough to begin, and not to end.
            if n == from + 4 && place % 2 == 1 {
                leave(&dir, 4096 * (place as u64 + 1));
            }
            if n == from + 9 {
                fs::remove_file(dir.join("filler")).unwrap();
            }
            life.step(n);
        }
        assert!(!life.errors.is_empty(), "the disk was not full at {from}");
        life.errors_say(&[ENOSPC]);
        life.rest(STEPS);
        life.is_whole(STEPS - 1, None);
        for recovery in &life.recoveries {
            assert!(recovery.lost.is_empty(), "{recovery:?}");
        }
        life.is_settled(STEPS);
        fs::remove_dir_all(&state).unwrap();
    }
    println!("\nwent on each time");
}

fn fill(dir: &Path) {
    let mut file = fs::File::create(dir.join("filler")).unwrap();
    for piece in [4096, 1] {
        while file.write_all(&vec![7; piece]).is_ok() {}
    }
}

fn leave(dir: &Path, bytes: u64) {
    let file = fs::File::options()
        .write(true)
        .open(dir.join("filler"))
        .unwrap();
    let length = file.metadata().unwrap().len();
    file.set_len(length.saturating_sub(bytes)).unwrap();
    assert!(file.read_at(&mut [0], 0).is_err(), "it is only written");
}

#[test]
fn a_disk_full_to_the_last_byte_costs_what_comes_meanwhile() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root may mount a small disk");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs -o \"$1\" tmpfs \"$2\" || exit 77; \
                  exec \"$0\" faults::full::child_on_a_small_disk --exact --nocapture";
    let run = Command::new("unshare")
        .args(["--mount", "sh", "-c", script])
        .arg(std::env::current_exe().unwrap())
        .args([SIZE, dir.path().to_str().unwrap()])
        .env(CHILD, dir.path())
        .output();
    let run = match run {
        Ok(run) if run.status.code() != Some(77) && !said(&run.stderr).contains("unshare:") => run,
        other => {
            println!("skipped: no small disk can be mounted here: {other:?}");
            return;
        }
    };
    let (out, err) = (said(&run.stdout), said(&run.stderr));
    assert!(
        run.status.success() && out.contains("went on each time"),
        "{out}{err}"
    );
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
