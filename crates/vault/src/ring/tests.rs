use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use tempfile::TempDir;
use wire::vault::SecretField;
use wire::{CredentialId, VaultId, WorkspaceId};

use super::*;

fn place(credential: u128, version: u64) -> Place {
    let (workspace, vault) = (WorkspaceId::from_bits(1), VaultId::from_bits(2));
    Place::of_credential(workspace, vault, CredentialId::from_bits(credential), SecretField::Token, version)
}

struct Keys {
    source: KeySource,
    path: PathBuf,
    _directory: TempDir,
}

fn keys() -> Keys {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys");
    Keys { source: KeySource::File { path: path.clone() }, path, _directory: directory }
}

#[tokio::test]
async fn a_secret_opens_in_its_own_place_and_nowhere_else() {
    let keys = keys();
    assert!(matches!(Ring::load(&keys.source).unwrap().seal(&place(1, 1), &"s".into()).await, Err(Error::NoKey)));
    assert_eq!(keys.source.generate().unwrap(), Generated::Made);
    assert_eq!(keys.source.generate().unwrap(), Generated::Kept);
    let ring = Ring::load(&keys.source).unwrap();
    let sealed = ring.seal(&place(1, 1), &"correct horse".into()).await.unwrap();
    assert!(!serde_json::to_string(&sealed).unwrap().contains("correct"));
    assert_eq!(ring.open(&place(1, 1), &sealed).await.unwrap().expose_secret(), "correct horse");
    for other in [place(2, 1), place(1, 2)] {
        assert!(matches!(ring.open(&other, &sealed).await, Err(Error::Damaged)));
    }
}

#[tokio::test]
async fn no_two_ciphertexts_are_alike_and_none_may_be_changed() {
    let keys = keys();
    keys.source.generate().unwrap();
    let ring = Ring::load(&keys.source).unwrap();
    let one = ring.seal(&place(1, 1), &"same".into()).await.unwrap();
    let other = ring.seal(&place(1, 1), &"same".into()).await.unwrap();
    assert!(one.text != other.text && one.data_key != other.data_key);
    let mixed = Sealed { data_key: other.data_key.clone(), ..one.clone() };
    assert!(matches!(ring.open(&place(1, 1), &mixed).await, Err(Error::Damaged)));
    let mut bytes = BASE64.decode(&one.text).unwrap();
    for index in 0..bytes.len() {
        bytes[index] ^= 1;
        let changed = Sealed { text: BASE64.encode(&bytes), ..one.clone() };
        assert!(matches!(ring.open(&place(1, 1), &changed).await, Err(Error::Damaged)), "byte {index}");
        bytes[index] ^= 1;
    }
    for text in ["", "AAAA", "not base64"] {
        let changed = Sealed { text: text.into(), ..one.clone() };
        assert!(matches!(ring.open(&place(1, 1), &changed).await, Err(Error::Damaged)), "{text}");
    }
}

#[tokio::test]
async fn after_a_rotation_old_secrets_open_and_new_ones_have_the_new_key() {
    let keys = keys();
    keys.source.generate().unwrap();
    let mut ring = Ring::load(&keys.source).unwrap();
    let old = ring.seal(&place(1, 1), &"old".into()).await.unwrap();
    let name = ring.rotate(&keys.source).await.unwrap();
    assert_eq!((ring.names().len(), ring.current()), (2, Some(name.clone())));
    assert_eq!(ring.open(&place(1, 1), &old).await.unwrap().expose_secret(), "old");
    assert_eq!(ring.seal(&place(1, 1), &"new".into()).await.unwrap().key, name);
    let wrapped = ring.rewrap(&place(1, 1), &old).await.unwrap().unwrap();
    assert_eq!((&wrapped.key, &wrapped.text), (&name, &old.text));
    assert!(ring.rewrap(&place(1, 1), &wrapped).await.unwrap().is_none());
    // The file alone, read by another process, does the same; and without the first key only what was wrapped anew.
    let again = Ring::load(&keys.source).unwrap();
    assert_eq!(again.open(&place(1, 1), &wrapped).await.unwrap().expose_secret(), "old");
    let text = fs::read_to_string(&keys.path).unwrap();
    let newest = text.lines().last().unwrap();
    let last = Ring::load(&KeySource::Given { text: newest.into() }).unwrap();
    assert_eq!(last.open(&place(1, 1), &wrapped).await.unwrap().expose_secret(), "old");
    assert!(matches!(last.open(&place(1, 1), &old).await, Err(Error::UnknownKey(name)) if name == old.key));
}

#[test]
fn a_key_file_must_be_whole_and_closed_to_others() {
    let keys = keys();
    keys.source.generate().unwrap();
    assert_eq!(fs::metadata(&keys.path).unwrap().permissions().mode() & 0o777, 0o600);
    fs::set_permissions(&keys.path, Permissions::from_mode(0o644)).unwrap();
    let refused = Ring::load(&keys.source).err().unwrap().to_string();
    assert!(refused.contains("chmod 600"), "{refused}");
    fs::set_permissions(&keys.path, Permissions::from_mode(0o600)).unwrap();
    fs::write(&keys.path, "# nothing but words\nc2hvcnQ=\n").unwrap();
    let refused = Ring::load(&keys.source).err().unwrap().to_string();
    assert!(refused.contains("32 bytes") && !refused.contains("c2hvcnQ"), "{refused}");
}

#[test]
fn a_rotation_that_dies_half_way_leaves_the_file_as_it_was() {
    let keys = keys();
    keys.source.generate().unwrap();
    let before = fs::read(&keys.path).unwrap();
    // What one that was killed has left.
    fs::write(keys.path.with_extension("next"), "half").unwrap();
    assert_eq!(fs::read(&keys.path).unwrap(), before);
    assert_eq!(local::add(&keys.path).unwrap().len(), 2);
}
