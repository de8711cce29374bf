use serde_json::{Value, json};

use super::*;

/// Documents by digest. Configurations are among them.
#[derive(Default)]
struct Fake(HashMap<Digest, Vec<u8>>);

impl Fake {
    fn add(&mut self, document: &Value) -> Value {
        let bytes = document.to_string().into_bytes();
        let (digest, size) = (Digest::of(&bytes), bytes.len());
        self.0.insert(digest.clone(), bytes);
        json!({ "mediaType": "application/json", "digest": digest, "size": size })
    }

    /// A manifest of one layer, whose tarball's digest is that of `content`.
    fn image(&mut self, content: &str) -> Value {
        let config = self.add(&json!({
            "architecture": architecture(),
            "os": "linux",
            "config": { "Env": ["A=b"], "WorkingDir": "/srv", "User": null },
            "rootfs": { "type": "layers", "diff_ids": [Digest::of(content.as_bytes())] },
        }));
        self.add(&json!({ "schemaVersion": 2, "config": config, "layers": [layer()] }))
    }
}

impl Documents for Fake {
    async fn manifest(&self, descriptor: &Descriptor) -> Result<Vec<u8>, crate::Error> {
        Ok(self.0[&descriptor.digest].clone())
    }

    async fn config(&self, descriptor: &Descriptor) -> Result<Vec<u8>, crate::Error> {
        self.manifest(descriptor).await
    }
}

fn layer() -> Value {
    json!({
        "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
        "digest": Digest::of(b"blob"),
        "size": 4,
    })
}

fn with(mut descriptor: Value, key: &str, value: Value) -> Value {
    descriptor[key] = value;
    descriptor
}

fn platform(os: &str, architecture: &str, variant: Option<&str>) -> Value {
    json!({ "os": os, "architecture": architecture, "variant": variant })
}

fn index(entries: &[Value]) -> Vec<u8> {
    json!({ "schemaVersion": 2, "manifests": entries }).to_string().into_bytes()
}

async fn diff(fake: &Fake, first: Vec<u8>, tag: Option<&str>) -> Result<Digest, String> {
    let resolved = resolve(fake, first, tag).await.map_err(|error| error.to_string())?;
    Ok(resolved.layers[0].diff.clone())
}

#[tokio::test]
async fn of_several_platforms_this_machine_s_plainest_is_taken() {
    let mut fake = Fake::default();
    let ours = architecture();
    let (other, odd, right) = (fake.image("other"), fake.image("odd"), fake.image("right"));
    let entries = [
        with(other.clone(), "platform", platform("windows", ours, None)),
        with(other.clone(), "platform", platform("linux", "s390x", None)),
        with(other.clone(), "platform", platform("unknown", "unknown", None)),
        with(odd, "platform", platform("linux", ours, Some("v9"))),
        with(right, "platform", platform("linux", ours, None)),
    ];
    assert_eq!(diff(&fake, index(&entries), None).await, Ok(Digest::of(b"right")));
    assert_eq!(diff(&fake, index(&entries[..4]), None).await, Ok(Digest::of(b"odd")));
    let refused = diff(&fake, index(&entries[..2]), None).await.unwrap_err();
    assert!(refused.contains("linux/s390x, windows/"), "{refused}");
}

#[tokio::test]
async fn an_index_may_lead_to_an_index_and_every_step_is_remembered() {
    let mut fake = Fake::default();
    let image = fake.image("content");
    let inner: Value = serde_json::from_slice(&index(std::slice::from_ref(&image))).unwrap();
    let inner = fake.add(&inner);
    let outer = index(std::slice::from_ref(&inner));
    let resolved = resolve(&fake, outer.clone(), None).await.unwrap();
    let digest = |descriptor: &Value| -> Digest { descriptor["digest"].as_str().unwrap().parse().unwrap() };
    assert_eq!(resolved.manifests, [Digest::of(&outer), digest(&inner), digest(&image)]);
    assert_eq!(resolved.config.env, ["A=b"]);
    assert_eq!((resolved.config.working_dir.as_str(), resolved.config.user.as_str()), ("/srv", ""));
}

#[tokio::test]
async fn indexes_that_go_on_for_ever_are_given_up() {
    let mut fake = Fake::default();
    let mut entry = fake.image("deep");
    for _ in 0..MAX_INDEXES {
        entry = fake.add(&json!({ "schemaVersion": 2, "manifests": [entry] }));
    }
    let refused = diff(&fake, index(&[entry]), None).await.unwrap_err();
    assert!(refused.contains("deep"), "{refused}");
}

#[tokio::test]
async fn a_tag_chooses_among_a_layout_s_entries() {
    let mut fake = Fake::default();
    let (old, new) = (fake.image("old"), fake.image("new"));
    let entries = [with(old, "annotations", json!({ TAG: "v1" })), with(new, "annotations", json!({ TAG: "v2" }))];
    assert_eq!(diff(&fake, index(&entries), Some("v2")).await, Ok(Digest::of(b"new")));
    let refused = diff(&fake, index(&entries), Some("v3")).await.unwrap_err();
    assert!(refused.contains("v3") && refused.contains("v1, v2"), "{refused}");
}

#[tokio::test]
async fn what_is_two_things_or_not_whole_is_refused() {
    let mut fake = Fake::default();
    let image = fake.image("content");
    let config = fake.add(&json!({ "os": "linux", "rootfs": { "diff_ids": [] } }));
    let foreign = with(layer(), "mediaType", json!("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"));
    let one = fake.add(&json!({ "rootfs": { "diff_ids": [Digest::of(b"")] } }));
    let plan9 = fake.add(&json!({ "os": "plan9", "rootfs": { "diff_ids": [Digest::of(b"")] } }));
    let cases = [
        (json!({ "schemaVersion": 1 }), "version 1"),
        (json!({ "schemaVersion": 2, "manifests": [image], "layers": [] }), "at once"),
        (json!({ "schemaVersion": 2, "config": config, "layers": [layer()] }), "1 layers"),
        (json!({ "schemaVersion": 2, "config": config }), "no layers"),
        (json!({ "schemaVersion": 2, "config": one, "layers": [foreign] }), "foreign"),
        (json!({ "schemaVersion": 2, "config": plan9, "layers": [layer()] }), "plan9"),
        (json!({ "schemaVersion": 2, "manifests": [] }), "none"),
        (json!([]), "cannot be read"),
    ];
    for (document, reason) in cases {
        let refused = diff(&fake, document.to_string().into_bytes(), None).await.unwrap_err();
        assert!(refused.contains(reason), "{document}: {refused}");
    }
}
