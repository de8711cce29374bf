//! Sandboxes that are made before it is known whose they will be, and get their names later.
//!
//! A name is no more than that of the directory on the host: inside, nothing tells of it, and what is held of the directory
//! from there is held by descriptor or mount. So a sandbox is given by renaming its directory, with a record in it that
//! names the new place already: whenever this server ends, there is either one that is nobody's, for the next server to
//! remove, or one that is the session's.

use std::{fs, path::Path};

use async_trait::async_trait;

use super::{
    Namespace,
    directory::{Directory, HANDS, Record},
    name,
    shared::Shared,
    uploads,
};
use crate::{
    Address, Hand, ProvisionError, Spec,
    pool::{Stock, is_unnamed},
};

impl Shared {
    /// Whether nothing is known of an earlier sandbox of this name, not even a journal.
    fn is_free(&self, name: &str) -> bool {
        Directory::of(self.data_dir(), name).is_ok_and(|directory| !is_there(directory.path()))
    }

    /// Makes one that is nobody's the one of this spec.
    fn give(&self, ready: &Address, spec: &Spec) -> Result<Record, ProvisionError> {
        let from = name(ready).filter(|name| is_unnamed(name)).ok_or_else(|| failed("it is somebody's already"))?;
        let _alone = self.alone_with_both(from, &spec.name);
        let record = self.find(ready).filter(|record| record.daemon.is_alive());
        let record = record.ok_or_else(|| failed("it is no more"))?;
        let fits = record.ground == spec.ground && record.limits == spec.limits && record.keep.is_none();
        if !fits || spec.restore.is_some() || spec.keep.is_some() {
            return Err(failed("it was made for another kind of session"));
        }
        let error = |error: std::io::Error| failed(&error.to_string());
        let here = Directory::of(self.data_dir(), from).map_err(error)?;
        let there = Directory::of(self.data_dir(), &spec.name).map_err(error)?;
        if is_there(there.path()) {
            return Err(failed("there is one of this name already"));
        }
        uploads::fill(here.path(), &spec.uploads)?;
        let address = Address { directory: Path::new(HANDS).join(&spec.name), ..record.address };
        let record = Record { address, network: spec.network.clone(), ..record };
        here.keep(&record).map_err(error)?;
        fs::rename(here.path(), there.path()).map_err(error)?;
        Ok(record)
    }
}

#[async_trait]
impl Stock for Namespace {
    async fn is_free(&self, name: &str) -> bool {
        let name = name.to_owned();
        self.blocking(move |shared| shared.is_free(&name)).await.unwrap_or(false)
    }

    async fn give(&self, ready: &Address, spec: &Spec, epoch: u64) -> Result<Box<dyn Hand>, ProvisionError> {
        self.watchdog.forget(&spec.name);
        let (ready, wanted) = (ready.clone(), spec.clone());
        let given = self.blocking(move |shared| shared.give(&ready, &wanted)).await;
        let record = given.map_err(|error| failed(&error.to_string()))??;
        self.begin(&spec.name, record, epoch).await
    }
}

fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

fn failed(why: &str) -> ProvisionError {
    ProvisionError::Failed(why.to_owned())
}
