//! What the stand-in index has: one package for each manager, and how a server is told where it is.

use serde_json::json;

use super::archive::{tarball, zip};
use super::index::Index;

/// Every version of the package says so.
pub(super) const VERSIONS: [&str; 3] = ["1.0", "2.0", "3.0"];

const SCRIPT: &str = "#!/usr/bin/env node\nconsole.log('said by npm')\n";

const PROGRAM: &str = "package main\n\nfunc main() { println(\"said by go\") }\n";

pub(super) fn wheel_path(version: &str) -> String {
    format!("/wheels/stead_says-{version}-py3-none-any.whl")
}

/// A page, and a wheel of each version. Its command is `stead-says`.
pub(super) fn pip(index: &Index) {
    let mut page = "<!DOCTYPE html><html><body>\n".to_owned();
    for version in VERSIONS {
        let path = wheel_path(version);
        let name = path.rsplit('/').next().unwrap();
        page.push_str(&format!("<a href=\"{path}\">{name}</a>\n"));
        index.put(&path, wheel(version));
    }
    page.push_str("</body></html>\n");
    index.put("/simple/stead-says/", page);
}

fn wheel(version: &str) -> Vec<u8> {
    let about = |name: &str| format!("stead_says-{version}.dist-info/{name}");
    let module = format!("def main():\n    print(\"said by pip, version {version}\")\n");
    let files = [
        ("stead_says.py".to_owned(), module),
        (about("METADATA"), format!("Metadata-Version: 2.1\nName: stead-says\nVersion: {version}\n")),
        (about("WHEEL"), "Wheel-Version: 1.0\nGenerator: stead\nRoot-Is-Purelib: true\nTag: py3-none-any\n".to_owned()),
        (about("entry_points.txt"), "[console_scripts]\nstead-says = stead_says:main\n".to_owned()),
    ];
    let mut record: String = files.iter().map(|(name, _)| format!("{name},,\n")).collect();
    record.push_str(&format!("{},,\n", about("RECORD")));
    let name = about("RECORD");
    let mut all: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    all.push((&name, &record));
    zip(&all)
}

/// A document, and a tarball. Its command is `stead-says-npm`; what it runs when it is installed is `script`.
pub(super) fn npm(index: &Index, name: &str, script: Option<&str>) {
    let mut package = json!({"name": name, "version": "1.0.0", "bin": {"stead-says-npm": "says.js"}});
    if let Some(script) = script {
        package["scripts"] = json!({"install": script});
    }
    let path = format!("/npm/{name}/-/{name}-1.0.0.tgz");
    index.put(&path, tarball(&[("package/package.json", &package.to_string()), ("package/says.js", SCRIPT)]));
    package["dist"] = json!({"tarball": index.url(&path)});
    package["hasInstallScript"] = json!(script.is_some());
    let document = json!({"name": name, "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": package}});
    index.put(&format!("/npm/{name}"), document.to_string());
}

/// A module whose program is `says`.
pub(super) fn go(index: &Index) {
    let module = "module example.test/says\n\ngo 1.18\n";
    let place = "/go/example.test/says/@v";
    index.put(&format!("{place}/list"), "v1.0.0\n");
    index
        .put(&format!("{place}/v1.0.0.info"), json!({"Version": "v1.0.0", "Time": "2020-01-01T00:00:00Z"}).to_string());
    index.put(&format!("{place}/v1.0.0.mod"), module);
    let name = |file: &str| format!("example.test/says@v1.0.0/{file}");
    index.put(&format!("{place}/v1.0.0.zip"), zip(&[(&name("go.mod"), module), (&name("main.go"), PROGRAM)]));
}

/// Has the server's own package managers, and with them those of its sandboxes, use this index alone.
pub(super) fn settings(index: &Index) -> Vec<(&'static str, String)> {
    vec![
        ("PIP_INDEX_URL", index.url("/simple/")),
        ("PIP_TRUSTED_HOST", index.host().to_owned()),
        ("NPM_CONFIG_REGISTRY", index.url("/npm/")),
        ("GOPROXY", index.url("/go")),
        ("GOSUMDB", "off".to_owned()),
    ]
}
