//! Whose certificates are believed when the keys are fetched.

use std::path::Path;
use std::sync::Arc;

use onboard_runtime::Problems;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

const SETTING: &str = "JWKS_CA_FILE";

/// TLS with the CAs of this file, or with those of the operating system. Without TLS
/// nobody is believed.
pub(super) fn config(
    secure: bool,
    file: Option<&Path>,
    problems: &mut Problems,
) -> Option<ClientConfig> {
    let roots = match (secure, file) {
        (true, Some(file)) => of_file(file).map_err(|why| (SETTING, why)),
        (true, None) => of_the_system().map_err(|why| ("JWKS_URL", why)),
        (false, None) => Ok(RootCertStore::empty()),
        (false, Some(_)) => Err((SETTING, "is of no use without https:// in JWKS_URL".to_owned())),
    };
    let roots = roots.map_err(|(setting, why)| problems.push(setting, why)).ok()?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider);
    let versions = versions.with_safe_default_protocol_versions();
    let versions = versions.map_err(|error| problems.push("JWKS_URL", error)).ok()?;
    Some(versions.with_root_certificates(roots).with_no_client_auth())
}

fn of_file(file: &Path) -> Result<RootCertStore, String> {
    let said = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let bytes = std::fs::read(file).map_err(|error| said(&error))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&bytes) {
        let certificate = certificate.map_err(|error| said(&error))?;
        roots.add(certificate).map_err(|error| said(&error))?;
    }
    if roots.is_empty() { Err(said(&"holds no certificate in PEM")) } else { Ok(roots) }
}

/// A certificate of the system that cannot be read is left out.
fn of_the_system() -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(format!("this machine has no certificate of a CA; name one in {SETTING}"));
    }
    Ok(roots)
}
