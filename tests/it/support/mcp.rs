use serde_json::{Value, json};

use super::http_client;

/// The two revisions of MCP that are served.
pub(crate) const REVISIONS: [Revision; 2] = [Revision::Stateless, Revision::Legacy];

/// A revision of MCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Revision {
    /// 2026-07-28.
    Stateless,
    /// 2025-11-25.
    Legacy,
}

impl Revision {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Stateless => "2026-07-28",
            Self::Legacy => "2025-11-25",
        }
    }
}

/// A client of `/mcp` that can be made to ask wrongly.
#[derive(Clone, Debug)]
pub(crate) struct Face {
    pub(crate) url: String,
    client: reqwest::Client,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) challenge: Option<String>,
    pub(crate) text: String,
}

impl Answer {
    /// # Panics
    /// Where it is not JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    /// The result of the call.
    ///
    /// # Panics
    /// Where there is none.
    pub(crate) fn result(&self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        let mut json = self.json();
        assert!(json["result"].is_object(), "no result: {self:?}");
        json["result"].take()
    }
}

impl Face {
    pub(crate) fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            client: http_client(),
        }
    }

    /// A POST with the headers that a request needs, still to be changed.
    pub(crate) fn post(
        &self,
        token: Option<&str>,
        revision: Revision,
        method: &str,
        name: Option<&str>,
    ) -> reqwest::RequestBuilder {
        let mut request = self
            .client
            .post(&self.url)
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", revision.name());
        if revision == Revision::Stateless {
            request = request.header("mcp-method", method);
            if let Some(name) = name {
                request = request.header("mcp-name", name);
            }
        }
        match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// One well-formed request.
    pub(crate) async fn ask(
        &self,
        token: Option<&str>,
        revision: Revision,
        method: &str,
        params: Value,
    ) -> Answer {
        let name = params["name"].as_str().map(str::to_owned);
        let request = self.post(token, revision, method, name.as_deref());
        send(request.body(body(revision, method, params).to_string())).await
    }

    pub(crate) async fn call(
        &self,
        token: Option<&str>,
        revision: Revision,
        tool: &str,
        arguments: Value,
    ) -> Answer {
        let params = json!({"name": tool, "arguments": arguments});
        self.ask(token, revision, "tools/call", params).await
    }

    /// The names of the tools that this token is shown, sorted.
    pub(crate) async fn tools(&self, token: &str, revision: Revision) -> Vec<String> {
        let answer = self
            .ask(Some(token), revision, "tools/list", json!({}))
            .await;
        let mut names: Vec<String> = answer.result()["tools"]
            .as_array()
            .unwrap()
            .iter()
            .map(|tool| tool["name"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    }
}

/// The body of a request; the newer revision wants its metadata in each.
pub(crate) fn body(revision: Revision, method: &str, mut params: Value) -> Value {
    if revision == Revision::Stateless {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": revision.name(),
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "it", "version": "1"},
        });
    }
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
}

/// # Panics
/// Where no answer comes.
pub(crate) async fn send(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let challenge = response
        .headers()
        .get("www-authenticate")
        .map(|value| value.to_str().unwrap().to_owned());
    Answer {
        status: response.status().as_u16(),
        challenge,
        text: response.text().await.unwrap(),
    }
}

/// A parameter of a challenge: `scope` of `Bearer scope="a b"`.
pub(crate) fn challenge_parameter(challenge: &str, name: &str) -> Option<String> {
    let (_, rest) = challenge.split_once(&format!("{name}=\""))?;
    Some(rest.split_once('"')?.0.to_owned())
}
