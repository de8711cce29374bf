//! Addresses of servers that credentials are for.

use url::{Host, Url};

use crate::read::{Invalid, text};

/// Characters of an address.
const LONGEST: usize = 2_048;

/// The form that all spellings of one server's address share: scheme and host in lower case, no default port, no slash
/// at the end. None if it is no address of a server.
pub fn normal(address: &str) -> Option<String> {
    let url = parse(address).ok()?;
    // Parsed, scheme and host are in lower case, and a default port is gone.
    let (scheme, host) = (url.scheme(), url.host_str()?.trim_end_matches('.'));
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let path = url.path().trim_end_matches('/');
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    Some(format!("{scheme}://{host}{port}{path}{query}"))
}

fn parse(address: &str) -> Result<Url, &'static str> {
    let url = Url::parse(address).map_err(|_| "Input should be a URL, such as https://mcp.example.com/mcp")?;
    if !matches!(url.scheme(), "https" | "http") {
        return Err("Input should be a URL that begins with https:// or http://");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("A URL has no user name and no password: keep them in a credential");
    }
    if url.fragment().is_some() {
        return Err("A URL has no fragment here");
    }
    match url.host() {
        Some(Host::Domain("")) | None => Err("A URL names a host"),
        Some(_) => Ok(url),
    }
}

/// An address, as it was written.
pub(super) fn check(address: String, path: &str) -> Result<String, Invalid> {
    let address = text(address, path, 1..=LONGEST)?;
    match parse(&address) {
        Ok(_) => Ok(address),
        Err(why) => Err(Invalid::new(path, why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_server_have_one_form() {
        for (one, other) in [
            ("HTTPS://MCP.Example.com:443/mcp/", "https://mcp.example.com/mcp"),
            ("http://example.com:80", "http://example.com/"),
            ("https://example.com./a", "https://example.com/a"),
        ] {
            assert_eq!(normal(one), normal(other), "{one} {other}");
        }
        let other = [
            "https://example.com/mcp",
            "http://example.com/mcp",
            "https://example.com/MCP",
            "https://www.example.com/mcp",
            "https://example.com:8443/mcp",
            "https://example.com/mcp?a=1",
        ];
        let forms: std::collections::BTreeSet<_> = other.iter().map(|url| normal(url).unwrap()).collect();
        assert_eq!(forms.len(), other.len(), "they are different servers: {forms:?}");
    }

    #[test]
    fn what_is_no_address_of_a_server_is_refused() {
        for address in
            ["", "mcp", "ftp://example.com", "https://u:p@example.com", "https://e.example/#a", "file:///etc"]
        {
            assert!(check(address.into(), "u").is_err(), "{address}");
        }
        let long = format!("https://example.com/{}", "a".repeat(LONGEST));
        assert!(check(long, "u").is_err());
    }
}
