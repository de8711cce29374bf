//! Against a real registry: the one that Debian packages as `docker-registry`. Where it is not installed, the test is
//! skipped, loudly.

use std::{
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use reqwest::header::{CONTENT_TYPE, LOCATION};

use super::*;

struct Server {
    child: Child,
    base: Url,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn start(program: &Path, directory: &Path) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = directory.join("registry.yml");
        let storage = directory.join("storage");
        // JSON is YAML, too.
        let text = json!({
            "version": 0.1,
            "storage": { "filesystem": { "rootdirectory": storage } },
            "http": { "addr": format!("127.0.0.1:{port}") },
        });
        fs::write(&config, text.to_string()).unwrap();
        let mut command = Command::new(program);
        command.arg("serve").arg(config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let server =
            Self { child: command.spawn().unwrap(), base: Url::parse(&format!("http://127.0.0.1:{port}/")).unwrap() };
        for _ in 0..200 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return server;
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("docker-registry does not listen");
    }

    async fn push(&self, http: &reqwest::Client, blobs: &Blobs, manifest: &Digest) {
        for (digest, bytes) in blobs.0.iter().filter(|(digest, _)| *digest != manifest) {
            let begun = http.post(self.base.join("v2/app/blobs/uploads/").unwrap()).send().await.unwrap();
            let mut place = self.base.join(begun.headers()[LOCATION].to_str().unwrap()).unwrap();
            place.query_pairs_mut().append_pair("digest", &digest.to_string());
            let put = http.put(place).body(bytes.clone()).send().await.unwrap();
            assert!(put.status().is_success(), "{}", put.text().await.unwrap());
        }
        let kind = "application/vnd.oci.image.manifest.v1+json";
        let put = http.put(self.base.join("v2/app/manifests/v1").unwrap()).header(CONTENT_TYPE, kind);
        let put = put.body(blobs.0[manifest].clone()).send().await.unwrap();
        assert!(put.status().is_success(), "{}", put.text().await.unwrap());
    }
}

#[tokio::test]
async fn a_real_registry_gives_back_what_was_pushed() {
    let Some(program) = testkit::programs::find("docker-registry").unwrap() else { return };
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(&program, directory.path());
    let none = Vec::<reqwest::Certificate>::new();
    let http = reqwest::Client::builder().no_proxy().tls_certs_only(none).build().unwrap();
    let (blobs, digest) = image();
    server.push(&http, &blobs, &digest).await;
    let images = Images::open(&directory.path().join("store"), Options::default()).unwrap();
    let host = server.base.authority();
    for source in [format!("registry://{host}/app:v1"), format!("registry://{host}/app@{digest}")] {
        let image = images.ensure(&source.parse().unwrap(), quiet()).await.unwrap();
        assert_eq!(fs::read_to_string(image.rootfs.join("b")).unwrap(), "2");
        assert_eq!(images.list().unwrap()[0].record.manifests, std::slice::from_ref(&digest));
    }
    let missing = images.ensure(&format!("registry://{host}/app:v2").parse().unwrap(), quiet()).await;
    assert!(matches!(missing, Err(crate::Error::Registry(Error::NotFound { .. }))), "{missing:?}");
}
