//! A static site over TLS, with a certificate authority of its own: what a private issuer is published on.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What the site shows at a path that does not begin with a slash.
type Source = Arc<dyn Fn(&str) -> Option<Vec<u8>> + Send + Sync>;

/// Serves a folder, or something else, until the test ends.
pub(crate) struct Site {
    pub(crate) url: String,
    pub(crate) folder: PathBuf,
    pub(crate) ca_file: PathBuf,
}

impl Site {
    pub(crate) fn start(folder: &Path) -> Self {
        let served = folder.join("site");
        std::fs::create_dir_all(&served).unwrap();
        Self::over(folder, move |path| std::fs::read(served.join(path)).ok())
    }

    /// Serves what `source` has; `folder` holds the authority's certificate.
    pub(crate) fn over(folder: &Path, source: impl Fn(&str) -> Option<Vec<u8>> + Send + Sync + 'static) -> Self {
        let source: Source = Arc::new(source);
        let ca_key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::new(Vec::<String>::new()).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.distinguished_name.push(DnType::CommonName, "the site's CA");
        let ca_certificate = ca.self_signed(&ca_key).unwrap();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let leaf = leaf.signed_by(&key, &Issuer::from_params(&ca, &ca_key)).unwrap();
        let chain = vec![leaf.der().clone(), ca_certificate.der().clone()];
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap());

        let (ca_file, served) = (folder.join("site-ca.pem"), folder.join("site"));
        std::fs::write(&ca_file, ca_certificate.pem()).unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (config, source) = (config.clone(), source.clone());
                std::thread::spawn(move || {
                    let stream = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
                    // A caller that only looks at the certificate hangs up.
                    let _ = answer(stream, &source);
                });
            }
        });
        Self { url, folder: served, ca_file }
    }

    /// SHA-1 of the last certificate that it serves, as IAM asks for it.
    pub(crate) fn thumbprint(&self) -> String {
        let certificate = CertificateDer::from_pem_file(&self.ca_file).unwrap();
        let sum = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &certificate);
        sum.as_ref().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    }
}

fn answer(mut stream: StreamOwned<ServerConnection, std::net::TcpStream>, source: &Source) -> std::io::Result<()> {
    let mut lines = BufReader::new(&mut stream).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    for line in lines.by_ref() {
        if line?.is_empty() {
            break;
        }
    }
    drop(lines);
    let path = request.split(' ').nth(1).unwrap_or("/").trim_start_matches('/');
    let (status, body) = match source(path) {
        Some(body) => ("200 OK", body),
        None => ("404 Not Found", b"nothing here".to_vec()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(&body)?;
    stream.conn.send_close_notify();
    stream.flush()
}
