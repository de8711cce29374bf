use super::*;
use crate::host::fake::Fake;

fn find(fake: &Fake) -> Indexes {
    Indexes::find(&fake.host())
}

fn text<'a>(found: &'a Indexes, path: &str) -> &'a str {
    let file = found.settings.files.iter().find(|(place, _)| place == Path::new(path));
    file.map_or("", |(_, text)| text.as_str())
}

fn variable<'a>(found: &'a Indexes, name: &str) -> Option<&'a str> {
    found.settings.environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

fn hosts(found: &Indexes) -> Vec<&str> {
    found.hosts.iter().map(String::as_str).collect()
}

/// Every place of credentials that is known, with a secret in it.
#[test]
fn no_secret_of_the_host_is_in_anything_that_is_found() {
    let fake = Fake::new()
        .file("/etc/pip.conf", "[global]\nindex-url = https://me:hush@pip.example.com/simple\n")
        .file("/srv/me/.npmrc", "registry=https://hush@npm.example.com/\n//npm.example.com/:_authToken=hush\n")
        .file(
            "/srv/me/.cargo/config.toml",
            "[registries.own]\nindex = \"sparse+https://a:hush@c.example.com/\"\ntoken = \"hush\"\n",
        )
        .file("/srv/me/.cargo/credentials.toml", "[registry]\ntoken = \"hush\"\n")
        .file("/srv/me/.gemrc", ":sources:\n- https://me:hush@gem.example.com/\n")
        .file("/etc/apt/sources.list", "deb https://me:hush@deb.example.com/debian stable main\n")
        .file("/etc/apt/auth.conf", "machine deb.example.com login me password hush\n")
        .file("/srv/me/.netrc", "machine x.example.com password hush\n")
        .variable("https_proxy", "http://me:hush@proxy.example.com:3128")
        .variable("PIP_EXTRA_INDEX_URL", "https://me:hu/sh@other.example.com/ https://t:hush@more.example.com/")
        .variable("CARGO_REGISTRIES_OWN_TOKEN", "hush")
        .answer("go env", r#"{"GOPROXY": "https://me:hush@go.example.com,direct"}"#)
        .answer(
            "git config",
            "file:/srv/me/.gitconfig\0url.https://hush@git.example.com/.insteadof\nhttps://code.example.com/\0\
             file:/etc/gitconfig\0http.extraheader\nAuthorization: hush\0",
        );
    let found = find(&fake);
    let all = format!("{found:?}");
    assert!(!all.contains("hush") && !all.contains("sh@"), "{all}");
    let withheld: Vec<_> = found.withheld.iter().map(String::as_str).collect();
    assert_eq!(
        withheld,
        [
            "/etc/apt/auth.conf",
            "/etc/apt/sources.list",
            "/etc/gitconfig",
            "/etc/pip.conf",
            "/srv/me/.cargo/config.toml",
            "/srv/me/.cargo/credentials.toml",
            "/srv/me/.gemrc",
            "/srv/me/.gitconfig",
            "/srv/me/.netrc",
            "/srv/me/.npmrc",
            "CARGO_REGISTRIES_OWN_TOKEN",
            "GOPROXY",
            "PIP_EXTRA_INDEX_URL",
            "https_proxy",
        ]
    );
    for host in ["pip", "npm", "c", "gem", "deb", "go", "git", "more"] {
        assert!(found.hosts.contains(&format!("{host}.example.com")), "{host}: {:?}", found.hosts);
    }
    assert!(!found.hosts.contains("proxy.example.com"));
}

#[test]
fn pip_reads_its_places_in_its_own_order() {
    let fake = Fake::new()
        .file("/etc/pip.conf", "[global]\nindex-url = https://first.example.com/simple\ntimeout = 9\n")
        .file("/srv/me/.config/pip/pip.conf", "[global]\nindex-url: https://second.example.com/simple\n")
        .variable("PIP_EXTRA_INDEX_URL", "https://a.example.com/ https://b.example.com/")
        .variable("PIP_FIND_LINKS", "/opt/wheels /usr/share/wheels");
    let found = find(&fake);
    assert_eq!(hosts(&found), ["a.example.com", "b.example.com", "second.example.com"]);
    let text = text(&found, "/etc/pip.conf");
    assert!(text.contains("index-url = https://second.example.com/simple\n"), "{text}");
    assert!(text.contains("extra-index-url =\n    https://a.example.com/\n    https://b.example.com/\n"), "{text}");
    assert!(text.contains("find-links = /usr/share/wheels\n") && text.contains("timeout = 9\n"), "{text}");
    assert!(found.notes.iter().any(|note| note.contains("PIP_FIND_LINKS: /opt/wheels is left out")));
}

#[test]
fn an_unconfigured_manager_is_asked_for_its_own_index() {
    let fake = Fake::new()
        .answer("/usr/bin/python3 -c", "/usr\nhttps://pip.example.com/simple\nfiles.example.com\n")
        .answer("npm config", "https://npm.example.com/\n")
        .answer("gem sources", "*** CURRENT SOURCES ***\n\nhttps://example.org/\n")
        .answer("go env", r#"{"GOPROXY": "https://go.example.com,direct", "GOSUMDB": "sum.example.com"}"#)
        .file(
            "/srv/me/.cargo/registry/index/index.example.com-1949cf8c6b5b557f/config.json",
            r#"{"dl": "https://dl.example.com/x"}"#,
        );
    let found = find(&fake);
    assert_eq!(
        hosts(&found),
        [
            "dl.example.com",
            "example.org",
            "files.example.com",
            "go.example.com",
            "index.example.com",
            "index.example.org",
            "npm.example.com",
            "pip.example.com",
            "sum.example.com",
        ]
    );
    assert_eq!(found.notes, Vec::<String>::new());
    assert_eq!(text(&found, "/etc/gemrc"), "---\n:sources:\n- https://example.org/\ngem: --no-document\n");
    assert_eq!(variable(&found, "GOPROXY"), Some("https://go.example.com,direct"));
}

#[test]
fn a_host_without_anything_has_notes_and_no_hosts() {
    let found = find(&Fake::new());
    assert!(found.hosts.is_empty());
    for manager in ["cargo", "gem", "go", "npm", "pip"] {
        let start = format!("{manager}: ");
        assert!(found.notes.iter().any(|note| note.starts_with(&start)), "{manager}: {:?}", found.notes);
    }
}

#[test]
fn scopes_of_npm_go_to_their_registries() {
    let fake = Fake::new()
        .file(
            "/srv/me/.npmrc",
            "@own:registry=https://${NAME}.example.com/\nregistry=https://npm.example.com/\nloglevel=silly\n",
        )
        .variable("NAME", "scope");
    let found = find(&fake);
    assert_eq!(hosts(&found), ["npm.example.com", "scope.example.com"]);
    let text = text(&found, "/etc/npmrc");
    assert!(text.contains("@own:registry=https://scope.example.com/\n") && !text.contains("loglevel"), "{text}");
    assert_eq!(variable(&found, "NPM_CONFIG_GLOBALCONFIG"), Some("/etc/npmrc"));
}

#[test]
fn cargo_keeps_replaced_sources_but_not_those_it_cannot_reach() {
    let fake = Fake::new().file(
        "/srv/me/.cargo/config.toml",
        "[build]\njobs = 3\n[source.public]\nreplace-with = \"mirror\"\n[source.mirror]\n\
         registry = \"sparse+https://mirror.example.com/index/\"\n[source.other]\nreplace-with = \"vendored\"\n\
         [source.vendored]\ndirectory = \"/srv/vendored\"\n",
    );
    let found = find(&fake);
    let table: toml::Table = text(&found, "/.cargo/config.toml").parse().unwrap();
    let expected: toml::Table = "[source.public]\nreplace-with = \"mirror\"\n[source.mirror]\n\
                                 registry = \"sparse+https://mirror.example.com/index/\"\n"
        .parse()
        .unwrap();
    assert_eq!(table, expected);
    assert_eq!(hosts(&found), ["mirror.example.com"]);
}

#[test]
fn go_keeps_the_order_of_its_proxies_and_only_flags_for_fetching() {
    let answer = r#"{"GOPROXY": "https://a.example.com|file:///srv/go,https://b.example.com,off",
        "GOFLAGS": "-mod=mod -o=/x", "GOSUMDB": "sum.example.com+abc https://db.example.com",
        "GOPRIVATE": "git.example.com/own,*.example.net"}"#;
    let found = find(&Fake::new().answer("go env", answer));
    assert_eq!(variable(&found, "GOPROXY"), Some("https://a.example.com|https://b.example.com,off"));
    assert_eq!(variable(&found, "GOFLAGS"), Some("-mod=mod"));
    assert_eq!(variable(&found, "GOSUMDB"), Some("sum.example.com+abc https://db.example.com"));
    assert_eq!(hosts(&found), ["a.example.com", "b.example.com", "db.example.com", "git.example.com"]);
    assert!(found.notes.iter().any(|note| note.starts_with("GOPRIVATE:") && note.contains("*.example.net")));
}

#[test]
fn apt_has_both_formats_their_keys_and_what_the_mirror_needs() {
    let fake = Fake::new()
        .file(
            "/etc/apt/sources.list.d/a.sources",
            "# first\nTypes: deb\nURIs: http://a.example.com/debian\n http://b.example.com/debian\nSuites: stable\n\
             Signed-By: /etc/apt/keyrings/a.gpg\n\nEnabled: no\nTypes: deb\nURIs: http://off.example.com/\nSuites: x\n\
             \n\
             Types: deb\nURIs: file:/srv/debian\nSuites: y\n",
        )
        .file(
            "/etc/apt/sources.list.d/b.list",
            "# deb http://comment.example.com/ x main\n\
             deb [arch=amd64 signed-by=/etc/apt/keyrings/b.asc] http://c.example.com/ s main\n\
             deb cdrom:[Debian]/ stable main\ndeb mirror+file:/etc/apt/mirrors/m.list stable main\n",
        )
        .file("/etc/apt/sources.list.d/c.list.disabled", "deb http://disabled.example.com/ x main\n")
        .file("/etc/apt/mirrors/m.list", "http://m.example.com/debian\tpriority:1\n")
        .file("/etc/apt/keyrings/a.gpg", "key")
        .file("/etc/apt/keyrings/b.asc", "key")
        .answer(
            "apt-config dump",
            "Acquire::Check-Date \"false\";\nAcquire::Languages:: \"none\";\n\
             Acquire::http::Proxy \"http://p.example.com:3128\";\n",
        );
    let found = find(&fake);
    assert_eq!(hosts(&found), ["a.example.com", "b.example.com", "c.example.com", "m.example.com"]);
    assert_eq!(
        text(&found, "/etc/apt/sources.list.d/a.sources"),
        "Types: deb\nURIs: http://a.example.com/debian http://b.example.com/debian\nSuites: stable\n\
         Signed-By: /etc/apt/keyrings/a.gpg\n\n"
    );
    assert_eq!(
        text(&found, "/etc/apt/sources.list.d/b.list"),
        "deb [arch=amd64 signed-by=/etc/apt/keyrings/b.asc] http://c.example.com/ s main\n\
         deb mirror+file:/etc/apt/mirrors/m.list stable main\n"
    );
    assert_eq!(text(&found, "/etc/apt/mirrors/m.list"), "http://m.example.com/debian\tpriority:1\n");
    assert_eq!(
        text(&found, "/etc/apt/apt.conf.d/91host"),
        "Acquire::Check-Date \"false\";\nAcquire::Languages:: \"none\";\n"
    );
    let keys: Vec<_> = found.settings.keys.iter().map(|path| path.display().to_string()).collect();
    assert_eq!(keys, ["/etc/apt/keyrings/a.gpg", "/etc/apt/keyrings/b.asc"]);
    assert!(found.notes.iter().any(|note| note.contains("proxy at http://p.example.com:3128")));

    let elsewhere = found.settings.for_another_system();
    assert!(elsewhere.files.iter().all(|(path, _)| !path.starts_with("/etc/apt")) && elsewhere.keys.is_empty());
}

#[test]
fn git_fetches_from_where_the_host_does() {
    let answer = "file:/etc/gitconfig\0url.https://mirror.example.com/.insteadof\nhttps://code.example.com/\0\
                  file:/etc/gitconfig\0user.name\nsomebody\0file:/etc/gitconfig\0core.bare\0";
    let found = find(&Fake::new().answer("git config", answer));
    assert_eq!(hosts(&found), ["mirror.example.com"]);
    assert_eq!(
        text(&found, "/etc/gitconfig"),
        "[url \"https://mirror.example.com/\"]\n\tinsteadOf = \"https://code.example.com/\"\n"
    );
}

#[test]
fn certificates_are_had_inside_without_the_keys_beside_them() {
    let certificate = "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n";
    let key = "-----BEGIN PRIVATE KEY-----\nhush\n-----END PRIVATE KEY-----\n";
    let fake = Fake::new()
        .file("/opt/own/ca.pem", &format!("{key}{certificate}{key}{certificate}"))
        .file("/etc/pip.conf", "[global]\ncert = /etc/ssl/certs/all.pem\n")
        .variable("SSL_CERT_FILE", "/etc/ssl/certs/all.pem")
        .variable("NODE_EXTRA_CA_CERTS", "/opt/own/ca.pem")
        .variable("CURL_CA_BUNDLE", "/opt/own/none.pem");
    let found = find(&fake);
    assert_eq!(variable(&found, "SSL_CERT_FILE"), Some("/etc/ssl/certs/all.pem"));
    assert_eq!(variable(&found, "NODE_EXTRA_CA_CERTS"), Some("/etc/ssl/host/opt-own-ca.pem"));
    assert_eq!(variable(&found, "CURL_CA_BUNDLE"), None);
    assert_eq!(text(&found, "/etc/ssl/host/opt-own-ca.pem"), format!("{certificate}{certificate}"));
    assert!(text(&found, "/etc/pip.conf").contains("cert = /etc/ssl/certs/all.pem\n"));

    let elsewhere = found.settings.for_another_system();
    assert!(elsewhere.environment.iter().all(|(name, _)| name != "SSL_CERT_FILE"));
    assert!(elsewhere.files.iter().all(|(_, text)| !text.contains("/etc/ssl/certs")));
}
