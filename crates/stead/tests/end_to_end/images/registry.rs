//! A registry on this machine: the one that Debian packages as `docker-registry`.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::{Client, Url};
use serde_json::json;
use tempfile::TempDir;
use testkit::programs;

use super::system::{Image, MANIFEST};

pub(super) struct Registry {
    child: Child,
    base: Url,
    http: Client,
    _directory: TempDir,
}

impl Registry {
    /// `None` where there is no such program, which is told.
    pub(super) fn start() -> Option<Self> {
        let program: PathBuf = programs::find("docker-registry").unwrap()?;
        let directory = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = directory.path().join("registry.yml");
        // JSON is YAML, too.
        let text = json!({
            "version": 0.1,
            "storage": { "filesystem": { "rootdirectory": directory.path().join("storage") } },
            "http": { "addr": format!("127.0.0.1:{port}") },
        });
        std::fs::write(&config, text.to_string()).unwrap();
        let mut command = Command::new(program);
        command.arg("serve").arg(config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap();
        let base = Url::parse(&format!("http://127.0.0.1:{port}/")).unwrap();
        let http = Client::builder().no_proxy().build().unwrap();
        let registry = Self { child, base, http, _directory: directory };
        for _ in 0..600 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(registry);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("docker-registry does not listen");
    }

    pub(super) fn host(&self) -> String {
        self.base.authority().to_owned()
    }

    pub(super) async fn push(&self, image: &Image, name: &str, tag: &str) {
        let manifest = image.manifest["digest"].as_str().unwrap();
        for (digest, bytes) in image.blobs.iter().filter(|(digest, _)| *digest != manifest) {
            let begun = self.http.post(self.at(&format!("v2/{name}/blobs/uploads/"))).send().await.unwrap();
            let mut place = self.at(begun.headers()[LOCATION].to_str().unwrap());
            place.query_pairs_mut().append_pair("digest", digest);
            let put = self.http.put(place).body(bytes.clone()).send().await.unwrap();
            assert!(put.status().is_success(), "{}", put.text().await.unwrap());
        }
        let put = self.http.put(self.at(&format!("v2/{name}/manifests/{tag}"))).header(CONTENT_TYPE, MANIFEST);
        let put = put.body(image.blobs[manifest].clone()).send().await.unwrap();
        assert!(put.status().is_success(), "{}", put.text().await.unwrap());
    }

    /// Nobody answers there any more.
    pub(super) fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn at(&self, path: &str) -> Url {
        self.base.join(path).unwrap()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stop();
    }
}
