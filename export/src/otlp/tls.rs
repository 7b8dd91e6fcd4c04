//! TLS to a collector, by rustls: who it is, is known by the certificates of the system or of a
//! file.

use super::endpoint::Endpoint;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

/// A stream with TLS.
pub(super) type Stream = StreamOwned<ClientConnection, OneByOne>;

/// Writes one buffer at a time. The standard library sends one so that a peer who has hung up is an error, but several with `writev`, which then
/// raises SIGPIPE and ends a program that has not turned it off; rustls writes several.
pub(super) struct OneByOne(TcpStream);

impl Read for OneByOne {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }
}

impl Write for OneByOne {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.0.write(from)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Where distributions keep the certificates that their systems trust, in one file.
const SYSTEM: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// TLS over `stream`. Names and files are checked here; the handshake is made with the first byte.
pub(super) fn over(stream: TcpStream, endpoint: &Endpoint) -> io::Result<Stream> {
    let roots = match &endpoint.access.ca {
        Some(file) => roots(file)?,
        None => {
            let file = SYSTEM.iter().map(Path::new).find(|path| path.exists());
            roots(file.ok_or_else(|| io::Error::other("this system has no file of certificates that it trusts"))?)?
        }
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots);
    let config = match &endpoint.access.identity {
        None => config.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates(certificate)?;
            let key_der = PrivateKeyDer::from_pem_file(key).map_err(|e| wrong(key, &format!("holds no key: {e}")))?;
            config.with_client_auth_cert(chain, key_der).map_err(|e| wrong(certificate, &e.to_string()))?
        }
    };
    let name = ServerName::try_from(endpoint.bare_host().to_owned()).map_err(io::Error::other)?;
    Ok(StreamOwned::new(ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?, OneByOne(stream)))
}

fn wrong(file: &Path, what: &str) -> io::Error {
    io::Error::other(format!("{} {what}", file.display()))
}

fn certificates(file: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(file).map_err(|e| wrong(file, &format!("cannot be read: {e}")))?;
    let all = read.collect::<Result<Vec<_>, _>>().map_err(|e| wrong(file, &format!("is no PEM: {e}")))?;
    if all.is_empty() { Err(wrong(file, "holds no certificate")) } else { Ok(all) }
}

/// What a file trusts. Systems have certificates that are no good any more: those are left out, but not all of them may be.
fn roots(file: &Path) -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(certificates(file)?);
    if added == 0 { Err(wrong(file, "holds no certificate that one can trust")) } else { Ok(roots) }
}
