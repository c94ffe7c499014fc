//! What the tests of the whole share: the binary under test, a client of our own, a browser without a screen.

pub(crate) mod browser;
pub(crate) mod folder;
pub(crate) mod mcp;
pub(crate) mod oauth;
pub(crate) mod peers;
pub(crate) mod process;
pub(crate) mod serve;
pub(crate) mod up;

use std::time::{Duration, Instant};

/// How long anything may take that should take a moment: two busy cores are slow, not wrong.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Says why a test did not run; `cargo xtask test` repeats it at the end.
pub(crate) fn skip(why: &str) {
    println!("skipped: {why}");
}

/// Asks until the answer is there.
///
/// # Panics
/// Where it is not there within [`PATIENCE`]; `what` says what was waited for.
pub(crate) async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// An HTTP client that follows nothing, keeps nothing and asks nobody but the address itself.
pub(crate) fn http_client() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(PATIENCE)
        .build()
        .unwrap()
}

/// `application/x-www-form-urlencoded`.
pub(crate) fn form_body(fields: &[(impl AsRef<str>, String)]) -> String {
    let mut url = reqwest::Url::parse("http://form").unwrap();
    url.query_pairs_mut().extend_pairs(fields);
    url.query().unwrap_or_default().to_owned()
}
