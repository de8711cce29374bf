//! Registries: the distribution protocol, to read images with.
//!
//! What a registry says is checked and bounded like everything from outside: documents and blobs by digest and size,
//! where its tokens come from and where it redirects to by the security of the way there.

mod challenge;
mod client;
mod credentials;
mod download;
mod error;
#[cfg(test)]
mod tests;

use std::{fs, net::IpAddr, path::PathBuf};

use reqwest::Url;

pub(crate) use client::Client;
pub use credentials::{Credentials, CredentialsError};
pub use error::Error;

use crate::{Reference, source::is_host};

/// Which registries there are, and how they are reached.
#[derive(Debug, Clone, Default)]
pub struct Registries {
    /// For names without a host: `host`, `host:port`, or either with `/prefix` for names of one part.
    pub default: Option<String>,
    /// Reached by plain HTTP, as `host` or `host:port`. Those on this machine's loopback interface always are.
    pub plain_http: Vec<String>,
    /// If given, no others may be asked but these and the default one. Whoever lets strangers name images gives it.
    pub only: Option<Vec<String>>,
    pub credentials: Credentials,
    /// A PEM file of certificates that are trusted besides the system's.
    pub extra_ca: Option<PathBuf>,
}

impl Registries {
    pub(crate) fn client(&self, reference: &Reference) -> Result<Client, crate::Error> {
        let (host, name) = self.locate(reference)?;
        let certificates = match &self.extra_ca {
            Some(path) => Some(fs::read(path).map_err(crate::Error::at(path))?),
            None => None,
        };
        let unusable = || Error::Setup(format!("`{host}` is not the host of a registry"));
        let secure = Url::parse(&format!("https://{host}/")).map_err(|_| unusable())?;
        let plain = self.plain_http.contains(&host) || is_loopback(&secure);
        let base = if plain { Url::parse(&format!("http://{host}/")).map_err(|_| unusable())? } else { secure };
        Ok(Client::new(base, name, plain, self.credentials.of(&host), certificates.as_deref())?)
    }

    /// The registry's host, and the image's name there.
    fn locate(&self, reference: &Reference) -> Result<(String, String), crate::Error> {
        let name = &reference.name;
        if let Some(host) = &reference.registry {
            let default = self.default_parts().is_some_and(|(default, _)| default == host);
            return match default || self.only.as_ref().is_none_or(|only| only.contains(host)) {
                true => Ok((host.clone(), name.clone())),
                false => Err(crate::Error::NotAllowed(host.clone())),
            };
        }
        let (host, prefix) = self.default_parts().ok_or_else(|| crate::Error::NoDefaultRegistry(name.clone()))?;
        if !is_host(host) {
            return Err(Error::Setup(format!("the default registry, `{host}`, is not a host")).into());
        }
        let name = match prefix {
            Some(prefix) if !name.contains('/') => format!("{prefix}/{name}"),
            _ => name.clone(),
        };
        Ok((host.to_owned(), name))
    }

    fn default_parts(&self) -> Option<(&str, Option<&str>)> {
        let default = self.default.as_deref()?;
        Some(match default.split_once('/') {
            Some((host, prefix)) => (host, Some(prefix.trim_matches('/'))),
            None => (default, None),
        })
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}
