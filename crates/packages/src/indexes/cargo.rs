//! Cargo: its settings, and what it has fetched before.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use toml::{Table, Value};

use super::{Indexes, certificates, secrets};
use crate::Host;

/// Cargo reads this in every directory above the one it works in, so here it holds everywhere inside.
const FILE: &str = "/.cargo/config.toml";

/// How many hexadecimal digits end the name of a directory of the cache.
const DIGITS: usize = 16;

pub(super) fn find(host: &Host, found: &mut Indexes) {
    let home = host.variable("CARGO_HOME").map_or_else(|| host.home().join(".cargo"), PathBuf::from);
    let mut kept = Table::new();
    // What is nearer to the root of the file system counts more than the home does.
    for directory in [home.as_path(), Path::new("/.cargo")] {
        for path in ["config", "config.toml"].iter().map(|name| directory.join(name)) {
            let Some(text) = host.read(&path) else { continue };
            let origin = path.display().to_string();
            match text.parse::<Table>() {
                Ok(table) => settings(host, found, &table, &origin, &mut kept),
                Err(_) => found.note(format!("{origin}: left out, for it could not be read as TOML")),
            }
        }
    }
    variables(host, found, &mut kept);
    drop_loose_ends(&mut kept);
    let has_fetched = fetched(host, found, &home);
    let is_replaced = part(&kept, "source")
        .is_some_and(|sources| sources.values().any(|source| source.get("replace-with").is_some()));
    if !has_fetched && !is_replaced {
        found.note("cargo: its own index is not known until it has fetched something on this host");
    }
    if !kept.is_empty()
        && let Ok(text) = toml::to_string(&kept)
    {
        found.file(FILE, text);
    }
}

fn part<'a>(table: &'a Table, name: &str) -> Option<&'a Table> {
    table.get(name).and_then(Value::as_table)
}

/// The named table of a table, made if it is not there.
fn part_of<'a>(table: &'a mut Table, name: &str) -> Option<&'a mut Table> {
    table.entry(name).or_insert_with(|| Value::Table(Table::new())).as_table_mut()
}

fn put(kept: &mut Table, section: &str, name: &str, key: &str, value: Value) {
    if let Some(table) = part_of(kept, section).and_then(|table| part_of(table, name)) {
        table.insert(key.to_owned(), value);
    }
}

fn settings(host: &Host, found: &mut Indexes, table: &Table, origin: &str, kept: &mut Table) {
    for section in ["source", "registries"] {
        for (name, entry) in part(table, section).into_iter().flatten() {
            for (key, value) in entry.as_table().into_iter().flatten() {
                let Some(text) = value.as_str() else { continue };
                let value = match key.as_str() {
                    "replace-with" | "branch" | "tag" | "rev" | "protocol" => Some(text.to_owned()),
                    "registry" | "index" | "git" | "directory" | "local-registry" => found.open(text, origin),
                    "token" | "secret-key" => {
                        found.withhold(origin);
                        None
                    }
                    _ => None,
                };
                if let Some(value) = value {
                    put(kept, section, name, key, Value::String(value));
                }
            }
        }
    }
    for (section, key) in [("registry", "default"), ("net", "git-fetch-with-cli")] {
        if let Some(value) = part(table, section).and_then(|table| table.get(key))
            && let Some(section) = part_of(kept, section)
        {
            section.insert(key.to_owned(), value.clone());
        }
    }
    let http = part(table, "http");
    let text = |key: &str| http.and_then(|http| http.get(key)).and_then(Value::as_str);
    if let Some(path) = text("cainfo")
        && let Some(inside) = certificates::bundle(host, found, Path::new(path), origin)
        && let Some(http) = part_of(kept, "http")
    {
        http.insert("cainfo".to_owned(), Value::String(inside));
    }
    if let Some(proxy) = text("proxy") {
        secrets::proxy(found, proxy, origin);
    }
    if part(table, "registry").is_some_and(|registry| registry.contains_key("token")) {
        found.withhold(origin);
    }
}

/// `CARGO_REGISTRIES_<NAME>_INDEX` and the like.
fn variables(host: &Host, found: &mut Indexes, kept: &mut Table) {
    for (name, value) in &host.environment {
        let Some(rest) = name.strip_prefix("CARGO_REGISTR") else { continue };
        if rest.ends_with("_TOKEN") || rest.ends_with("_SECRET_KEY") {
            found.withhold(name);
        } else if let Some(registry) = rest.strip_prefix("IES_").and_then(|rest| rest.strip_suffix("_INDEX"))
            && let Some(index) = found.open(value, name)
        {
            let registry = registry.to_ascii_lowercase().replace('_', "-");
            put(kept, "registries", &registry, "index", Value::String(index));
        } else if rest == "Y_DEFAULT"
            && let Some(section) = part_of(kept, "registry")
        {
            section.insert("default".to_owned(), Value::String(value.clone()));
        }
    }
}

/// A source that stands for another has to be there, or nothing can be fetched at all.
fn drop_loose_ends(kept: &mut Table) {
    let mut known: Vec<String> = part(kept, "registries").into_iter().flat_map(|table| table.keys().cloned()).collect();
    let is_place = |source: &Value| {
        ["registry", "git", "directory", "local-registry", "replace-with"].iter().any(|key| source.get(key).is_some())
    };
    let sources = part(kept, "source").into_iter().flatten();
    known.extend(sources.filter(|(_, source)| is_place(source)).map(|(name, _)| name.clone()));
    if let Some(sources) = kept.get_mut("source").and_then(Value::as_table_mut) {
        for (_, source) in sources.iter_mut() {
            let Some(source) = source.as_table_mut() else { continue };
            let is_loose = |name: &str| !known.iter().any(|known| known == name);
            if source.get("replace-with").and_then(Value::as_str).is_some_and(is_loose) {
                source.remove("replace-with");
            }
        }
        sources.retain(|_, source| source.as_table().is_some_and(|table| !table.is_empty()));
        if sources.is_empty() {
            kept.remove("source");
        }
    }
}

/// The cache has a directory for each index, called by its host and a digest; in it the index says where the packages
/// themselves are. False if there is none.
fn fetched(host: &Host, found: &mut Indexes, home: &Path) -> bool {
    let mut is_any = false;
    for directory in host.list(&home.join("registry/index")) {
        let name = directory.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some((index, digest)) = name.rsplit_once('-') else { continue };
        if digest.len() != DIGITS || !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) || index.starts_with('_') {
            continue;
        }
        is_any |= found.open(&format!("https://{index}"), "cargo").is_some();
        let settings = host.read(&directory.join("config.json"));
        let settings: Option<Json> = settings.and_then(|text| serde_json::from_str(&text).ok());
        if let Some(packages) = settings.as_ref().and_then(|settings| settings.get("dl")).and_then(Json::as_str) {
            found.open(packages, "cargo");
        }
    }
    is_any
}
