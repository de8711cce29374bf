use super::*;

/// What each is: the manager, its output, the kind, the package, and a part of the message.
type Case = (Manager, &'static str, Kind, Option<&'static str>, &'static str);

fn check(cases: &[Case]) {
    for (manager, output, kind, package, part) in cases {
        let failure = diagnose(*manager, output).unwrap_or_else(|| panic!("nothing found in {output}"));
        assert_eq!((failure.kind, failure.package.as_deref()), (*kind, *package), "{output}\n{failure}");
        assert!(failure.message.contains(part), "{part} is not in: {failure}");
    }
}

#[test]
fn apt_names_what_it_cannot_install() {
    check(&[
        (
            Manager::Apt,
            "Reading package lists...\nBuilding dependency tree...\nReading state information...\n\
             E: Unable to locate package nosuch-tool\n",
            Kind::NotFound,
            Some("nosuch-tool"),
            "there is no `nosuch-tool`",
        ),
        (Manager::Apt, "E: Version '99' for 'jq' was not found\n", Kind::NotFound, Some("jq"), "99"),
        (
            Manager::Apt,
            "Package foo is not available, but is referred to by another package.\n\
             E: Package 'foo' has no installation candidate\n",
            Kind::NotFound,
            Some("foo"),
            "foo",
        ),
        (
            Manager::Apt,
            "E: Unable to locate package libfoo1.2\nE: Couldn't find any package by glob 'libfoo1.2'\n",
            Kind::NotFound,
            Some("libfoo1.2"),
            "libfoo1.2",
        ),
        (
            Manager::Apt,
            "The following packages have unmet dependencies:\n wine32 : Depends: libwine (= 5.0-3) but it is not going \
             to \
             be installed\nE: Unable to correct problems, you have held broken packages.\n",
            Kind::Conflict,
            Some("wine32"),
            "Depends: libwine",
        ),
        (
            Manager::Apt,
            "Err:1 http://deb.example.com/debian stable InRelease\n  Temporary failure resolving 'deb.example.com'\n\
             W: Some index files failed to download. They have been ignored, or old ones used instead.\n\
             E: Unable to locate package jq\n",
            Kind::Network,
            Some("jq"),
            "deb.example.com",
        ),
        (
            Manager::Apt,
            "dpkg: error processing package foo (--configure):\n installed foo package post-installation script \
             subprocess \
             returned error exit status 1\nE: Sub-process /usr/bin/dpkg returned an error code (1)\n",
            Kind::Other,
            Some("foo"),
            "post-installation",
        ),
        (Manager::Apt, "E: You don't have enough free space in /var/cache/apt/archives/.\n", Kind::Space, None, "disk"),
    ]);
}

#[test]
fn cargo_names_what_it_cannot_install() {
    check(&[
        (
            Manager::Cargo,
            "    Updating the index\nerror: could not find `nosuch-tool` in registry `own` with version `*`\n",
            Kind::NotFound,
            Some("nosuch-tool"),
            "there is no `nosuch-tool` in",
        ),
        (
            Manager::Cargo,
            "error: could not find `hexyl` in registry `own` with version `=99.0.0`\n",
            Kind::NotFound,
            Some("hexyl"),
            "=99.0.0",
        ),
        (
            Manager::Cargo,
            "error: there is nothing to install in `serde v1.0.0`, because it has no binaries\n",
            Kind::Other,
            Some("serde"),
            "library",
        ),
        (
            Manager::Cargo,
            "error: cannot install package `bat 0.25.0`, it requires rustc 1.74 or newer, while the currently active \
             rustc \
             version is 1.63.0\n",
            Kind::Conflict,
            Some("bat"),
            "rustc 1.74 or newer",
        ),
        (
            Manager::Cargo,
            "    Updating the index\nerror: download of config.json failed\n\nCaused by:\n  failed to download from \
             `https://index.example.com/config.json`\n\nCaused by:\n  [7] Could not connect to server\n",
            Kind::Network,
            None,
            "index.example.com",
        ),
        (
            Manager::Cargo,
            "error: linker `cc` not found\nerror: failed to compile `bat v0.24.0`, intermediate artifacts can be found \
             at \
             `/var/tmp/x`.\n",
            Kind::Other,
            Some("bat"),
            "linker `cc` not found",
        ),
    ]);
}

#[test]
fn gem_names_what_it_cannot_install() {
    check(&[
        (
            Manager::Gem,
            "ERROR:  Could not find a valid gem 'nosuch' (>= 0) in any repository\n\
             ERROR:  Possible alternatives: nosuche, nosuchen\n",
            Kind::NotFound,
            Some("nosuch"),
            "there are nosuche, nosuchen",
        ),
        (
            Manager::Gem,
            "ERROR:  Could not find a valid gem 'rails' (= 99.0) in any repository\n",
            Kind::NotFound,
            Some("rails"),
            "`rails = 99.0`",
        ),
        (
            Manager::Gem,
            "ERROR:  Could not find a valid gem 'rails' (>= 0), here is why:\n          Unable to download data from \
             https://gems.example.com/ - timed out (https://gems.example.com/specs.4.8.gz)\n",
            Kind::Network,
            Some("rails"),
            "could not be reached",
        ),
        (
            Manager::Gem,
            "ERROR:  Error installing nokogiri:\n\tnokogiri requires Ruby version >= 3.2. The current ruby version is \
             3.1.2.20.\n",
            Kind::Conflict,
            Some("nokogiri"),
            ">= 3.2",
        ),
        (
            Manager::Gem,
            "Building native extensions. This could take a while...\nERROR:  Error installing ox:\n\tERROR: Failed to \
             build \
             gem native extension.\n\nmkmf.rb can't find header files for ruby at /usr/lib/ruby/include/ruby.h\n",
            Kind::Other,
            Some("ox"),
            "`ruby-dev`",
        ),
        (
            Manager::Gem,
            "ERROR:  While executing gem ... (Gem::UnsatisfiableDependencyError)\n    Unable to resolve dependency: \
             user \
             requested 'rails (= 1.0)'\n",
            Kind::Conflict,
            Some("rails"),
            "Unable to resolve",
        ),
    ]);
}

#[test]
fn go_names_what_it_cannot_install() {
    check(&[
        (
            Manager::Go,
            "go: downloading example.com/x/tools v0.52.0\ngo: example.com/x/tools/cmd/nosuch@latest: module \
             example.com/x/tools@latest found (v0.52.0), but does not contain package example.com/x/tools/cmd/nosuch\n",
            Kind::NotFound,
            Some("example.com/x/tools/cmd/nosuch@latest"),
            "does not contain",
        ),
        (
            Manager::Go,
            "go: example.com/nosuch@latest: module example.com/nosuch: reading \
             https://go.example.net/example.com/nosuch/@v/list: \
             404 Not Found\n\tserver response: not found\n",
            Kind::NotFound,
            Some("example.com/nosuch@latest"),
            "404 Not Found",
        ),
        (
            Manager::Go,
            "go: example.com/x@v9: no matching versions for query \"v9\"\n",
            Kind::NotFound,
            Some("example.com/x@v9"),
            "v9",
        ),
        (
            Manager::Go,
            "go: example.com/x@latest: module example.com/x: Get \"https://go.example.net/example.com/x/@v/list\": \
             dial tcp \
             192.0.2.1:443: connect: connection refused\n",
            Kind::Network,
            Some("example.com/x@latest"),
            "connection refused",
        ),
        (
            Manager::Go,
            "go: example.com/x@v1.0.0: example.com/x@v1.0.0 requires go >= 1.25 (running go 1.19; GOTOOLCHAIN=local)\n",
            Kind::Conflict,
            Some("example.com/x@v1.0.0"),
            "go >= 1.25",
        ),
        (
            Manager::Go,
            "go: downloading example.com/x v0.14.0\npackage example.com/x is not a main package\n",
            Kind::Other,
            Some("example.com/x"),
            "library",
        ),
    ]);
}

#[test]
fn npm_names_what_it_cannot_install() {
    check(&[
        (
            Manager::Npm,
            "npm error code E404\nnpm error 404 Not Found - GET https://npm.example.com/nosuch\nnpm error 404\n\
             npm error 404  The requested resource 'nosuch@*' could not be found or you do not have permission to \
             access it.\n",
            Kind::NotFound,
            Some("nosuch"),
            "there is no `nosuch`",
        ),
        (
            Manager::Npm,
            "npm ERR! code E404\nnpm ERR! 404 Not Found - GET https://npm.example.com/@a%2fb - Not found\nnpm ERR! 404 \
             \n\
             npm ERR! 404  '@a/b@^2' is not in this registry.\n",
            Kind::NotFound,
            Some("@a/b@^2"),
            "@a/b",
        ),
        (
            Manager::Npm,
            "\u{1b}[31mnpm error code ETARGET\u{1b}[39m\r\nnpm error notarget No matching version found for \
             is-odd@99.0.0.\r\n",
            Kind::NotFound,
            Some("is-odd@99.0.0"),
            "no such version",
        ),
        (
            Manager::Npm,
            "npm error code ERESOLVE\nnpm error ERESOLVE could not resolve\nnpm error\nnpm error While resolving: \
             a@4.9.0\n\
             npm error Found: b@5.0.0\nnpm error\nnpm error Could not resolve dependency:\nnpm error peer b@\"^4\" \
             from a@4.9.0\n",
            Kind::Conflict,
            Some("a@4.9.0"),
            "peer b@\"^4\"",
        ),
        (
            Manager::Npm,
            "npm error code EBADENGINE\nnpm error engine Unsupported engine\nnpm error engine Not compatible with your \
             version \
             of node/npm: a@1.0.0\n",
            Kind::Conflict,
            Some("a@1.0.0"),
            "ngine",
        ),
        (
            Manager::Npm,
            "npm error code ECONNREFUSED\nnpm error syscall connect\nnpm error errno ECONNREFUSED\nnpm error \
             FetchError: request \
             to https://npm.example.com/a failed, reason: connect ECONNREFUSED 192.0.2.1:443\n",
            Kind::Network,
            None,
            "npm.example.com",
        ),
        (Manager::Npm, "npm error code ENOSPC\nnpm error syscall write\n", Kind::Space, None, "disk"),
    ]);
}

#[test]
fn pip_names_what_it_cannot_install() {
    check(&[
        (
            Manager::Pip,
            "ERROR: Could not find a version that satisfies the requirement nosuch (from versions: none)\n\
             ERROR: No matching distribution found for nosuch\n",
            Kind::NotFound,
            Some("nosuch"),
            "no such package",
        ),
        (
            Manager::Pip,
            "ERROR: Could not find a version that satisfies the requirement six==99.9 (from versions: 1.0b1, 1.16.0, \
             1.17.0)\n\
             ERROR: No matching distribution found for six==99.9\n",
            Kind::NotFound,
            Some("six==99.9"),
            "1.17.0",
        ),
        (
            Manager::Pip,
            "WARNING: Retrying (Retry(total=0, connect=None, read=None, redirect=None, status=None)) after connection \
             broken by \
             'NewConnectionError(...)': /simple/six/\nERROR: Could not find a version that satisfies the requirement \
             six (from \
             versions: none)\nERROR: No matching distribution found for six\n",
            Kind::Network,
            Some("six"),
            "could not be reached",
        ),
        (
            Manager::Pip,
            "ERROR: Cannot install six==1.15 and six==1.16 because these package versions have conflicting \
             dependencies.\n\n\
             The conflict is caused by:\n    The user requested six==1.16\n    The user requested six==1.15\n\n\
             ERROR: ResolutionImpossible: for help visit https://pip.example.com/\n",
            Kind::Conflict,
            Some("six==1.15"),
            "The user requested six==1.16; The user requested six==1.15",
        ),
        (
            Manager::Pip,
            "  error: command 'gcc' failed: No such file or directory\n  ERROR: Failed building wheel for foo\nFailed \
             to build \
             foo\nERROR: Could not build wheels for foo, which is required to install pyproject.toml-based projects\n",
            Kind::Other,
            Some("foo"),
            "command 'gcc' failed",
        ),
        (
            Manager::Pip,
            "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\n",
            Kind::Space,
            None,
            "disk",
        ),
        (Manager::Pip, "ERROR: Invalid requirement: 'a==='\n", Kind::Other, Some("a==="), "Invalid requirement"),
    ]);
}

#[test]
fn an_index_that_was_not_reached_does_not_make_a_package_unknown() {
    check(&[(
        Manager::Cargo,
        "    Updating crates.io index\nwarning: spurious network error (1 tries remaining): [6] Couldn't resolve host name\n\
         error: could not find `fd-find` in registry `crates-io` with version `=8.4.0`\n",
        Kind::Network,
        Some("fd-find"),
        "could not be reached",
    )]);
}

#[test]
fn what_the_script_itself_says_is_understood() {
    check(&[
        (Manager::Gem, "packages: there is no program called gem\n", Kind::Other, None, "`gem`, and the base"),
        (Manager::Go, "packages: given up after 90 seconds: go\n", Kind::Other, None, "`go` was not done after 90 s"),
    ]);
}

#[test]
fn nothing_is_made_of_what_says_nothing() {
    for manager in Manager::ALL {
        assert_eq!(diagnose(manager, ""), None);
        assert_eq!(diagnose(manager, "all is well\n\u{1b}[\n\u{1b}"), None);
    }
}

#[test]
fn a_message_is_short_whatever_the_output_is() {
    let failure = diagnose(Manager::Apt, &format!("E: {}", "x".repeat(10_000))).unwrap();
    assert_eq!(failure.message.chars().count(), LONGEST);
}
