use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientCertVerifierBuilder, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::error::ServeError;

/// Where the certificate lies. All files are PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, the server's own certificate first.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// What is made of clients' certificates.
    pub clients: ClientCertificates,
}

/// What a listener makes of clients' certificates. The files hold the authorities that sign them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ClientCertificates {
    /// Nothing: none is asked for.
    #[default]
    Ignored,
    /// A client without a certificate of these authorities is not served.
    Demanded(PathBuf),
    /// A client may have one, and on a listener for pages one is as good as a token.
    Welcome(PathBuf),
}

/// The current TLS configuration. Reloading swaps the whole of it; open connections keep what they began with.
pub(crate) struct TlsKeeper {
    files: TlsFiles,
    current: ArcSwap<ServerConfig>,
}

impl fmt::Debug for TlsKeeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsKeeper")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

impl TlsKeeper {
    pub(crate) fn load(files: TlsFiles) -> Result<Self, ServeError> {
        let current = ArcSwap::from_pointee(load_config(&files)?);
        Ok(Self { files, current })
    }

    /// Reads the files again. On an error the old configuration stays.
    pub(crate) fn reload(&self) -> Result<(), ServeError> {
        self.current.store(Arc::new(load_config(&self.files)?));
        Ok(())
    }

    /// Whether a client's certificate alone lets it in.
    pub(crate) const fn certificates_admit(&self) -> bool {
        matches!(self.files.clients, ClientCertificates::Welcome(_))
    }

    /// Whether clients are asked for certificates.
    pub(crate) const fn asks_for_certificates(&self) -> bool {
        !matches!(self.files.clients, ClientCertificates::Ignored)
    }

    /// For one connection.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current.load_full())
    }
}

/// The most bytes of a PEM file: a chain is a few KiB, a bundle of every public authority about 250.
const PEM_BYTES: u64 = 1024 * 1024;

fn load_config(files: &TlsFiles) -> Result<ServerConfig, ServeError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let chain = read_certificates(&files.certificate)?;
    let key = read_key(&files.key)?;
    let tls_error = |source| ServeError::Tls {
        certificate: files.certificate.clone(),
        key: files.key.clone(),
        source,
    };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(tls_error)?;
    let builder = match &files.clients {
        ClientCertificates::Ignored => builder.with_no_client_auth(),
        ClientCertificates::Demanded(path) => {
            let verifier = client_verifier(path, provider)?;
            builder.with_client_cert_verifier(verifier.build().map_err(refused(path))?)
        }
        ClientCertificates::Welcome(path) => {
            let verifier = client_verifier(path, provider)?.allow_unauthenticated();
            builder.with_client_cert_verifier(verifier.build().map_err(refused(path))?)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(tls_error)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn client_verifier(
    path: &Path,
    provider: Arc<CryptoProvider>,
) -> Result<ClientCertVerifierBuilder, ServeError> {
    let mut roots = RootCertStore::empty();
    for certificate in read_certificates(path)? {
        roots.add(certificate).map_err(refused(path))?;
    }
    let roots = Arc::new(roots);
    Ok(WebPkiClientVerifier::builder_with_provider(roots, provider))
}

fn refused<E>(path: &Path) -> impl Fn(E) -> ServeError
where
    E: std::error::Error + Send + Sync + 'static,
{
    let path = path.to_owned();
    move |source| ServeError::ClientAuthorities {
        path: path.clone(),
        source: Box::new(source),
    }
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ServeError> {
    let pem = read_bounded(path)?;
    let expected = "certificate";
    let certificates = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| pem_error(path, expected, &error))?;
    if certificates.is_empty() {
        return Err(pem_error(path, expected, &"no `BEGIN CERTIFICATE` in it"));
    }
    Ok(certificates)
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, ServeError> {
    PrivateKeyDer::from_pem_slice(&read_bounded(path)?)
        .map_err(|error| pem_error(path, "private key", &error))
}

fn pem_error(path: &Path, expected: &'static str, detail: &dyn fmt::Display) -> ServeError {
    ServeError::Pem {
        path: path.to_owned(),
        expected,
        detail: detail.to_string(),
    }
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, ServeError> {
    let failed = |source| ServeError::ReadFile {
        path: path.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    let read = File::open(path)
        .and_then(|file| file.take(PEM_BYTES + 1).read_to_end(&mut bytes))
        .map_err(failed)?;
    if read as u64 > PEM_BYTES {
        return Err(failed(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("larger than {PEM_BYTES} bytes"),
        )));
    }
    Ok(bytes)
}
