//! The pages: plain forms without a script, so that any browser can follow them, and any test.
//!
//! Sign-in: `POST /sign-in` with `request`, `ticket`, `username`, `password`. Consent: `POST /consent` with `request`,
//! `ticket`, `subject`, `task` (one of the radio buttons) and `decision`, `allow` or `deny`. The answer to a right
//! password is the consent page itself; there is no session in between.

use axum::response::Response;
use glasshouse_core::access::TaskDescription;
use http::StatusCode;
use reqwest::Url;

use crate::html::{escaped, page, shown};

/// What a form carries along: the request that it answers, and its ticket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form<'a> {
    pub(crate) request: &'a str,
    pub(crate) ticket: &'a str,
    /// Where the client will be sent to.
    pub(crate) redirect_uri: &'a str,
}

impl Form<'_> {
    fn hidden(&self) -> String {
        format!(
            "<input type=\"hidden\" name=\"request\" value=\"{}\">\n<input type=\"hidden\" name=\"ticket\" value=\"{}\">",
            escaped(self.request),
            escaped(self.ticket),
        )
    }
}

/// The client, as a person is told of it: before the password is typed as well as after.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Who<'a> {
    pub(crate) name: &'a str,
    pub(crate) id: &'a str,
    /// Whether the operator has configured this client, and so vouches for its name.
    pub(crate) is_configured: bool,
}

impl Who<'_> {
    /// Its id, where it lives, and whether anybody vouches for its name.
    fn facts(&self, redirect_uri: &str) -> String {
        let host = Url::parse(redirect_uri).map_or_else(
            |_| redirect_uri.to_owned(),
            |url| url.origin().ascii_serialization(),
        );
        let unproven = if self.is_configured {
            ""
        } else {
            "<p class=\"warn\">It calls itself that; nobody has checked it.</p>\n"
        };
        format!(
            "{unproven}<p>Its id: <code>{}</code><br>You will be sent back to: <code>{}</code></p>",
            shown(self.id),
            shown(&host),
        )
    }
}

/// Asks who is there. `trouble`: what was wrong with the last answer.
pub(crate) fn sign_in(
    status: StatusCode,
    form: Form<'_>,
    client: Who<'_>,
    trouble: Option<&str>,
) -> Response {
    let trouble = trouble.map_or_else(String::new, |text| {
        format!("<p class=\"warn\" role=\"alert\">{}</p>\n", escaped(text))
    });
    let body = format!(
        "{trouble}<p>The client <strong>{name}</strong> asks to read this machine's telemetry.</p>\n{facts}\n\
         <p>Sign in to see what it asks for.</p>\n\
         <form method=\"post\" action=\"/sign-in\">\n{hidden}\n\
         <label>Name <input type=\"text\" name=\"username\" autocomplete=\"username\" required autofocus></label>\n\
         <label>Password <input type=\"password\" name=\"password\" autocomplete=\"current-password\" required></label>\n\
         <button type=\"submit\">Sign in</button>\n</form>",
        name = shown(client.name),
        facts = client.facts(form.redirect_uri),
        hidden = form.hidden(),
    );
    page(
        status,
        "Glasshouse: sign in",
        &body,
        form_target(form.redirect_uri).as_deref(),
    )
}

/// What is asked for, in words.
#[derive(Debug)]
pub(crate) struct Consent<'a> {
    pub(crate) subject: &'a str,
    pub(crate) client: Who<'a>,
    pub(crate) scopes: &'a [String],
    pub(crate) tasks: &'a [TaskDescription],
    /// The task that is chosen beforehand.
    pub(crate) chosen: &'a str,
    /// The tasks that the client asked for.
    pub(crate) asked: &'a [String],
}

/// Asks whether the client may.
pub(crate) fn consent(form: Form<'_>, consent: &Consent<'_>) -> Response {
    let scopes: String = consent
        .scopes
        .iter()
        .map(|scope| format!("<li>{}</li>\n", scope_in_words(scope)))
        .collect();
    let tasks: String = consent
        .tasks
        .iter()
        .map(|task| task_choice(task, consent))
        .collect();
    let body = format!(
        "<p>Signed in as <strong>{subject}</strong>.</p>\n\
         <p><strong>{client}</strong> asks to read this machine's telemetry for you.</p>\n{facts}\n\
         <p>It may, at most:</p>\n<ul>\n{scopes}</ul>\n\
         <p>It can change nothing. It works on one task, which you choose:</p>\n\
         <form method=\"post\" action=\"/consent\">\n{hidden}\n\
         <input type=\"hidden\" name=\"subject\" value=\"{subject_value}\">\n<fieldset>\n<legend>Task</legend>\n{tasks}</fieldset>\n\
         <button type=\"submit\" name=\"decision\" value=\"allow\">Allow</button>\n\
         <button type=\"submit\" name=\"decision\" value=\"deny\">Deny</button>\n</form>",
        subject = shown(consent.subject),
        subject_value = escaped(consent.subject),
        client = shown(consent.client.name),
        facts = consent.client.facts(form.redirect_uri),
        hidden = form.hidden(),
    );
    page(
        StatusCode::OK,
        "Glasshouse: allow?",
        &body,
        form_target(form.redirect_uri).as_deref(),
    )
}

/// Says what went wrong, to a person who did not cause it.
pub(crate) fn trouble(status: StatusCode, what: &str) -> Response {
    let body = format!(
        "<p class=\"warn\" role=\"alert\">{}</p>\n<p>Go back to your client and start again.</p>",
        shown(what)
    );
    page(status, "Glasshouse: that did not work", &body, None)
}

fn task_choice(task: &TaskDescription, consent: &Consent<'_>) -> String {
    let checked = if task.name == consent.chosen {
        " checked"
    } else {
        ""
    };
    let asked = if consent.asked.contains(&task.name) {
        " (asked for)"
    } else {
        ""
    };
    format!(
        "<label><input type=\"radio\" name=\"task\" value=\"{value}\" required{checked}> <strong>{name}</strong>{asked}: {summary}</label>\n",
        value = escaped(&task.name),
        name = shown(&task.name),
        summary = shown(&task.summary),
    )
}

fn scope_in_words(scope: &str) -> String {
    match scope {
        "telemetry:read" => "read measurements: load, memory, disks, network, temperatures, power, and how well they are collected".to_owned(),
        "inventory:read" => "read the list of parts, firmware, drivers and kernel".to_owned(),
        other => format!("use the scope <code>{}</code>", shown(other)),
    }
}

/// The redirect's target as a source of a content security policy. IPv6 literals have no spelling there; the scheme
/// must do for them.
fn form_target(redirect_uri: &str) -> Option<String> {
    let url = Url::parse(redirect_uri).ok()?;
    match url.host_str() {
        Some(host) if !host.starts_with('[') => Some(url.origin().ascii_serialization()),
        _ => Some(format!("{}:", url.scheme())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_may_lead_to_the_client_and_nowhere_else() {
        for (uri, expected) in [
            (
                "http://127.0.0.1:4711/callback?x=1",
                "http://127.0.0.1:4711",
            ),
            ("http://localhost:4711/callback", "http://localhost:4711"),
            ("http://[::1]:4711/callback", "http:"),
            ("https://app.example/x;script-src *", "https://app.example"),
        ] {
            assert_eq!(form_target(uri).as_deref(), Some(expected));
        }
    }
}
