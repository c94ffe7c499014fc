//! Whose certificate is believed: the system's authorities, one file of them, one fingerprint, or, never silently, any.

use std::sync::Arc;

use glasshouse_core::failure::CollectError;
use glasshouse_sysfs::{SysRoot, malformed};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use sha2::{Digest, Sha256};

use super::settings::Trust;

/// The TLS settings for a way of trusting; `None` leaves it to the HTTP client, which asks the system.
///
/// # Errors
/// Where the file of authorities cannot be read or holds none, or TLS cannot be set up.
pub(crate) fn config(trust: &Trust, root: &SysRoot) -> Result<Option<ClientConfig>, CollectError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = || {
        ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| {
                malformed(
                    "tls",
                    None,
                    "settings that the library takes",
                    &error.to_string(),
                )
            })
    };
    let picky = match trust {
        Trust::System => return Ok(None),
        Trust::Authority(file) => {
            let authorities = authorities(file, root)?;
            let config = builder()?.with_root_certificates(authorities);
            return Ok(Some(config.with_no_client_auth()));
        }
        Trust::Fingerprint(print) => Picky {
            print: Some(*print),
            provider: Arc::clone(&provider),
        },
        Trust::Anybody => Picky {
            print: None,
            provider: Arc::clone(&provider),
        },
    };
    let config = builder()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(picky));
    Ok(Some(config.with_no_client_auth()))
}

fn authorities(file: &str, root: &SysRoot) -> Result<RootCertStore, CollectError> {
    let relative = file.trim_start_matches('/');
    let text = root.read_text(relative)?;
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(text.as_bytes()) {
        let certificate = certificate
            // never what it found: it may be another file, with a key or a password in it
            .map_err(|_| malformed(relative, None, "certificates (PEM)", "something else"))?;
        store.add(certificate).map_err(|error| {
            malformed(
                relative,
                None,
                "certificates of authorities",
                &error.to_string(),
            )
        })?;
    }
    if store.is_empty() {
        return Err(malformed(relative, None, "certificates (PEM)", "none"));
    }
    Ok(store)
}

/// Believes the one certificate with a fingerprint, or any where there is none. The handshake's signature is checked
/// all the same: who shows a certificate must hold its key.
#[derive(Debug)]
struct Picky {
    print: Option<[u8; 32]>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Picky {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let found: [u8; 32] = Sha256::digest(end_entity.as_ref()).into();
        match self.print {
            Some(print) if print != found => Err(Error::InvalidCertificate(
                CertificateError::ApplicationVerificationFailure,
            )),
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rustls::{ClientConnection, ServerConfig, ServerConnection};
    use rustls_pki_types::PrivateKeyDer;

    use super::*;

    /// A handshake between a BMC with a certificate that signed itself and a client that trusts so.
    fn handshake(
        trust: &Trust,
        root: &Path,
        certificate: &CertificateDer<'static>,
        key: &[u8],
    ) -> Result<(), Error> {
        let key = PrivateKeyDer::try_from(key.to_vec()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)?;
        let mut server = ServerConnection::new(Arc::new(server))?;
        let client = config(trust, &SysRoot::new(root)).unwrap().unwrap();
        let name = ServerName::try_from("bmc").unwrap();
        let mut client = ClientConnection::new(Arc::new(client), name)?;
        while client.is_handshaking() || server.is_handshaking() {
            let mut wire = Vec::new();
            client.write_tls(&mut wire).unwrap();
            server.read_tls(&mut &*wire).unwrap();
            server.process_new_packets()?;
            wire.clear();
            server.write_tls(&mut wire).unwrap();
            client.read_tls(&mut &*wire).unwrap();
            client.process_new_packets()?;
        }
        Ok(())
    }

    #[test]
    fn only_the_pinned_certificate_is_believed() {
        let made = rcgen::generate_simple_self_signed(vec!["bmc".to_owned()]).unwrap();
        let certificate = made.cert.der().clone();
        let key = made.signing_key.serialize_der();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), made.cert.pem()).unwrap();
        let other = rcgen::generate_simple_self_signed(vec!["bmc".to_owned()]).unwrap();
        std::fs::write(folder.path().join("other.pem"), other.cert.pem()).unwrap();
        std::fs::write(folder.path().join("none.pem"), "nothing").unwrap();

        let shake = |trust: &Trust| handshake(trust, folder.path(), &certificate, &key);
        let print: [u8; 32] = Sha256::digest(&certificate).into();
        assert!(shake(&Trust::Fingerprint(print)).is_ok());
        assert!(shake(&Trust::Fingerprint([7; 32])).is_err());
        assert!(shake(&Trust::Anybody).is_ok());
        assert!(shake(&Trust::Authority("/ca.pem".to_owned())).is_ok());
        assert!(shake(&Trust::Authority("/other.pem".to_owned())).is_err());
        let root = SysRoot::new(folder.path());
        let odd = "-----BEGIN CERTIFICATE-----\nhush!\n-----END CERTIFICATE-----\n";
        std::fs::write(folder.path().join("odd.pem"), odd).unwrap();
        std::fs::write(folder.path().join("open.pem"), "-----BEGIN hush").unwrap();
        std::fs::write(folder.path().join("none.pem"), "hush").unwrap();
        for file in ["/none.pem", "/missing.pem", "/odd.pem", "/open.pem"] {
            let error = config(&Trust::Authority(file.to_owned()), &root).unwrap_err();
            assert!(!error.to_string().contains("hush"), "{error}");
        }
        assert!(config(&Trust::System, &root).unwrap().is_none());
    }
}
