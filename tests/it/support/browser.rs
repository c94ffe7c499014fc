//! A browser without a screen: it keeps cookies, follows redirects, and fills in the sign-in and consent forms.

use std::collections::BTreeMap;

use reqwest::Url;

use super::{form_body, http_client};

/// Somebody at a browser.
#[derive(Debug)]
pub(crate) struct Browser {
    client: reqwest::Client,
    user: String,
    password: String,
    /// What is chosen where the page offers tasks; what the page proposes where left out.
    task: Option<String>,
    cookies: BTreeMap<String, String>,
    /// The pages that were seen, for messages.
    pub(crate) pages: Vec<String>,
}

/// Sign-in, consent and the redirects between; more is a loop.
const STEPS: usize = 12;

impl Browser {
    pub(crate) fn new(user: &str, password: &str) -> Self {
        Self {
            client: http_client(),
            user: user.to_owned(),
            password: password.to_owned(),
            task: None,
            cookies: BTreeMap::new(),
            pages: Vec::new(),
        }
    }

    pub(crate) fn choosing(mut self, task: &str) -> Self {
        self.task = Some(task.to_owned());
        self
    }

    /// Opens a page and does what it asks until it sends us away from its origin; returns where to.
    ///
    /// # Panics
    /// Where a page cannot be followed.
    pub(crate) async fn follow(&mut self, url: &str) -> Url {
        let start = Url::parse(url).unwrap();
        let mut request = self.client.get(start.clone());
        let mut here = start.clone();
        for _ in 0..STEPS {
            let response = request
                .header("cookie", self.cookie())
                .send()
                .await
                .unwrap();
            self.keep_cookies(&response);
            if response.status().is_redirection() {
                let location = response.headers()["location"].to_str().unwrap().to_owned();
                here = here.join(&location).unwrap();
                if here.origin() != start.origin() {
                    return here;
                }
                request = self.client.get(here.clone());
                continue;
            }
            let status = response.status();
            let page = response.text().await.unwrap();
            self.pages.push(page.clone());
            assert!(status.is_success(), "{here} answered {status}: {page}");
            let form = Form::first(&page).unwrap_or_else(|| panic!("no form on {here}: {page}"));
            let target = here.join(&form.action).unwrap();
            let fields = self.fill(&form);
            request = self
                .client
                .post(target.clone())
                .header("origin", here.origin().ascii_serialization())
                .header("referer", here.as_str())
                .header("sec-fetch-site", "same-origin")
                .header("content-type", "application/x-www-form-urlencoded")
                .body(form_body(&fields));
            here = target;
        }
        panic!("the pages never end: {:?}", self.pages)
    }

    fn cookie(&self) -> String {
        let pairs: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        pairs.join("; ")
    }

    fn keep_cookies(&mut self, response: &reqwest::Response) {
        for header in response.headers().get_all("set-cookie") {
            let pair = header.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies
                .insert(name.trim().to_owned(), value.trim().to_owned());
        }
    }

    fn fill(&self, form: &Form) -> Vec<(String, String)> {
        let mut fields = Vec::new();
        let mut pressed = false;
        for field in &form.fields {
            let value = match field.kind.as_str() {
                "password" => self.password.clone(),
                "text" | "email" => self.user.clone(),
                "radio" => {
                    let chosen = match &self.task {
                        Some(task) => field.value.ends_with(task.as_str()),
                        None => field.checked,
                    };
                    if !chosen {
                        continue;
                    }
                    field.value.clone()
                }
                // the first button says yes
                "submit" => {
                    if std::mem::replace(&mut pressed, true) || field.name.is_empty() {
                        continue;
                    }
                    field.value.clone()
                }
                "checkbox" if !field.checked => continue,
                _ => field.value.clone(),
            };
            fields.push((field.name.clone(), value));
        }
        fields
    }
}

/// A form of a page.
#[derive(Debug)]
struct Form {
    action: String,
    fields: Vec<Field>,
}

#[derive(Debug)]
struct Field {
    kind: String,
    name: String,
    value: String,
    checked: bool,
}

impl Form {
    /// The first one that posts, read well enough for pages without script.
    fn first(page: &str) -> Option<Self> {
        let (_, body) = page.split_once("<form")?;
        let (body, _) = body.split_once("</form>")?;
        let mut tags = body.split('<').map(tag);
        let (_, form) = tags.next()?;
        assert_eq!(
            form.get("method").map(|method| method.to_ascii_lowercase()),
            Some("post".to_owned()),
            "a form that does not post: {body}"
        );
        let fields = tags
            .filter(|(name, _)| matches!(name.as_str(), "input" | "button"))
            .map(|(name, attributes)| {
                let get = |key: &str| attributes.get(key).cloned().unwrap_or_default();
                let default = if name == "button" { "submit" } else { "text" };
                Field {
                    kind: attributes
                        .get("type")
                        .cloned()
                        .unwrap_or_else(|| default.to_owned()),
                    name: get("name"),
                    value: get("value"),
                    checked: attributes.contains_key("checked"),
                }
            })
            .collect();
        Some(Self {
            action: form.get("action").cloned().unwrap_or_default(),
            fields,
        })
    }
}

/// `input type="text" required>…` as a name and its attributes.
fn tag(text: &str) -> (String, BTreeMap<String, String>) {
    let inside = text.split('>').next().unwrap_or_default();
    let (name, mut rest) = inside
        .split_once(char::is_whitespace)
        .unwrap_or((inside, ""));
    let mut attributes = BTreeMap::new();
    loop {
        rest = rest.trim_start();
        let end = rest
            .find(|c: char| c == '=' || c.is_whitespace())
            .unwrap_or(rest.len());
        let (key, after) = rest.split_at(end);
        if key.is_empty() {
            return (name.to_ascii_lowercase(), attributes);
        }
        let value = after
            .strip_prefix("=\"")
            .and_then(|quoted| quoted.split_once('"'));
        let (value, after) = value.unwrap_or(("", after));
        attributes.insert(key.to_ascii_lowercase(), unescape(value));
        rest = after;
    }
}

fn unescape(text: &str) -> String {
    [
        ("&quot;", "\""),
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&#x27;", "'"),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&amp;", "&"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (code, character)| {
        text.replace(code, character)
    })
}

#[test]
fn a_form_is_read_from_a_page() {
    let page = r#"<p>x</p><form method="post" action="/consent?a=1&amp;b=2">
        <input type="hidden" name="csrf" value="a&quot;b">
        <input name=user required><input type="password" name="password">
        <input type="radio" name="task" value="node-health" checked>
        <input type="radio" name="task" value="capacity-review">
        <button name="decision" value="allow">Yes</button><button name="decision" value="deny">No</button>
        </form>"#
        .replace("name=user", "name=\"user\"");
    let form = Form::first(&page).unwrap();
    assert_eq!(form.action, "/consent?a=1&b=2");
    let fill = |browser: Browser| {
        let fields = browser.fill(&form);
        fields
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(
        fill(Browser::new("ada", "secret")),
        "csrf=a\"b user=ada password=secret task=node-health decision=allow"
    );
    assert!(
        fill(Browser::new("ada", "secret").choosing("capacity-review"))
            .contains("task=capacity-review")
    );
}
