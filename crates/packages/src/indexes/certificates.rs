//! The authorities that the host trusts, where it was told so by variables.

use std::path::{Path, PathBuf};

use super::Indexes;
use crate::Host;
use crate::address::is_seen_inside;

/// pip, npm and cargo name theirs in files too.
const VARIABLES: [&str; 8] = [
    "CARGO_HTTP_CAINFO",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "NIX_SSL_CERT_FILE",
    "NODE_EXTRA_CA_CERTS",
    "PIP_CERT",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_FILE",
];

/// Every sandbox on the host's own system has these from it.
const OF_THE_SYSTEM: [&str; 4] =
    ["/etc/ssl/certs", "/etc/pki/tls/certs", "/etc/pki/ca-trust/extracted", "/etc/pki/tls/cert.pem"];

/// Where bundles from other places of the host are inside.
const PLACE: &str = "/etc/ssl/host";

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

pub(super) fn find(host: &Host, found: &mut Indexes) {
    for name in VARIABLES {
        if let Some(path) = host.variable(name)
            && let Some(inside) = bundle(host, found, Path::new(path), name)
        {
            found.set(name, inside);
        }
    }
    if let Some(directory) = host.variable("SSL_CERT_DIR") {
        if directory.split(':').all(|part| is_seen(Path::new(part))) {
            found.set("SSL_CERT_DIR", directory);
        } else {
            found.note("SSL_CERT_DIR: left out, for sandboxes do not see that directory");
        }
    }
}

pub(super) fn is_of_the_system(path: &Path) -> bool {
    OF_THE_SYSTEM.iter().any(|place| path.starts_with(place))
}

/// Where those inside find a bundle of the host's.
pub(super) fn bundle(host: &Host, found: &mut Indexes, path: &Path, origin: &str) -> Option<String> {
    if is_seen(path) {
        return Some(path.display().to_string());
    }
    let certificates = certificates(&host.read(path).unwrap_or_default());
    if certificates.is_empty() {
        found.note(format!("{origin}: {} holds no certificates that could be read", path.display()));
        return None;
    }
    // The whole of its path is in the name, so that two bundles of one name stay two.
    let name = path.display().to_string().trim_matches('/').replace(['/', ' '], "-");
    let inside = PathBuf::from(PLACE).join(name);
    let text = inside.display().to_string();
    if !found.settings.files.iter().any(|(known, _)| *known == inside) {
        found.file(inside, certificates);
    }
    Some(text)
}

fn is_seen(path: &Path) -> bool {
    is_seen_inside(path) || is_of_the_system(path)
}

/// A key may stand in the same file, so nothing but certificates is taken.
fn certificates(text: &str) -> String {
    let mut certificates = String::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once(BEGIN) {
        let Some((body, after)) = after.split_once(END) else { break };
        certificates.extend([BEGIN, body, END, "\n"]);
        rest = after;
    }
    certificates
}
