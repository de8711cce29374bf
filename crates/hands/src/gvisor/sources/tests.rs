use super::*;

const FIELDS: &str = "Types: deb\n# made of a snapshot\nURIs: http://packages.example/debian\n\
    Suites: bookworm bookworm-updates\nComponents: main\n\
    Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\nTypes: deb\n\
    URIs: http://packages.example/debian-security\nSuites: bookworm-security\nComponents: main\n";

#[test]
fn the_suite_is_that_of_the_release_in_either_format() {
    for (text, suite) in [
        (FIELDS, Some("bookworm-backports")),
        ("deb http://packages.example/debian/ trixie main contrib\n", Some("trixie-backports")),
        ("deb [arch=amd64 signed-by=/k.gpg] https://packages.example/debian stable main\n", Some("stable-backports")),
        ("deb http://packages.example/debian-security bookworm-security main\n", None),
        ("deb http://packages.example/debian bookworm-updates main\n", None),
        ("deb http://packages.example/debian sid main\n", None),
        ("deb-src http://packages.example/debian bookworm main\n", None),
        ("#deb http://packages.example/debian bookworm main\n", None),
        ("deb http://packages.example/ubuntu noble main\n", None),
        ("Types: deb\nEnabled: no\nURIs: http://packages.example/debian\nSuites: bookworm\n", None),
        ("Types: deb-src\nURIs: http://packages.example/debian\nSuites: bookworm\n", None),
        ("Types: deb\nURIs:\n http://packages.example/debian\nSuites:\n bookworm\n", Some("bookworm-backports")),
        ("deb [broken\n", None),
        ("", None),
    ] {
        assert_eq!(suite_from_sources(text).as_deref(), suite, "{text}");
    }
}

#[test]
fn the_command_names_the_machines_own_source_and_key() {
    assert_eq!(
        command(FIELDS).unwrap(),
        "echo 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://packages.example/debian \
         bookworm-backports main' > /etc/apt/sources.list.d/backports.list && apt-get update && apt-get install -t \
         bookworm-backports runsc"
    );
}

#[test]
fn a_machine_that_has_its_backports_already_only_installs() {
    let text = format!("{FIELDS}\n\ndeb http://packages.example/debian bookworm-backports main\n");
    assert_eq!(command(&text).unwrap(), "apt-get update && apt-get install -t bookworm-backports runsc");
}

#[test]
fn a_key_that_stands_in_the_source_itself_is_left_out() {
    let text = "Types: deb\nURIs: http://packages.example/debian\nSuites: bookworm\nSigned-By:\n -----BEGIN PGP\n .\n";
    assert!(command(text).unwrap().starts_with("echo 'deb http://packages.example/debian bookworm-backports main'"));
}

#[test]
fn all_files_of_apt_are_read_and_no_others() {
    let apt = tempfile::tempdir().unwrap();
    fs::create_dir(apt.path().join("sources.list.d")).unwrap();
    let part = |name: &str| apt.path().join("sources.list.d").join(name);
    fs::write(part("debian.sources.disabled"), FIELDS).unwrap();
    assert_eq!(text(apt.path()), "");
    fs::write(apt.path().join("sources.list"), "deb http://packages.example/ubuntu noble main").unwrap();
    fs::write(part("debian.sources"), FIELDS).unwrap();
    assert_eq!(suite_from_sources(&text(apt.path())).as_deref(), Some("bookworm-backports"));
}
