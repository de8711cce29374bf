//! Keys in a file.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use aws_lc_rs::rand::fill;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{Error, KEY};

/// Bytes of a key file. It holds a few lines.
const LONGEST: u64 = 64 << 10;

const HEAD: &str = "# Keys of Stead's vault, the newest last. Without them no stored credential opens: keep a copy of this\n\
                    # file elsewhere, and not where the copies of the database are.\n";

pub(super) struct Local {
    /// Made of the key, and telling nothing of it.
    pub(super) name: String,
    pub(super) bytes: Zeroizing<[u8; KEY]>,
}

impl Local {
    fn new(bytes: Zeroizing<[u8; KEY]>) -> Self {
        let digest = Sha256::new().chain_update(b"stead vault key name").chain_update(*bytes).finalize();
        let name = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect::<String>();
        Self { name: format!("key_{name}"), bytes }
    }
}

/// The file's keys; none if it is not there.
pub(super) fn read(path: &Path) -> Result<Vec<Local>, Error> {
    let unusable = |error: io::Error| Error::Unusable(format!("{}: {error}", path.display()));
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unusable(error)),
    };
    let mode = file.metadata().map_err(unusable)?.mode();
    if mode & 0o007 != 0 {
        let message = format!("{} is open to every user of this machine: chmod 600 it", path.display());
        return Err(Error::Unusable(message));
    }
    let mut text = Zeroizing::new(String::new());
    file.take(LONGEST).read_to_string(&mut text).map_err(unusable)?;
    parse(&text).map_err(|error| match error {
        Error::Unusable(why) => Error::Unusable(format!("{}: {why}", path.display())),
        error => error,
    })
}

/// Keys in base64, apart by white space or commas. What follows a `#` in a line is not read.
pub(super) fn parse(text: &str) -> Result<Vec<Local>, Error> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let words = lines.flat_map(|line| line.split([' ', '\t', ','])).filter(|word| !word.is_empty());
    let keys = words.map(|word| {
        let bytes = Zeroizing::new(BASE64.decode(word).unwrap_or_default());
        let bytes: [u8; KEY] = bytes.as_slice().try_into().map_err(|_| {
            Error::Unusable("a key is 32 bytes in base64, as `openssl rand -base64 32` makes one".into())
        })?;
        Ok(Local::new(Zeroizing::new(bytes)))
    });
    keys.collect()
}

/// Adds a new key behind the others. Either all of the file is there afterwards, or it is as it was.
pub(super) fn add(path: &Path) -> Result<Vec<Local>, Error> {
    let unusable = |error: io::Error| Error::Unusable(format!("{}: {error}", path.display()));
    let mut keys = read(path)?;
    let mut bytes = Zeroizing::new([0; KEY]);
    fill(&mut *bytes).map_err(|_| Error::Unusable("this machine gives no random numbers".into()))?;
    let mut text = Zeroizing::new(fs::read_to_string(path).unwrap_or_else(|_| HEAD.to_owned()));
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(&Zeroizing::new(BASE64.encode(*bytes)));
    text.push('\n');
    let next = path.with_extension("next");
    let _ = fs::remove_file(&next);
    let write = || {
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(&next)?;
        file.set_permissions(Permissions::from_mode(0o600))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&next, path)?;
        File::open(path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))?.sync_all()
    };
    write().map_err(unusable)?;
    keys.push(Local::new(bytes));
    Ok(keys)
}
