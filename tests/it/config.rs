//! Bad config files, and what is said of each: `tests/config/*.toml` against `tests/config/snapshots`.

use std::path::Path;

use crate::support::process::{GLASSHOUSE, run};

/// Fewer would mean that the folder was not found.
const FEWEST_FILES: usize = 10;

#[test]
fn every_bad_file_is_refused_with_its_line_and_the_way_out() {
    // the package's folder is where the test runs, so that paths in the messages are the same everywhere
    let folder = Path::new("tests/config");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .collect();
    files.sort();
    assert!(files.len() >= FEWEST_FILES, "{files:?}");
    for file in files {
        let shown = file.to_str().unwrap();
        let (status, output, errors) = run(GLASSHOUSE, &["check", "--config", shown]);
        assert_eq!(status, Some(2), "{shown}: {output}{errors}");
        assert_eq!(output, "", "{shown}");
        assert!(!errors.contains('\u{1b}'), "{shown}: {errors:?}");
        let name = file.file_stem().unwrap().to_str().unwrap();
        insta::with_settings!({snapshot_path => "../config/snapshots", prepend_module_to_snapshot => false, omit_expression => true}, {
            insta::assert_snapshot!(name, errors);
        });
    }
}
