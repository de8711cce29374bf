//! One entry of an archive becomes one file.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::OwnedFd,
};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, linkat, openat, symlinkat};
use tar::EntryType;

use super::{
    Error, Unpacker,
    attributes::Attributes,
    path::Names,
    tree::Later,
    whiteout::{self, Created},
};
use crate::{remove, walk};

/// Made here, or the file is not ours to fill.
const NEW: OFlags =
    OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// What the system takes as the target of a link.
const MAX_TARGET: usize = 4095;

impl Unpacker<'_> {
    pub(super) fn entry<R: Read>(&mut self, entry: &mut tar::Entry<'_, R>, created: &mut Created) -> Result<(), Error> {
        let kind = entry.header().entry_type();
        if kind.is_pax_global_extensions() {
            return Ok(());
        }
        let path = entry.path_bytes().into_owned();
        let names = Names::parse(&path, self.watch.max_path())?;
        let failed = Error::writing(&path);
        // Archives of long ago know no directories, only names that end in a slash.
        let directory = kind.is_dir() || (kind.is_file() && path.ends_with(b"/"));
        let Some((name, parents)) = names.split_last() else {
            if !directory {
                return Err(Error::path(&path, "it is the root of the image, and no directory"));
            }
            let attributes = Attributes::read(entry, &self.rules, &mut self.skipped)?;
            return self.tree.root().and_then(|root| self.dress(&root, &attributes)).map_err(failed);
        };
        if let Some(hidden) = whiteout::of(name).map_err(|reason| Error::path(&path, reason))? {
            return self.hide(parents, &hidden, created).map_err(failed);
        }
        match kind {
            _ if directory => {
                let attributes = Attributes::read(entry, &self.rules, &mut self.skipped)?;
                let parent = self.tree.reach(parents).map_err(&failed)?;
                let made = self.tree.directory(&parent, name);
                made.and_then(|made| self.dress(&made, &attributes)).map_err(failed)?;
            }
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                self.watch.announced(entry.size())?;
                let attributes = Attributes::read(entry, &self.rules, &mut self.skipped)?;
                let parent = self.tree.reach(parents).map_err(&failed)?;
                let mut file = make(&parent, name).map_err(&failed)?;
                self.fill(&mut file, entry, &path)?;
                attributes.give_to_file(&file, &mut self.skipped).map_err(failed)?;
            }
            EntryType::Symlink => {
                let target = target(entry, &path)?;
                let attributes = Attributes::read(entry, &self.rules, &mut self.skipped)?;
                let parent = self.tree.reach(parents).map_err(&failed)?;
                let made = remove::entry(&parent, name)
                    .and_then(|()| Ok(symlinkat(target.as_slice(), &parent, name)?))
                    .and_then(|()| attributes.give_to_link(&parent, name));
                made.map_err(failed)?;
            }
            EntryType::Link => {
                let target = target(entry, &path)?;
                let target = Names::parse(&target, self.watch.max_path())?;
                if target != names {
                    self.link(&target, parents, name, &path)?;
                }
            }
            _ => {
                self.skipped.special_files += 1;
                return Ok(());
            }
        }
        self.created(&names.joined(), created);
        Ok(())
    }

    fn dress(&mut self, directory: &OwnedFd, attributes: &Attributes) -> io::Result<()> {
        attributes.give_to_directory(directory, &mut self.skipped)?;
        self.tree.later(directory, Later { mode: attributes.mode, time: attributes.time })
    }

    fn fill<R: Read>(&mut self, file: &mut File, entry: &mut tar::Entry<'_, R>, path: &[u8]) -> Result<(), Error> {
        let mut left = entry.size();
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(self.buffer.len());
            let buffer = self.buffer.get_mut(..most).unwrap_or_default();
            let read = match entry.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read.map_err(Error::reading)?,
            };
            if read == 0 {
                return Err(Error::malformed("it ends in the middle of a file"));
            }
            self.watch.written(read as u64)?;
            file.write_all(buffer.get(..read).unwrap_or_default()).map_err(Error::writing(path))?;
            left = left.saturating_sub(read as u64);
        }
        Ok(())
    }

    /// Another name for what is there already. Its attributes are those of the first name.
    fn link(&mut self, target: &Names<'_>, parents: &[&[u8]], name: &[u8], path: &[u8]) -> Result<(), Error> {
        let failed = Error::writing(path);
        let refuse = |reason| Err(Error::path(path, reason));
        let Some((target, way)) = target.split_last() else { return refuse("it links to the root of the image") };
        let Some(from) = self.tree.enter(way).map_err(&failed)? else {
            return refuse("it links to what is not there");
        };
        match walk::stat(&from, target).map(|stat| walk::kind(&stat)) {
            // To a symbolic link, the new name is one, too: the link is not followed.
            Ok(FileType::RegularFile | FileType::Symlink) => {}
            Ok(_) => return refuse("it links to what is not a file"),
            Err(_) => return refuse("it links to what is not there"),
        }
        let parent = self.tree.reach(parents).map_err(&failed)?;
        remove::entry(&parent, name)
            .and_then(|()| Ok(linkat(&from, target, &parent, name, AtFlags::empty())?))
            .map_err(failed)
    }
}

fn make(parent: &OwnedFd, name: &[u8]) -> io::Result<File> {
    remove::entry(parent, name)?;
    Ok(File::from(openat(parent, name, NEW, Mode::RUSR | Mode::WUSR)?))
}

fn target<R: Read>(entry: &tar::Entry<'_, R>, path: &[u8]) -> Result<Vec<u8>, Error> {
    let target = entry.link_name_bytes().map(|target| target.into_owned()).unwrap_or_default();
    if target.is_empty() || target.len() > MAX_TARGET || target.contains(&0) {
        return Err(Error::path(path, "it is a link to nothing that can be named"));
    }
    Ok(target)
}
