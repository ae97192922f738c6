//! The authorities that a look trusts: those of this machine, and those in a file that a check names.

use std::sync::{Arc, OnceLock};

use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, pem::PemObject};

/// Largest file of certificates.
const CA_BYTES_MAX: u64 = 1 << 20;

/// The authorities of this machine, read at the first look.
#[derive(Default)]
pub struct Roots(OnceLock<Arc<RootCertStore>>);

impl Roots {
    fn of_machine(&self) -> Arc<RootCertStore> {
        let read = || {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            Arc::new(roots)
        };
        self.0.get_or_init(read).clone()
    }

    /// Those of this machine and, with a file, those in it.
    pub async fn with(&self, file: Option<&str>) -> Result<Arc<RootCertStore>, String> {
        let machine = self.of_machine();
        let Some(file) = file else { return Ok(machine) };
        let mut roots = (*machine).clone();
        add(&mut roots, file).await?;
        Ok(Arc::new(roots))
    }
}

/// Those in the file and no others.
pub async fn only(file: &str) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    add(&mut roots, file).await?;
    Ok(roots)
}

async fn add(roots: &mut RootCertStore, file: &str) -> Result<(), String> {
    let wrong = |why: String| format!("{file}: {why}");
    let text = text(file).await?;
    let before = roots.len();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate = certificate.map_err(|e| wrong(e.to_string()))?;
        roots.add(certificate).map_err(|e| wrong(e.to_string()))?;
    }
    if roots.len() == before { Err(wrong("it holds no certificate".to_owned())) } else { Ok(()) }
}

/// The text of a plain file: a device or a pipe would never end.
pub async fn text(file: &str) -> Result<Vec<u8>, String> {
    let file = file.to_owned();
    let read = move || {
        let wrong = |why: String| format!("{file}: {why}");
        let about = std::fs::metadata(&file).map_err(|e| wrong(e.to_string()))?;
        if !about.is_file() || about.len() > CA_BYTES_MAX {
            return Err(wrong(format!("it is no file of at most {CA_BYTES_MAX} bytes")));
        }
        std::fs::read(&file).map_err(|e| wrong(e.to_string()))
    };
    tokio::task::spawn_blocking(read).await.map_err(|e| e.to_string())?
}
