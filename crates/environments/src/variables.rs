//! What is set in the environment of a sandbox's processes: by its image, and by the host's settings.

use images::Config;

/// These are the sandbox's own business, or would change how its shell works.
const OURS: [&str; 13] = [
    "BASHOPTS",
    "BASH_ENV",
    "ENV",
    "HOME",
    "IFS",
    "LOGNAME",
    "PROMPT_COMMAND",
    "PS1",
    "PS2",
    "SHELL",
    "SHELLOPTS",
    "TERM",
    "USER",
];

pub(crate) type Variables = Vec<(String, String)>;

/// What an image would like to have set. What is no variable is left out.
pub(crate) fn of(image: &Config) -> Variables {
    let pairs = image.env.iter().filter_map(|entry| entry.split_once('='));
    let usable = |(name, value): &(&str, &str)| {
        let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        !name.is_empty() && is_name && !OURS.contains(name) && !value.contains('\0')
    };
    pairs.filter(usable).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Where shells in a sandbox look for programs.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The host's own system has programs below `/usr` that a shell does not look for there unless it is told to: toolchains
/// in directories of their own, which the server's own path names.
pub(crate) fn of_host(path: &str) -> Variables {
    let is_new = |place: &&str| place.starts_with("/usr/") && PATH.split(':').all(|usual| usual != *place);
    let more: Vec<_> = path.split(':').filter(is_new).collect();
    if more.is_empty() { Variables::new() } else { vec![("PATH".into(), format!("{PATH}:{}", more.join(":")))] }
}

/// Both, and where both name one, the upper's.
pub(crate) fn over(lower: Variables, upper: Variables) -> Variables {
    let is_free = |name: &str| !upper.iter().any(|(other, _)| other == name);
    let mut all: Variables = lower.into_iter().filter(|(name, _)| is_free(name)).collect();
    all.extend(upper);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(entries: &[&str]) -> Variables {
        of(&Config { env: entries.iter().map(|entry| (*entry).to_owned()).collect(), ..Config::default() })
    }

    #[test]
    fn an_image_sets_what_is_not_the_shells_own() {
        let found =
            pairs(&["PATH=/opt/bin:/bin", "A=b=c", "EMPTY=", "HOME=/app", "no variable", "=x", "B-C=1", "D=\0"]);
        let found: Vec<_> = found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(found, [("PATH", "/opt/bin:/bin"), ("A", "b=c"), ("EMPTY", "")]);
    }

    #[test]
    fn the_hosts_system_has_its_programs_where_the_servers_path_says() {
        assert_eq!(of_host("/usr/bin:/opt/x/bin:/bin"), []);
        let found = of_host("/opt/bin:/usr/local/go/bin:/usr/bin:/usr/lib/node/bin");
        assert_eq!(found, [("PATH".into(), format!("{PATH}:/usr/local/go/bin:/usr/lib/node/bin"))]);
    }

    #[test]
    fn the_hosts_settings_win() {
        let found = over(pairs(&["A=image", "B=image"]), pairs(&["A=host", "C=host"]));
        let found: Vec<_> = found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(found, [("B", "image"), ("A", "host"), ("C", "host")]);
    }
}
