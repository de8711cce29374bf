//! What a sandbox must not have: the files of credentials, which are named and not read, and the way through a proxy.

use super::Indexes;
use crate::Host;
use crate::address::Address;

const FILES: [&str; 8] = [
    ".cargo/credentials",
    ".cargo/credentials.toml",
    ".config/git/credentials",
    ".gem/credentials",
    ".git-credentials",
    ".local/share/gem/credentials",
    ".netrc",
    ".pypirc",
];

const PROXIES: [&str; 6] = ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "all_proxy", "http_proxy", "https_proxy"];

pub(super) fn find(host: &Host, found: &mut Indexes) {
    for path in FILES.iter().map(|name| host.home().join(name)) {
        if host.exists(&path) {
            found.withhold(&path.display().to_string());
        }
    }
    for name in ["NETRC", "GIT_ASKPASS"] {
        if host.variable(name).is_some() {
            found.withhold(name);
        }
    }
    for name in PROXIES {
        if let Some(address) = host.variable(name) {
            proxy(found, address, name);
        }
    }
}

/// Says that the host reaches packages by a proxy. Those inside cannot: their way is the gateway, which would have to.
pub(super) fn proxy(found: &mut Indexes, address: &str, origin: &str) {
    let written = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
    let place = match Address::parse(&written) {
        Address::Remote(remote) => {
            if remote.had_secret {
                found.withhold(origin);
            }
            remote.text
        }
        _ => {
            found.withhold(origin);
            "an address that could not be understood".to_owned()
        }
    };
    found.note(format!("{origin}: the host uses the proxy at {place}; sandboxes do not, so the gateway would have to"));
}
