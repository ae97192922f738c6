//! Certificates and signing requests in DER, as agents send them.
#![no_main]
use libfuzzer_sys::fuzz_target;
use tenfold_protocols::certificate::validity;

fuzz_target!(|bytes: &[u8]| {
    let _ = validity(bytes);
    let _ = rcgen::CertificateSigningRequestParams::from_der(&bytes.into());
});
