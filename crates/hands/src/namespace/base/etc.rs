//! `/etc`: written here where it says who and where one is, and copied where programs only read settings from it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use hand_protocol::{HOSTNAME, HOSTS, RESOLVER};

use super::copy;

/// Written. Nothing in them tells of the host.
const WRITTEN: [(&str, &str); 8] = [
    ("passwd", "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"),
    ("group", "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n"),
    ("hostname", HOSTNAME),
    ("hosts", HOSTS),
    ("resolv.conf", RESOLVER),
    ("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n"),
    ("shells", "/bin/sh\n/bin/bash\n"),
    // Dropping to a user of its own needs a capability that nobody inside has.
    ("apt/apt.conf.d/90stead", "APT::Sandbox::User \"root\";\n"),
];

/// Copied where the host has them. No name on this list may hold a secret by its purpose; and what is not readable by
/// everybody is not copied even so.
const COPIED: [&str; 36] = [
    "ImageMagick-6",
    "alternatives",
    "bash.bashrc",
    "ca-certificates",
    "ca-certificates.conf",
    "crypto-policies",
    "debian_version",
    "fonts",
    "gai.conf",
    "groff",
    "inputrc",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "locale.alias",
    "locale.conf",
    "localtime",
    "lsb-release",
    "magic",
    "magic.mime",
    "manpath.config",
    "mime.types",
    "nodejs",
    "os-release",
    "perl",
    "pki/ca-trust/extracted",
    "pki/tls/cert.pem",
    "pki/tls/certs",
    "profile",
    "protocols",
    "redhat-release",
    "services",
    "ssl/certs",
    "ssl/openssl.cnf",
    "terminfo",
    "timezone",
];

/// Families of names with a version in them.
const COPIED_BY_PREFIX: [&str; 3] = ["java", "python2", "python3"];

pub(super) fn make(to: &Path) -> io::Result<()> {
    for source in sources() {
        let Ok(name) = source.strip_prefix("/etc") else { continue };
        let here = to.join(name);
        if let Some(parent) = here.parent() {
            fs::create_dir_all(parent)?;
        }
        // Links between the copied parts hold inside as they do outside.
        copy::copy(&source, &here, &source)?;
    }
    for (name, text) in WRITTEN {
        let here = to.join(name);
        if let Some(parent) = here.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(here, text)?;
    }
    Ok(())
}

/// What is copied, as it is called on the host.
pub(super) fn sources() -> Vec<PathBuf> {
    let etc = Path::new("/etc");
    let versioned = fs::read_dir(etc).into_iter().flatten().flatten().map(|entry| entry.file_name()).filter(|name| {
        name.to_str().is_some_and(|name| COPIED_BY_PREFIX.iter().any(|prefix| name.starts_with(prefix)))
    });
    let mut sources: Vec<_> =
        COPIED.iter().map(|name| etc.join(name)).chain(versioned.map(|name| etc.join(name))).collect();
    sources.sort();
    sources
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_wins_and_says_nothing_of_the_host() {
        let directory = tempfile::tempdir().unwrap();
        make(directory.path()).unwrap();
        for (name, text) in WRITTEN {
            assert_eq!(fs::read_to_string(directory.path().join(name)).unwrap(), text);
        }
        assert!(!directory.path().join("machine-id").exists());
    }

    #[test]
    fn a_copied_name_is_below_etc_and_no_place_for_secrets() {
        for source in sources() {
            let name = source.strip_prefix("/etc").unwrap().to_str().unwrap();
            for secret in ["shadow", "sudo", "ssh", "private", "npmrc", "netrc", "krb5"] {
                assert!(!name.contains(secret), "{name}");
            }
        }
    }
}
