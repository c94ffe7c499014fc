//! The device itself: a guest (QEMU without KVM) whose `/dev/ipmi0` is `ipmi_sim`, which answers over the network too.
//!
//! Takes `qemu-system-x86_64`, `busybox`, `cpio` and a kernel with its modules, which `apt-get download` brings; so it
//! runs when it is asked for: `cargo test -p glasshouse-bmc -- --ignored guest --nocapture`. A kernel that was unpacked
//! before is taken from `GLASSHOUSE_GUEST_KERNEL` (a folder with `boot` and `lib/modules`).

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use glasshouse_core::collector::CollectorSpec;
use glasshouse_core::options::Options;
use glasshouse_core::sample::Value;
use glasshouse_sysfs::compliance::Recording;

use super::simulated;

/// Runs in the guest; the BMC hangs from the end of the second to the end of the fifth.
const RUNS: usize = 8;
const HANGS_AFTER: usize = 1;
const GOES_ON_AFTER: usize = 4;

/// What the guest prints before what it says.
const MARK: &str = "GUEST";

/// Runs inside of the guest.
#[test]
#[ignore = "runs in the guest of the test below"]
fn inside() {
    let spec = &crate::ipmi::IPMI;
    let mut collector = spec.build(Path::new("/"), &Options::defaults(spec.options()));
    for run in 0..RUNS {
        let begun = std::time::Instant::now();
        let recording = Recording::of(collector.as_mut());
        for sample in &recording.samples {
            let value = match sample.value {
                Ok(value) => Value::as_f64(value).to_string(),
                Err(reason) => reason.to_string(),
            };
            println!("{MARK}\t{run}\t{}\t{value}", sample.name());
        }
        for condition in &recording.conditions {
            println!("{MARK}\t{run}\tcondition\t{}", condition.cause);
        }
        for error in recording.errors() {
            println!("{MARK}\t{run}\terror\t{error}");
        }
        println!("{MARK}\t{run}\ttook\t{:?}", begun.elapsed());
        println!("{MARK}\t{run}\tend\t{}", recording.outcome.is_ok());
        std::thread::sleep(Duration::from_secs(1));
    }
}

#[test]
#[ignore = "boots a guest, whose kernel is downloaded"]
fn a_guest_reads_from_its_device_what_the_network_says() {
    let Some(simulated) = simulated() else { return };
    let folder = tempfile::tempdir().unwrap();
    let Some(kernel) = kernel(folder.path()) else {
        eprintln!("skipped: no kernel, and `apt-get download` gives none");
        return;
    };
    let image = image(folder.path(), &kernel);
    let mut guest = boot(&kernel, &image, simulated.device().port());
    let mut said: Vec<BTreeMap<String, String>> = vec![BTreeMap::new(); RUNS];
    let mut truth = BTreeMap::new();
    let lines = BufReader::new(guest.0.stdout.take().unwrap()).split(b'\n');
    for line in lines.map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).trim().to_owned();
        let [mark, run, name, value] = line.split('\t').collect::<Vec<_>>()[..] else {
            eprintln!("{line}");
            continue;
        };
        let Some(run) = run.parse::<usize>().ok().filter(|_| mark.ends_with(MARK)) else {
            continue;
        };
        said[run].insert(name.to_owned(), value.to_owned());
        if !name.contains('{') {
            eprintln!("run {run}: {name} {value}");
        }
        match (name, run) {
            // while the guest is on, which the chassis says
            ("end", 0) => truth = super::peer::over_the_network(&simulated),
            ("end", HANGS_AFTER) => simulated.hang().unwrap(),
            ("end", GOES_ON_AFTER) => simulated.go_on().unwrap(),
            _ => {}
        }
    }
    compare(&said, &truth);
}

/// Everything that the guest said has to be what the network says, or nothing.
fn compare(said: &[BTreeMap<String, String>], truth: &BTreeMap<String, f64>) {
    let mut right = vec![0; RUNS];
    for (run, said) in said.iter().enumerate() {
        for (name, wanted) in truth {
            let Some(value) = said.get(name).and_then(|value| value.parse::<f64>().ok()) else {
                continue;
            };
            assert!(
                (value - wanted).abs() < 1e-9,
                "run {run}: {name} is {wanted}, not {value}"
            );
            right[run] += 1;
        }
    }
    eprintln!(
        "{right:?} values of {} equal those over the network",
        truth.len()
    );
    assert_eq!(right[0], truth.len());
    assert_eq!(right[HANGS_AFTER + 1], 0);
    assert_eq!(right[RUNS - 1], truth.len());
    let states: Vec<bool> = said
        .iter()
        .map(|said| said.contains_key("condition"))
        .collect();
    assert!(!states[HANGS_AFTER] && !states[RUNS - 1], "{states:?}");
    assert!(states[GOES_ON_AFTER], "{states:?}");
}

fn kernel(folder: &Path) -> Option<PathBuf> {
    if let Some(kernel) = std::env::var_os("GLASSHOUSE_GUEST_KERNEL") {
        return Some(kernel.into());
    }
    // the cloud flavour has no IPMI
    let depends = shell(folder, "apt-cache depends linux-image-amd64")?;
    let package = depends
        .lines()
        .find_map(|line| line.trim().strip_prefix("Depends: "))?
        .to_owned();
    shell(
        folder,
        &format!("apt-get download {package} && dpkg-deb -x {package}_*.deb kernel"),
    )?;
    Some(folder.join("kernel"))
}

/// A first file system of busybox, three modules and this test.
fn image(folder: &Path, kernel: &Path) -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let (kernel, program) = (kernel.display(), program.display());
    let script = format!(
        r#"set -e
mkdir -p root/bin root/proc root/sys root/dev root/mods root/tmp
cp /bin/busybox root/bin/
cp {kernel}/lib/modules/*/kernel/drivers/char/ipmi/ipmi_msghandler.ko* root/mods/
cp {kernel}/lib/modules/*/kernel/drivers/char/ipmi/ipmi_si.ko* root/mods/
cp {kernel}/lib/modules/*/kernel/drivers/char/ipmi/ipmi_devintf.ko* root/mods/
find root/mods -name '*.xz' -exec xz -d {{}} +
cp {program} root/bin/inside
ldd {program} | grep -o '/[^ ]*' | while read -r library; do mkdir -p "root$(dirname "$library")"; cp -L "$library" "root$library"; done
cat > root/init <<'END'
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
for module in ipmi_msghandler ipmi_devintf ipmi_si; do insmod /mods/$module.ko; done
sleep 2
/bin/inside --ignored --exact ipmi::tests::guest::inside --nocapture
poweroff -f
END
chmod +x root/init
(cd root && find . | cpio -o -H newc --quiet | gzip -1) > image.gz
"#
    );
    assert!(
        shell(folder, &script).is_some(),
        "the image could not be made"
    );
    folder.join("image.gz")
}

/// A guest; it ends with this.
struct Guest(Child);

impl Drop for Guest {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn boot(kernel: &Path, image: &Path, port: u16) -> Guest {
    let images = std::fs::read_dir(kernel.join("boot"))
        .unwrap()
        .filter_map(Result::ok);
    let kernel = images
        .map(|entry| entry.path())
        .find(|path| path.to_string_lossy().contains("vmlinuz"))
        .unwrap();
    let child = Command::new("timeout")
        .arg("300")
        .arg("qemu-system-x86_64")
        .args([
            "-accel",
            "tcg",
            "-m",
            "512",
            "-nographic",
            "-no-reboot",
            "-net",
            "none",
        ])
        .arg("-kernel")
        .arg(kernel)
        .arg("-initrd")
        .arg(image)
        .args(["-append", "console=ttyS0 panic=-1 quiet"])
        .arg("-chardev")
        .arg(format!(
            "socket,id=ipmi0,host=127.0.0.1,port={port},reconnect=5"
        ))
        .args(["-device", "ipmi-bmc-extern,id=bmc0,chardev=ipmi0"])
        .args(["-device", "isa-ipmi-kcs,bmc=bmc0,irq=5"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    Guest(child)
}

fn shell(folder: &Path, script: &str) -> Option<String> {
    let output = Command::new("sh")
        .args(["-c", script])
        .current_dir(folder)
        .output()
        .unwrap();
    if !output.status.success() {
        eprintln!("{}", String::from_utf8_lossy(&output.stderr));
        return None;
    }
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}
