use std::net::TcpListener;
use std::process::Command;

use glasshouse_sim::{IdentityProvider, RESOURCE_SERVER_ID, RESOURCE_SERVER_SECRET};

use super::folder::Folder;
use super::mcp::{Face, Revision};
use super::process::{GLASSHOUSE, Running};
use super::{eventually, http_client};

/// A user without rights on every Linux.
const NOBODY: u32 = 65534;

/// `glasshouse serve` alone, with an issuer that signs whatever a test asks for.
#[derive(Debug)]
pub(crate) struct Serve {
    pub(crate) issuer: IdentityProvider,
    pub(crate) running: Running,
    pub(crate) face: Face,
    _folder: Folder,
}

impl Serve {
    pub(crate) async fn start() -> Self {
        let folder = Folder::new();
        let issuer = IdentityProvider::start().unwrap();
        // free when we looked; whoever takes it in between makes the start fail loudly
        let listen = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let secret = folder.write_secret("secret", RESOURCE_SERVER_SECRET);
        std::fs::create_dir_all(folder.join("state/audit")).unwrap();
        let config = format!(
            "state_dir = {state:?}\n\
             [serve]\nlisten = \"{listen}\"\n\
             [serve.issuers.test]\nissuer = \"{issuer}\"\n\
             [serve.issuers.test.introspection]\n\
             client_id = \"{RESOURCE_SERVER_ID}\"\nclient_secret_file = {secret:?}\n",
            state = folder.join("state"),
            issuer = issuer.issuer(),
        );
        let config = folder.write("glasshouse.toml", &config);
        let mut command = Command::new(GLASSHOUSE);
        command.arg("serve").arg("--config").arg(config);
        if rustix::process::geteuid().is_root() {
            // the face does not run as root
            for path in ["state", "state/audit"] {
                std::os::unix::fs::chown(folder.join(path), Some(NOBODY), Some(NOBODY)).unwrap();
            }
            std::os::unix::fs::chown(&secret, Some(NOBODY), Some(NOBODY)).unwrap();
            command.args(["--run-as", &format!("{NOBODY}:{NOBODY}")]);
        }
        let running = Running::start(&mut command);
        let mut serve = Self {
            issuer,
            running,
            face: Face::new(&format!("http://{listen}/mcp")),
            _folder: folder,
        };
        let metadata = format!("http://{listen}/.well-known/oauth-protected-resource/mcp");
        eventually("serve to listen", async || {
            assert!(serve.running.is_running(), "{}", serve.running.log());
            http_client().get(&metadata).send().await.ok()
        })
        .await;
        serve
    }

    /// The status of a `tools/list` with a token, and the challenge.
    pub(crate) async fn status(&self, token: Option<&str>) -> (u16, Option<String>) {
        let answer = self
            .face
            .ask(
                token,
                Revision::Stateless,
                "tools/list",
                serde_json::json!({}),
            )
            .await;
        (answer.status, answer.challenge)
    }
}
