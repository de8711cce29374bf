//! What the sandboxes of an environment may reach.

use hands::{Network, Reach};
use wire::environment::Networking;

/// `mcp` are the hosts of the agent's MCP servers.
pub(crate) fn network(networking: &Networking, mcp: &[String]) -> Network {
    let reach = match networking {
        Networking::Unrestricted => Reach::Unrestricted,
        Networking::Limited { allowed_hosts, allow_mcp_servers, allow_package_managers } => {
            let listed = allowed_hosts.iter().map(|host| bare(host).to_owned());
            let mcp = mcp.iter().filter(|_| *allow_mcp_servers).cloned();
            Reach::Limited { hosts: listed.chain(mcp).collect(), packages: *allow_package_managers }
        }
    };
    Network { reach, egress: None }
}

/// What builds for such an environment reach: what package managers need, and what is public if its sessions may reach that
/// themselves. A manager that is itself installed may use an index that this machine knows nothing of.
pub(crate) fn of_builds(networking: &Networking) -> Network {
    let reach = match networking {
        Networking::Unrestricted => Reach::Unrestricted,
        Networking::Limited { .. } => Reach::Limited { hosts: Vec::new(), packages: true },
    };
    Network { reach, egress: None }
}

/// Early clients were told to write a scheme before it.
fn bare(host: &str) -> &str {
    host.strip_prefix("https://").unwrap_or(host).trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limited_means_the_listed_hosts_and_what_is_switched_on() {
        let limited = |allow_mcp_servers, allow_package_managers| {
            let allowed_hosts = vec!["https://example.com/".into(), "*.example.org".into()];
            let networking = Networking::Limited { allowed_hosts, allow_mcp_servers, allow_package_managers };
            network(&networking, &["mcp.example.net".into()]).reach
        };
        let hosts = |more: &[&str]| {
            ["example.com", "*.example.org"].iter().chain(more).map(|host| (*host).to_owned()).collect()
        };
        assert_eq!(limited(false, false), Reach::Limited { hosts: hosts(&[]), packages: false });
        assert_eq!(limited(true, true), Reach::Limited { hosts: hosts(&["mcp.example.net"]), packages: true });
        assert_eq!(network(&Networking::Unrestricted, &[]).reach, Reach::Unrestricted);
    }
}
