//! What is said when everything answers.

use serde_json::json;

use super::configs::{CLIENT_ID, REDIRECT_URIS, Setup, USER};
use super::state::State;
use crate::exit::Failure;
use crate::output::{print, print_json};

/// Says how to connect: to people, or as the one line of JSON that scripts read.
pub(crate) fn ready(setup: &Setup, state: &State, json: bool) -> Result<(), Failure> {
    if json {
        return print_json(&json!({
            "mcp": setup.mcp,
            "issuer": setup.issuer,
            "metrics": setup.metrics,
            "login": { "user": USER, "password": setup.password },
            "clients": [{ "client_id": CLIENT_ID, "redirect_uris": REDIRECT_URIS }],
        }));
    }
    let Setup {
        mcp,
        issuer,
        metrics,
        password,
    } = setup;
    let folder = state.folder().display();
    print(&format!(
        "
Glasshouse is ready.

  MCP endpoint   {mcp}
  sign in as     {USER}  password {password}
  issuer         {issuer}
  metrics        {metrics}
  state          {folder}

Add the endpoint to an AI agent's client as an MCP server over HTTP; it opens the sign-in page in your browser:

  {mcp}

For a client that speaks stdio, its command is:

  glasshouse mcp --url {mcp}

Or look for yourself:

  glasshouse query system.memory.usage --state-dir {folder}
  glasshouse audit verify {folder}

Ctrl-C stops it.
"
    ))
}
